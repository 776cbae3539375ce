//! A light reading of Rust source: enough to know whether a cell is complete, and how it ends.
//!
//! It knows strings, characters, lifetimes, comments and brackets, and nothing of the grammar.

use std::borrow::Cow;

/// Whether a cell can be run as it stands (the console asks this at each Enter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It can.
    Complete,
    /// A bracket, string or comment is still open; the next line may be indented by `indent` spaces.
    Incomplete {
        /// Four for each open bracket.
        indent: usize,
    },
    /// A bracket closes what was never opened.
    Invalid,
}

/// Whether `code` is complete, by its brackets, strings and comments.
///
/// ```
/// use cells::{Completeness, is_complete};
/// assert_eq!(is_complete("let x = 1;"), Completeness::Complete);
/// assert_eq!(is_complete("fn f() {"), Completeness::Incomplete { indent: 4 });
/// assert_eq!(is_complete("}"), Completeness::Invalid);
/// ```
pub fn is_complete(code: &str) -> Completeness {
    let outline = Outline::of(code);
    if outline.mismatched {
        Completeness::Invalid
    } else if outline.unfinished || outline.depth > 0 {
        Completeness::Incomplete { indent: 4 * outline.depth }
    } else {
        Completeness::Complete
    }
}

/// The cell, with a flush at its end where it prints without a newline: Rust keeps such text back,
/// and it would come out with the next cell.
pub(crate) fn with_flush(code: &str) -> Cow<'_, str> {
    let prints = code.replace("println!", "").contains("print!") || code.contains("stdout()");
    if !prints || !Outline::of(code).ends_without_value() {
        return Cow::Borrowed(code);
    }
    Cow::Owned(format!("{code}\nlet _ = ::std::io::Write::flush(&mut ::std::io::stdout());"))
}

/// What the brackets of a piece of code say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline<'a> {
    /// How many brackets are open at the end.
    depth: usize,
    /// A string or comment is open at the end.
    unfinished: bool,
    /// A bracket closes what another opened, or nothing.
    mismatched: bool,
    /// The first word of the last statement outside all brackets.
    last_word: &'a str,
    /// The last character that is neither space nor comment.
    last: Option<char>,
}

impl<'a> Outline<'a> {
    fn of(code: &'a str) -> Self {
        let mut outline = Self::default();
        let mut open = Vec::new();
        let mut at_start = true;
        let mut after_block = false;
        let mut at = 0;
        while let Some(c) = code[at..].chars().next() {
            let Some(token) = token(&code[at..]) else {
                outline.unfinished = true;
                break;
            };
            let text = &code[at..at + token.length];
            at += token.length;
            if token.kind == Kind::Space {
                continue;
            }
            // A block ends a statement, unless something goes on with its value.
            let word_after_block = after_block && token.kind == Kind::Word && text != "else";
            if open.is_empty() && (at_start || word_after_block) {
                outline.last_word = text;
            }
            (at_start, after_block) = (false, false);
            outline.last = text.chars().next_back();
            if token.kind != Kind::Other {
                continue;
            }
            match c {
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => {
                    outline.mismatched |= open.pop() != Some(opening(c));
                    after_block = c == '}' && open.is_empty();
                }
                ';' => at_start = open.is_empty(),
                _ => {}
            }
        }
        outline.depth = open.len();
        outline
    }

    /// Whether another statement may follow without taking a value's place as the cell's last.
    fn ends_without_value(&self) -> bool {
        let whole = !self.unfinished && !self.mismatched && self.depth == 0;
        let loops = self.last == Some('}') && matches!(self.last_word, "for" | "while");
        whole && (self.last == Some(';') || loops)
    }
}

