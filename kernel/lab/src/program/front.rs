//! Where front matter begins and ends.

use std::ops::Range;

use crate::{LabError, error::Place};

/// A program in its two parts.
pub(super) struct Program<'a> {
    /// The bytes of the YAML between the `---` lines; `None` where the program has no front matter.
    pub(super) front: Option<Range<usize>>,
    /// The text after it.
    pub(super) instructions: &'a str,
}

/// Splits a program. Front matter begins where the first line is `---` and ends at the next such line.
pub(super) fn split(text: &str) -> Result<Program<'_>, LabError> {
    let top = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lines = text[top..].split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| is_fence(line)) else {
        return Ok(Program { front: None, instructions: &text[top..] });
    };
    let start = top + first.len();
    let mut end = start;
    for line in lines {
        if is_fence(line) {
            return Ok(Program { front: Some(start..end), instructions: &text[end + line.len()..] });
        }
        end += line.len();
    }
    Err(LabError::Unclosed { at: Box::new(Place::new(text, top..top + first.trim_end().len())) })
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}
