//! The cells of this session, for clients that ask for what was typed before.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::requests::HistoryRequest;

/// The number by which this session is known in replies.
const SESSION: i64 = 1;

/// Cells that asked to be stored, in order.
#[derive(Default)]
pub(crate) struct History {
    entries: Vec<Entry>,
}

struct Entry {
    line: u32,
    input: String,
    output: Option<String>,
}

impl History {
    /// Remembers a cell, its number and the text of its result if it had one.
    pub(crate) fn append(&mut self, line: u32, input: &str, output: Option<String>) {
        self.entries.push(Entry { line, input: input.to_owned(), output });
    }

    /// The `history` field of a reply: a list of `[session, line, input]`, or with output
    /// `[session, line, [input, output]]`.
    pub(crate) fn answer(&self, request: &HistoryRequest) -> Value {
        match request {
            HistoryRequest::Tail { output, n } => {
                let from = n.map_or(0, |n| self.entries.len().saturating_sub(n));
                rows(self.entries[from..].iter(), *output)
            }
            HistoryRequest::Range { output, session, start, stop } => {
                // 0 is this session, -1 the one before it, of which nothing is kept.
                if *session != 0 && *session != SESSION {
                    return json!([]);
                }
                let start = start.unwrap_or(0);
                let stop = stop.unwrap_or(i64::MAX);
                let within = |entry: &&Entry| (start..stop).contains(&i64::from(entry.line));
                rows(self.entries.iter().filter(within), *output)
            }
            HistoryRequest::Search { output, pattern, n, unique } => {
                let pattern: Vec<char> = pattern.as_deref().unwrap_or("*").chars().collect();
                let mut seen = HashSet::new();
                let mut found: Vec<&Entry> = self
                    .entries
                    .iter()
                    .rev()
                    .filter(|entry| matches(&pattern, &entry.input))
                    .filter(|entry| !unique || seen.insert(entry.input.as_str()))
                    .take(n.unwrap_or(usize::MAX))
                    .collect();
                found.reverse();
                rows(found.into_iter(), *output)
            }
        }
    }
}

fn rows<'a>(entries: impl Iterator<Item = &'a Entry>, output: bool) -> Value {
    entries
        .map(|entry| {
            if output {
                json!([SESSION, entry.line, [entry.input, entry.output]])
            } else {
                json!([SESSION, entry.line, entry.input])
            }
        })
        .collect()
}

/// Whether the whole text fits a pattern in which `*` is any text and `?` any one character.
fn matches(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on when the text after the last `*` did not fit.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, from)) = retry else {
                    return false;
                };
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        history.append(1, "let x = 1;", None);
        history.append(2, "x", Some("1".to_owned()));
        history.append(3, "let y = 2;", None);
        history.append(4, "x", Some("1".to_owned()));
        history
    }

    fn ask(request: Value) -> String {
        history().answer(&serde_json::from_value(request).unwrap()).to_string()
    }

    #[test]
    fn tail_gives_the_last_in_order() {
        insta::assert_snapshot!(ask(json!({"hist_access_type": "tail", "n": 2, "output": true, "raw": true})), @r#"[[1,3,["let y = 2;",null]],[1,4,["x","1"]]]"#);
    }

    #[test]
    fn range_is_half_open_and_of_this_session() {
        insta::assert_snapshot!(ask(json!({"hist_access_type": "range", "session": 0, "start": 2, "stop": 4})), @r#"[[1,2,"x"],[1,3,"let y = 2;"]]"#);
        insta::assert_snapshot!(ask(json!({"hist_access_type": "range", "session": -1, "start": 0, "stop": 4})), @"[]");
    }

    #[test]
    fn search_takes_globs_and_drops_repeats_when_asked() {
        insta::assert_snapshot!(ask(json!({"hist_access_type": "search", "pattern": "let ?*;"})), @r#"[[1,1,"let x = 1;"],[1,3,"let y = 2;"]]"#);
        insta::assert_snapshot!(ask(json!({"hist_access_type": "search", "pattern": "*x", "unique": true})), @r#"[[1,4,"x"]]"#);
        insta::assert_snapshot!(ask(json!({"hist_access_type": "search", "pattern": "z*"})), @"[]");
    }

    #[test]
    fn globs_match_as_a_shell_has_them() {
        let fits = |pattern: &str, text| matches(&pattern.chars().collect::<Vec<_>>(), text);
        assert!(fits("*", "") && fits("a*c*", "abcbc!") && fits("?", "🦀") && fits("**", "x"));
        assert!(!fits("", "x") && !fits("a*b", "ab!") && !fits("?", ""));
    }
}
