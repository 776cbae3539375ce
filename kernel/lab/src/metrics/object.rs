//! One line that is a JSON object or a Python dict, with its numbers.
//!
//! One reader for both, since a training script prints either, and both with NaN, which JSON forbids.

use super::number;

/// How deep objects may nest.
const DEPTH: usize = 16;

/// The numbers of an object, in their order, nested names joined by `.`; `None` where `line` is no object.
pub(super) fn read(line: &str) -> Option<Vec<(String, f64)>> {
    let mut parser = Parser { rest: line, values: Vec::new() };
    parser.object("", DEPTH)?;
    parser.rest.trim().is_empty().then_some(parser.values)
}

struct Parser<'a> {
    rest: &'a str,
    values: Vec<(String, f64)>,
}

impl<'a> Parser<'a> {
    /// Takes `token` if it comes next.
    fn take(&mut self, token: char) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn object(&mut self, name: &str, depth: usize) -> Option<()> {
        self.list('{', '}', depth, |parser, depth| {
            let key = parser.string()?;
            let key = if name.is_empty() { key } else { format!("{name}.{key}") };
            parser.take(':').then_some(())?;
            parser.value(Some(&key), depth)
        })
    }

    /// Reads `open item, item close`, with or without a comma at the end.
    fn list(
        &mut self,
        open: char,
        close: char,
        depth: usize,
        mut item: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.take(open).then_some(())?;
        while !self.take(close) {
            item(self, depth)?;
            if !self.take(',') {
                return self.take(close).then_some(());
            }
        }
        Some(())
    }

    /// Reads a value; a number is kept under `name`, what stands in an array has none.
    fn value(&mut self, name: Option<&str>, depth: usize) -> Option<()> {
        self.rest = self.rest.trim_start();
        let value = match self.rest.chars().next()? {
            '{' => return self.object(name.unwrap_or_default(), depth),
            '[' => return self.list('[', ']', depth, |parser, depth| parser.value(None, depth)),
            '(' => return self.list('(', ')', depth, |parser, depth| parser.value(None, depth)),
            // Newer versions of the Hugging Face Trainer quote their numbers.
            '\'' => number::whole(&self.string()?),
            '"' => {
                self.string()?;
                None
            }
            _ => {
                let word = self.word();
                let number = number::whole(word);
                let known = matches!(word, "true" | "false" | "null" | "True" | "False" | "None");
                if number.is_none() && !known {
                    return None;
                }
                number
            }
        };
        if let (Some(name), Some(value)) = (name, value) {
            self.values.push((name.to_owned(), value));
        }
        Some(())
    }

    /// Takes what stands before the next punctuation: a number, or a word such as `true`, `None`.
    fn word(&mut self) -> &'a str {
        let end =
            self.rest.find([',', '}', ']', ')', ':', '{', '[', '(', '"', '\'']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.trim()
    }

    /// Reads text in quotes, single or double. An escape is read as the character after the backslash,
    /// which is enough for names.
    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            if escaped {
                text.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.rest = &self.rest[at + 1..];
                return Some(text);
            } else {
                text.push(c);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match read(line) {
            Some(values) => {
                values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            None => "log".to_owned(),
        }
    }

    #[test]
    fn json_and_dicts() {
        insta::assert_snapshot!(shown(r#"{"step": 5, "loss": 0.52, "eval": {"acc": 9.1e-1, "n": [1, 2]}, "ok": true}"#), @"step=5 loss=0.52 eval.acc=0.91");
        insta::assert_snapshot!(shown(r"{'loss': 0.52, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': '0.01', 'x': None,}"), @"loss=0.52 grad_norm=NaN learning_rate=0.00005 epoch=0.01");
        insta::assert_snapshot!(shown(r#"{"a": NaN, "b": -Infinity, "version": "2", "it's": 1, 'q"': 2}"#), @r#"a=NaN b=-inf it's=1 q"=2"#);
        assert_eq!(shown("{}"), "");
    }

    #[test]
    fn what_is_no_object_is_log() {
        for line in [
            "{",
            "{a: 1}",
            "{\"a\": 1",
            "{\"a\": 1}}",
            "{\"a\" 1}",
            "{\"a\": x}",
            "{1, 2}",
            "{'a': 1} done",
            "{,}",
        ] {
            assert_eq!(shown(line), "log", "{line}");
        }
        assert_eq!(shown(&format!("{}1{}", "{'a':".repeat(40), "}".repeat(40))), "log");
    }
}
