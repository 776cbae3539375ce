//! Names with values: `name: value`, `name = value`, `name=value`, one after the other.

use super::{is_name, is_name_char, number};

/// How many words a name can have in a line that names a step: `val loss 3.2` is `val_loss`.
const WORDS: usize = 3;

/// Words that are no name before a number: `step 3 took 5 s, best at 7`.
const PROSE: [&str; 8] = ["of", "in", "at", "after", "for", "to", "from", "and"];

/// Pairs as they are read.
pub(super) struct Pairs {
    /// Whether `name:value` is a pair, without a space.
    tight: bool,
    /// Whether `name value` is one, and names can have several words.
    bare: bool,
    /// What was read.
    pub(super) values: Vec<(String, f64)>,
}

impl Pairs {
    /// For lines that may be prose.
    pub(super) fn strict() -> Self {
        Self { tight: false, bare: false, values: Vec::new() }
    }

    /// For lines whose parts are joined by `|`.
    pub(super) fn piped() -> Self {
        Self { tight: true, ..Self::strict() }
    }

    /// For lines that name a step.
    pub(super) fn lenient() -> Self {
        Self { tight: true, bare: true, values: Vec::new() }
    }

    /// Reads pairs until `text` ends or something else comes; says whether it ended.
    pub(super) fn read(&mut self, text: &str) -> bool {
        let start = self.values.len();
        let mut bare = false;
        let mut rest = after_notes(after_brackets(text));
        while !rest.is_empty() {
            let Some(pair) = self.pair(rest) else {
                if bare {
                    self.values.truncate(start);
                }
                return false;
            };
            bare |= pair.bare;
            rest = after_notes(pair.rest);
            self.values.push((pair.name, pair.value));
        }
        true
    }

    /// Reads the end of `text` that is all `name=value`, after what a logger puts in front:
    /// `12:30:45 INFO loss=0.5 lr=0.1`. Says whether there is one.
    pub(super) fn read_end(&mut self, text: &str) -> bool {
        let start = self.values.len();
        let Some(sign) = text.find('=') else { return false };
        let from = text[..sign].rfind(char::is_whitespace).unwrap_or(0);
        let read = self.read(&text[from..]);
        if !read {
            self.values.truncate(start);
        }
        read
    }

    /// Reads all of `text`, or its end, into `values`.
    pub(super) fn read_into(mut self, values: &mut Vec<(String, f64)>, text: &str) {
        if self.read(text) || {
            self.values.clear();
            self.read_end(text)
        } {
            values.append(&mut self.values);
        }
    }

    fn pair<'a>(&self, text: &'a str) -> Option<Pair<'a>> {
        let mut name = String::new();
        let mut rest = text;
        for _ in 0..WORDS {
            let (word, after) = rest.split_at(rest.find(|c| !is_name_char(c)).unwrap_or(rest.len()));
            if !is_name(word) {
                return None;
            }
            if !name.is_empty() {
                name.push('_');
            }
            name.push_str(word);
            let next = after.trim_start();
            let explicit = match next.as_bytes().first()? {
                b'=' => Some(&next[1..]),
                b':' if self.tight || next[1..].starts_with(char::is_whitespace) => Some(&next[1..]),
                _ => None,
            };
            if let Some(value) = explicit {
                let (value, rest) = number::take(value.trim_start())?;
                return is_name(&name).then_some(Pair { name, value, rest, bare: false });
            }
            if !self.bare || next.len() == after.len() {
                return None;
            }
            if !PROSE.contains(&word)
                && let Some((value, rest)) = number::take(next)
            {
                return is_name(&name).then_some(Pair { name, value, rest, bare: true });
            }
            rest = next;
        }
        None
    }
}

struct Pair<'a> {
    name: String,
    value: f64,
    rest: &'a str,
    /// Whether it has neither `:` nor `=`.
    bare: bool,
}

/// The text after notes in brackets: `(best so far)`.
fn after_notes(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(end) = rest.strip_prefix('(').and_then(|note| note.find(')')) {
        rest = rest[end + 2..].trim_start();
    }
    rest
}

/// The text after what stands in square brackets at its start: `[INFO] `, `[rank0]: `.
fn after_brackets(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some(end) = rest.strip_prefix('[').and_then(|note| note.find(']')) {
        rest = rest[end + 2..].trim_start_matches([':', ' ']);
    }
    rest
}
