//! Finding the constants of a file whose initializer is a literal.

use std::ops::Range;

use super::{Domain, Literal};

/// A language whose constants are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `const NAME: T = literal;`
    Rust,
    /// `NAME = literal` at the top level.
    Python,
}

impl Language {
    /// The language of a file, by its name.
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "rs" => Some(Self::Rust),
            "py" => Some(Self::Python),
            _ => None,
        }
    }

    fn comment(self) -> &'static str {
        match self {
            Self::Rust => "//",
            Self::Python => "#",
        }
    }
}

/// A constant that a search may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Its initializer.
    pub literal: Literal,
    /// Where the initializer stands in the file, in bytes.
    pub span: Range<usize>,
    /// What it may become.
    pub domain: Domain,
}

/// Words in a name that say that changing the constant would change what is measured, and not the work.
const FIXED: [&str; 4] = ["SEED", "BUDGET", "TIMEOUT", "VERSION"];

/// The constants of a file that a search may change, in their order.
pub fn constants(text: &str, language: Language) -> Vec<Constant> {
    let mut found: Vec<Constant> = Vec::new();
    let mut inside = Inside::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if inside.code() {
            if let Some(constant) = constant(line, start, language) {
                // A name that is bound twice would be changed in one place only.
                found.retain(|earlier| earlier.name != constant.name);
                found.push(constant);
            }
        }
        inside.pass(line, language);
        start += line.len();
    }
    found
}

fn constant(line: &str, start: usize, language: Language) -> Option<Constant> {
    let (name, at) = match language {
        Language::Rust => rust_name(line)?,
        Language::Python => python_name(line)?,
    };
    let rest = &line[at..];
    let from = at + (rest.len() - rest.trim_start().len());
    let literal_end = from + literal_length(&line[from..], language)?;
    let literal = Literal::parse(line[from..literal_end].trim_end())?;
    let span = start + from..start + from + literal.source.len();

    let after = line[literal_end..].trim_start();
    let after = if language == Language::Rust { after.strip_prefix(';')?.trim_start() } else { after };
    let comment = match after.strip_prefix(language.comment()) {
        Some(comment) => comment.trim(),
        None if after.is_empty() => "",
        None => return None,
    };
    if FIXED.iter().any(|word| name.split('_').any(|part| part == *word)) {
        return None;
    }
    let domain = Domain::of(&name, &literal, comment)?;
    Some(Constant { name, literal, span, domain })
}

/// The name of `pub const NAME: T =` and where the initializer may begin.
fn rust_name(line: &str) -> Option<(String, usize)> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        let after = after.trim_start();
        rest = match after.strip_prefix('(') {
            Some(scope) => scope.split_once(')')?.1.trim_start(),
            None => after,
        };
    }
    let rest = rest.strip_prefix("const ")?.trim_start();
    let length = name_length(rest)?;
    let (name, rest) = rest.split_at(length);
    let rest = rest.trim_start().strip_prefix(':')?;
    let (kind, rest) = rest.split_once('=')?;
    let kind = kind.trim();
    let known = kind == "bool" || kind == "&str" || kind == "&'static str" || {
        let digits = kind.trim_start_matches(['u', 'i', 'f']);
        ["8", "16", "32", "64", "128", "size"].contains(&digits) && digits.len() + 1 == kind.len()
    };
    known.then(|| (name.to_owned(), line.len() - rest.len()))
}

/// The name of `NAME =` or `NAME: type =` at the beginning of a line.
fn python_name(line: &str) -> Option<(String, usize)> {
    let length = name_length(line)?;
    let (name, rest) = line.split_at(length);
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix(':') {
        Some(annotated) => annotated.split_once('=')?.1,
        None => rest.strip_prefix('=')?,
    };
    (!rest.starts_with('=')).then(|| (name.to_owned(), line.len() - rest.len()))
}

/// How long the constant's name is that `text` begins with: capitals, digits and underscores.
fn name_length(text: &str) -> Option<usize> {
    let length = text
        .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .unwrap_or(text.len());
    let name = &text[..length];
    (name.contains(|c: char| c.is_ascii_uppercase()) && !name.starts_with(|c: char| c.is_ascii_digit()))
        .then_some(length)
}

/// How long the text is that may be the initializer: up to the `;`, the comment or the line's end.
fn literal_length(text: &str, language: Language) -> Option<usize> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return Some(1 + text[1..].find(quote)? + 1);
    }
    let end = match language {
        Language::Rust => text.find(';')?,
        Language::Python => text.find(['#', '\n']).unwrap_or(text.len()),
    };
    Some(text[..end].trim_end().len())
}

/// Whether a line begins in code, or inside a comment or string that began on an earlier line.
#[derive(Default)]
struct Inside {
    /// How many `/*` are open.
    comments: usize,
    /// What closes the string that is open.
    string: Option<String>,
}

impl Inside {
    fn code(&self) -> bool {
        self.comments == 0 && self.string.is_none()
    }

    fn pass(&mut self, line: &str, language: Language) {
        let mut rest = line;
        while !rest.is_empty() {
            let step = match (&self.string, language) {
                (Some(close), _) => {
                    if rest.starts_with(close.as_str()) {
                        let length = close.len();
                        self.string = None;
                        length
                    } else if rest.starts_with('\\') && !close.contains('#') {
                        1 + rest[1..].chars().next().map_or(0, char::len_utf8)
                    } else {
                        first(rest)
                    }
                }
                (None, Language::Rust) => self.rust(rest),
                (None, Language::Python) => self.python(rest),
            };
            rest = &rest[step..];
        }
        // Only Python's triple quotes and Rust's strings reach over a line's end.
        if language == Language::Python && self.string.as_ref().is_some_and(|close| close.len() == 1) {
            self.string = None;
        }
    }

    fn rust(&mut self, rest: &str) -> usize {
        if self.comments > 0 {
            if rest.starts_with("*/") {
                self.comments -= 1;
                return 2;
            }
            if rest.starts_with("/*") {
                self.comments += 1;
                return 2;
            }
            return first(rest);
        }
        if rest.starts_with("//") {
            return rest.len();
        }
        if rest.starts_with("/*") {
            self.comments += 1;
            return 2;
        }
        if let Some(raw) = rest.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw[hashes..].starts_with('"') {
                self.string = Some(format!("\"{}", "#".repeat(hashes)));
                if hashes == 0 {
                    // `r"…"` has no escapes and ends at the first quote.
                    let end = raw[1..].find('"');
                    self.string = end.is_none().then(|| "\"".to_owned());
                    return end.map_or(rest.len(), |end| 2 + end + 1);
                }
                return 1 + hashes + 1;
            }
        }
        if rest.starts_with('"') {
            self.string = Some("\"".to_owned());
            return 1;
        }
        // The quotes of a character literal are not a string's.
        for literal in ["'\"'", "'\\\"'"] {
            if rest.starts_with(literal) {
                return literal.len();
            }
        }
        first(rest)
    }

    fn python(&mut self, rest: &str) -> usize {
        if rest.starts_with('#') {
            return rest.len();
        }
        for quote in ["\"\"\"", "'''", "\"", "'"] {
            if rest.starts_with(quote) {
                self.string = Some(quote.to_owned());
                return quote.len();
            }
        }
        first(rest)
    }
}

fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
