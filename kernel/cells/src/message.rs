//! What kernel and worker say to each other: one JSON object per line, each way.
//!
//! Both ends are the same binary, so the format carries no version.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One value in several forms: from MIME type to a string, or to JSON for `…json` types.
pub type Bundle = Map<String, Value>;

/// Kernel to worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Compile and run a cell.
    Execute { id: u64, code: String },
    /// What could stand at `cursor` (a byte offset into `code`).
    Complete { id: u64, code: String, cursor: usize },
    /// What is known of what stands before `cursor`.
    Inspect { id: u64, code: String, cursor: usize },
    /// Start evcxr and let it read the prelude, so that the first cell need not wait for that.
    Warm,
    /// The person's answer to `Ask`; none where there will not be one.
    Answer { text: Option<String> },
    /// End the running cell: a compile at once, the user's code at its next loop, or with `force` by killing its
    /// process.
    Interrupt { force: bool },
    /// End, after running the destructors of the user's statics.
    Quit,
}

/// Worker to kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// Text that the cell `id`, or a thread that it left behind, has written.
    Stream { id: u64, name: StreamName, text: String },
    /// A value that the cell shows.
    Display { id: u64, bundle: Bundle },
    /// The cell asks the person at the notebook for a line.
    Ask { id: u64, prompt: String, password: bool },
    /// The cell has ended; nothing that it wrote comes after this. `variables` are those that the next cell has.
    Done { id: u64, outcome: Outcome, variables: Vec<String> },
    /// The answer to `Inspect`, as Markdown; empty where nothing is known.
    Inspected { id: u64, markdown: String },
    /// The answer to `Complete`.
    Completions { id: u64, completions: Completions },
}

/// Which of a cell's two text streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error, and the compiler's progress on dependencies.
    Stderr,
}

impl StreamName {
    /// The name in a Jupyter `stream` message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It ran to its end.
    Ok,
    /// It did not compile, panicked, returned early by `?`, or its process died.
    Error(CellError),
    /// It was interrupted; what it says tells which variables are kept.
    Interrupted(CellError),
}

impl Outcome {
    /// What to tell, unless the cell ended well.
    pub fn error(&self) -> Option<&CellError> {
        match self {
            Self::Ok => None,
            Self::Error(error) | Self::Interrupted(error) => Some(error),
        }
    }
}

/// An error in the three parts of a Jupyter `error` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellError {
    /// The kind, e.g. `CompileError` or `panic`.
    pub ename: String,
    /// One line that says what is wrong.
    pub evalue: String,
    /// What a person reads, line by line; may hold ANSI colours.
    pub traceback: Vec<String>,
}

impl CellError {
    /// An error whose traceback is `ename: evalue` and then `more`, line by line.
    pub fn new(ename: impl Into<String>, evalue: impl Into<String>, more: &str) -> Self {
        let (ename, evalue) = (ename.into(), evalue.into());
        let mut traceback = vec![format!("\u{1b}[1;31m{ename}\u{1b}[0m: {evalue}")];
        traceback.extend(more.lines().map(str::to_owned));
        Self { ename, evalue, traceback }
    }
}

/// What could stand at the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completions {
    /// Where the text to be replaced begins, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// The candidates; empty when nothing is known (in time).
    pub matches: Vec<Completion>,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// What to insert.
    pub text: String,
    /// What it is: `function`, `struct`, `keyword`, …
    pub kind: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_are_one_line_and_come_back() {
        let replies = [
            Reply::Stream { id: 3, name: StreamName::Stdout, text: "a\nb\r\u{1b}[0m".into() },
            Reply::Done { id: 3, outcome: Outcome::Ok, variables: vec!["a".into()] },
            Reply::Done {
                id: 4,
                outcome: Outcome::Error(CellError::new("panic", "no", "line\nline")),
                variables: Vec::new(),
            },
        ];
        for reply in replies {
            let line = serde_json::to_string(&reply).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
        }
        insta::assert_snapshot!(
            serde_json::to_string(&Request::Complete { id: 1, code: "x.".into(), cursor: 2 }).unwrap(),
            @r#"{"type":"complete","id":1,"code":"x.","cursor":2}"#
        );
    }
}