fn opening(closing: char) -> char {
    match closing {
        ')' => '(',
        ']' => '[',
        _ => '{',
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Space or comment.
    Space,
    /// Identifier, keyword or number.
    Word,
    /// String, byte string, raw string, character.
    Literal,
    /// A single character of anything else.
    Other,
}

struct Token {
    kind: Kind,
    /// In bytes.
    length: usize,
}

/// The first token of `text`, which is not empty; `None` where it has no end.
fn token(text: &str) -> Option<Token> {
    let first = text.chars().next()?;
    let (kind, length) = if first.is_whitespace() {
        (Kind::Space, first.len_utf8())
    } else if text.starts_with("//") {
        (Kind::Space, text.find('\n').unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        (Kind::Space, block_comment(text)?)
    } else if let Some(end) = raw_string(text) {
        (Kind::Literal, end.find(text)?)
    } else if let Some(rest) = ["b\"", "c\"", "\""].iter().find_map(|prefix| text.strip_prefix(prefix)) {
        (Kind::Literal, text.len() - rest.len() + string_end(rest)?)
    } else if first == '\'' {
        (Kind::Literal, character(text))
    } else if first.is_alphanumeric() || first == '_' {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        (Kind::Word, end)
    } else {
        (Kind::Other, first.len_utf8())
    };
    Some(Token { kind, length })
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// Where to look for the end of a raw string.
struct RawString {
    /// Where its text begins.
    start: usize,
    /// What ends it: a quote and as many `#` as before the text.
    quote: String,
}

impl RawString {
    fn find(&self, text: &str) -> Option<usize> {
        text[self.start..].find(&self.quote).map(|at| self.start + at + self.quote.len())
    }
}

/// Whether a raw string begins here.
fn raw_string(text: &str) -> Option<RawString> {
    let rest = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest[hashes..].strip_prefix('"')?;
    Some(RawString { start: text.len() - body.len(), quote: format!("\"{}", "#".repeat(hashes)) })
}

/// Where the string whose opening quote has been read ends.
fn string_end(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    })
}

/// The length of a character, or 1 for the quote of a lifetime.
fn character(text: &str) -> usize {
    let body = &text[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        let skip = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skip..].find('\'').map_or(1, |end| 2 + skip + end + 1);
    }
    let first = body.chars().next().map_or(0, char::len_utf8);
    if body[first..].starts_with('\'') { 1 + first + 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn completeness_follows_brackets_strings_and_comments() {
        use Completeness::{Complete, Incomplete, Invalid};
        for (code, expected) in [
            ("", Complete),
            ("1 + 1", Complete),
            ("fn f<'a>(x: &'a str) -> &'a str { x }", Complete),
            ("let c = '{'; let q = '\\''; let b = b\"}\";", Complete),
            ("r#\"{ \" {\"#", Complete),
            ("// {", Complete),
            ("/* { /* ( */ */", Complete),
            ("\"a\\\"\"", Complete),
            ("fn f() {\n    g(", Incomplete { indent: 8 }),
            ("\"open", Incomplete { indent: 0 }),
            ("r#\"open\"", Incomplete { indent: 0 }),
            ("/* open", Incomplete { indent: 0 }),
            ("f(]", Invalid),
            ("}", Invalid),
        ] {
            assert_eq!(is_complete(code), expected, "{code}");
        }
    }

    #[test]
    fn a_flush_follows_statements_and_loops_only() {
        let flushed = |code: &str| with_flush(code).len() > code.len();
        for code in [
            "print!(\"a\");",
            "print!(\"a\"); // done",
            "let x = 1;\nfor i in 0..3 { print!(\".\"); }",
            "if x { 1 } else { 2 };\nwhile y { print!(\"\") }",
            "if x { y() }\nfor i in z { print!(\"a\") }",
        ] {
            assert!(flushed(code), "{code}");
        }
        for code in [
            "println!(\"a\");",
            "print!(\"a\"); 3",
            "{ print!(\"a\"); 3 }",
            "fn f() { print!(\"a\"); }",
            "if x { print!(\"a\"); 1 } else { 2 }",
            "for x in y { print!(\"a\"); }.fold()",
            "print!(\"a\"",
        ] {
            assert!(!flushed(code), "{code}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(code in "[-a-z'\"\\\\#/*(){}\\[\\];\n rbé]{0,60}") {
            let _ = is_complete(&code);
            prop_assert!(with_flush(&code).starts_with(&code));
        }

        #[test]
        fn a_cell_in_braces_is_as_complete_as_before(code in "[a-z'\"/ (){};\n]{0,40}") {
            if is_complete(&code) == Completeness::Complete {
                prop_assert_eq!(is_complete(&format!("{{\n{code}\n}}")), Completeness::Complete);
            }
        }
    }
}
