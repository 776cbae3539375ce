//! What can be wrong with a program, as a diagnostic that shows the line.

use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// What is wrong with a lab's program. Every variant names the line; those about a setting name it.
///
/// It is a [`miette::Diagnostic`]: rendered, it shows the line with the place marked and a hint below.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LabError {
    /// The front matter begins and never ends.
    #[error("program.md, line {}: the front matter begins here and never ends", .at.line)]
    Unclosed {
        /// Where it begins.
        at: Box<Place>,
    },
    /// The front matter is not YAML.
    #[error("program.md, line {}: {problem}", .at.line)]
    Syntax {
        /// Where reading stopped.
        at: Box<Place>,
        /// What YAML forbids there.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A setting that does not exist.
    #[error("program.md, line {}: `{field}` is not a setting", .at.line)]
    Unknown {
        /// Where its name stands.
        at: Box<Place>,
        /// The name.
        field: String,
        /// The setting whose name is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// A value of the wrong type or form.
    #[error("program.md, line {}: `{field}` must be {expected}, not {found}", .at.line)]
    Value {
        /// Where the value stands.
        at: Box<Place>,
        /// The setting.
        field: &'static str,
        /// What it can be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A value that cannot hold, by itself or beside another one.
    #[error("program.md, line {}: `{field}` {problem}", .at.line)]
    Contradiction {
        /// Where the value stands.
        at: Box<Place>,
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do about it.
        hint: String,
    },
}

/// A place in a program.
#[derive(Clone, Debug)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The bytes of the program that the error is about.
    pub bytes: Range<usize>,
    /// The program.
    source: NamedSource<String>,
}

impl Place {
    /// The place of `bytes` in the program `text`; a range that reaches beyond the text is cut.
    pub(crate) fn new(text: &str, bytes: Range<usize>) -> Self {
        let start = text.floor_char_boundary(bytes.start);
        let end = text.ceil_char_boundary(bytes.end.max(start));
        let line = 1 + text[..start].matches('\n').count();
        Self { line, bytes: start..end, source: NamedSource::new("program.md", text.to_owned()) }
    }
}

impl LabError {
    /// The line of the program, from 1.
    pub fn line(&self) -> usize {
        self.place().line
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unclosed { .. } => "put a line `---` below the last setting".to_owned(),
            Self::Syntax { hint, .. } => (*hint).to_owned(),
            Self::Unknown { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            Self::Unknown { nearest: None, .. } => {
                format!("the settings are {}", crate::program::SETTINGS.join(", "))
            }
            Self::Value { field, .. } => format!("for example `{field}: {}`", crate::program::example(field)),
            Self::Contradiction { hint, .. } => hint.clone(),
        }
    }

    fn place(&self) -> &Place {
        match self {
            Self::Unclosed { at }
            | Self::Syntax { at, .. }
            | Self::Unknown { at, .. }
            | Self::Value { at, .. }
            | Self::Contradiction { at, .. } => at,
        }
    }
}

impl Diagnostic for LabError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.hint()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.place().source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        // The message says it all: the label only marks the place.
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.place().bytes.clone()))))
    }
}
