//! Compile errors as rustc shows them, with lines and columns of the cell.

use std::fmt::Write;

use evcxr::CompilationError;

use crate::message::CellError;
use crate::source::Prepared;

const RED: &str = "\u{1b}[1;31m";
const BLUE: &str = "\u{1b}[1;34m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

/// One compile error.
#[derive(Debug, Clone, Default)]
struct Diagnostic {
    code: Option<String>,
    message: String,
    labels: Vec<Label>,
    helps: Vec<String>,
}

/// A part of the cell, and what is said about it. Lines and columns (in characters) count from 1,
/// the end column is the first that is not meant.
#[derive(Debug, Clone)]
struct Label {
    start: (usize, usize),
    end: (usize, usize),
    text: String,
    primary: bool,
}

/// All errors of a cell as one; their columns are those of the cell, not of what it was made into.
pub(crate) fn compile_error(code: &str, prepared: &Prepared, errors: &[CompilationError]) -> CellError {
    let mut diagnostics: Vec<Diagnostic> = errors.iter().map(Diagnostic::from).collect();
    for label in diagnostics.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
        for place in [&mut label.start, &mut label.end] {
            place.1 = prepared.original_column(place.0, place.1);
        }
    }
    report(code, &diagnostics)
}

fn report(code: &str, diagnostics: &[Diagnostic]) -> CellError {
    let mut evalue =
        diagnostics.first().map_or_else(|| "it does not compile".to_owned(), Diagnostic::summary);
    if diagnostics.len() > 1 {
        let _ = write!(evalue, " (and {} more)", diagnostics.len() - 1);
    }
    let traceback = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(code))
        .collect::<Vec<_>>()
        .join("\n\n")
        .lines()
        .map(str::to_owned)
        .collect();
    CellError { ename: "CompileError".to_owned(), evalue, traceback }
}

impl From<&CompilationError> for Diagnostic {
    fn from(error: &CompilationError) -> Self {
        let labels = error
            .spanned_messages()
            .iter()
            .filter_map(|message| {
                let span = message.span.as_ref()?;
                Some(Label {
                    start: (span.start_line, span.start_column),
                    end: (span.end_line, span.end_column),
                    text: message.label.clone(),
                    primary: message.is_primary,
                })
            })
            .collect();
        let mut helps: Vec<String> = error.help().into_iter().map(|help| help.trim().to_owned()).collect();
        helps.extend(error.evcxr_extra_hint().map(str::to_owned));
        if error.message().contains("linker") && error.message().contains("not found") {
            helps.push("install a C compiler, which Rust links with (Debian: `apt install gcc`)".to_owned());
        }
        Self { code: error.code().map(str::to_owned), message: error.message(), labels, helps }
    }
}

impl Diagnostic {
    /// One line for programs and logs.
    fn summary(&self) -> String {
        let mut line = self.message.lines().next().unwrap_or_default().to_owned();
        if let Some(code) = &self.code {
            let _ = write!(line, " [{code}]");
        }
        if let Some(label) = self.primary() {
            let _ = write!(line, " at line {} column {}", label.start.0, label.start.1);
        }
        line
    }

    fn primary(&self) -> Option<&Label> {
        self.labels.iter().find(|label| label.primary).or_else(|| self.labels.first())
    }

    fn render(&self, code: &str) -> String {
        let kind = self.code.as_ref().map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"));
        let mut out = format!("{RED}{kind}{PLAIN}{BOLD}: {}{PLAIN}", self.message.trim_end());
        let lines: Vec<&str> = code.lines().collect();
        let width = self.labels.iter().map(|label| label.end.0.to_string().len()).max().unwrap_or(1);
        let margin = " ".repeat(width);
        if let Some(label) = self.primary() {
            let _ = write!(out, "\n{margin}{BLUE}-->{PLAIN} cell:{}:{}", label.start.0, label.start.1);
            let _ = write!(out, "\n{margin} {BLUE}|{PLAIN}");
        }
        let mut labels: Vec<&Label> = self.labels.iter().collect();
        labels.sort_by_key(|label| label.start);
        let mut shown = 0;
        for label in labels {
            for number in label.start.0..=label.end.0.min(lines.len()) {
                let Some(line) = lines.get(number - 1) else {
                    continue;
                };
                if number > shown {
                    let _ = write!(out, "\n{BLUE}{number:width$} |{PLAIN} {}", line.replace('\t', " "));
                    shown = number;
                }
            }
            out.push_str(&label.underline(&lines, &margin));
        }
        for help in &self.helps {
            let mut help_lines = help.lines();
            let _ = write!(
                out,
                "\n{margin} {BLUE}={PLAIN} {BOLD}help{PLAIN}: {}",
                help_lines.next().unwrap_or_default()
            );
            for line in help_lines {
                let _ = write!(out, "\n{margin}         {line}");
            }
        }
        out
    }
}

impl Label {
    /// The marks below the (last) line that is meant, and the text beside them.
    fn underline(&self, lines: &[&str], margin: &str) -> String {
        let last_line = lines.get(self.end.0.saturating_sub(1)).copied().unwrap_or_default();
        let from = if self.start.0 == self.end.0 {
            self.start.1
        } else {
            last_line.chars().take_while(|c| c.is_whitespace()).count() + 1
        };
        let marks = self.end.1.saturating_sub(from).max(1);
        let (colour, mark) = if self.primary { (RED, "^") } else { (BLUE, "-") };
        format!(
            "\n{margin} {BLUE}|{PLAIN} {}{colour}{} {}{PLAIN}",
            " ".repeat(from.saturating_sub(1)),
            mark.repeat(marks),
            self.text.replace('\n', " "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> String {
        let mut text = lines.join("\n");
        for colour in [RED, BLUE, BOLD, PLAIN] {
            text = text.replace(colour, "");
        }
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_error_is_shown_where_it_is() {
        let diagnostic = Diagnostic {
            code: Some("E0308".into()),
            message: "mismatched types".into(),
            labels: vec![
                Label {
                    start: (2, 14),
                    end: (2, 18),
                    text: "expected `i32`, found `&str`".into(),
                    primary: true,
                },
                Label { start: (2, 8), end: (2, 11), text: "expected due to this".into(), primary: false },
            ],
            helps: vec!["try this\n\nlet y = 3;".into()],
        };
        let error = report("let é = 1;\nlet y: i32 = \"no\";\n", &[diagnostic]);
        insta::assert_snapshot!(error.evalue, @"mismatched types [E0308] at line 2 column 14");
        insta::assert_snapshot!(plain(&error.traceback), @r#"
        error[E0308]: mismatched types
         --> cell:2:14
          |
        2 | let y: i32 = "no";
          |        --- expected due to this
          |              ^^^^ expected `i32`, found `&str`
          = help: try this

                  let y = 3;
        "#);
    }

    #[test]
    fn several_lines_and_no_place_at_all() {
        let long = Diagnostic {
            message: "unclosed".into(),
            labels: vec![Label { start: (1, 8), end: (3, 2), text: "here".into(), primary: true }],
            ..Diagnostic::default()
        };
        let nowhere = Diagnostic { message: "linker trouble".into(), ..Diagnostic::default() };
        let error = report("fn f() {\n    g(\n}\n", &[long, nowhere]);
        insta::assert_snapshot!(error.evalue, @"unclosed at line 1 column 8 (and 1 more)");
        insta::assert_snapshot!(plain(&error.traceback), @r"
        error: unclosed
         --> cell:1:8
          |
        1 | fn f() {
        2 |     g(
        3 | }
          | ^ here

        error: linker trouble
        ");
    }
}
