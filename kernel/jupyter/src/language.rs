//! What a language tells the kernel, and what it is asked.

use async_trait::async_trait;
use jupyter_protocol::HelpLink;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    comm::{Comm, CommMessage},
    io::Io,
};

/// The same thing in several formats, by MIME type: `{"text/plain": "1", "text/html": "<b>1</b>"}`.
pub type MimeBundle = Map<String, Value>;

/// What a kernel runs. One value serves the whole session.
///
/// Offsets are code points, not bytes and not UTF-16 units. Every method may block: each call runs on
/// a thread of its own. A panic in any of them is caught and reported to the client.
#[async_trait]
pub trait Language: Send + Sync + 'static {
    /// What the kernel and its language are called.
    fn info(&self) -> KernelInfo;

    /// Runs a cell. What it prints and shows goes to `io`, which may be kept by what outlives the cell.
    ///
    /// A cell should end soon after [`Io::interrupted`] returns. Cells of different subshells run at the
    /// same time.
    async fn execute(&self, cell: Cell, io: Io) -> Outcome;

    /// What could be typed at the cursor.
    async fn complete(&self, _code: &str, cursor_chars: usize) -> Completion {
        Completion::none(cursor_chars)
    }

    /// What is known of the thing at the cursor; `detail` 0 is `name?`, 1 is `name??`.
    async fn inspect(&self, _code: &str, _cursor_chars: usize, _detail: u8) -> Option<MimeBundle> {
        None
    }

    /// Whether a console should run the code or ask for another line.
    async fn is_complete(&self, _code: &str) -> Completeness {
        Completeness::Unknown
    }

    /// The value of a user expression, after a cell that went well.
    async fn evaluate(&self, expression: &str) -> Result<MimeBundle, Failure> {
        Err(Failure::new("NotSupported", &format!("this kernel evaluates no user expressions: {expression}")))
    }

    /// A client has opened a comm: whether this language takes it. One that is not taken is closed.
    async fn comm_open(&self, _comm: Comm, _message: CommMessage) -> bool {
        false
    }

    /// Something came over a comm that is open.
    async fn comm_message(&self, _comm: Comm, _message: CommMessage) {}

    /// A client has closed a comm.
    async fn comm_close(&self, _comm: Comm, _message: CommMessage) {}

    /// The kernel ends, or begins anew: end children, write what must last. It has three seconds.
    async fn shutdown(&self, restart: bool);
}

/// A cell to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its source.
    pub code: String,
    /// Runs unseen: whatever it sends to its `Io` is dropped.
    pub silent: bool,
    /// Whether it is kept in the history and counted.
    pub store_history: bool,
    /// The number in `In [n]`, from 1.
    pub execution_count: u32,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It ran to its end.
    Ok {
        /// What the client is asked to do, most often nothing.
        payload: Vec<Payload>,
    },
    /// It failed or was interrupted. The kernel publishes the traceback.
    Error(Failure),
}

impl Outcome {
    /// It ran to its end and asks nothing of the client.
    pub fn ok() -> Self {
        Self::Ok { payload: Vec::new() }
    }

    /// It failed; see [`Failure::new`].
    pub fn error(ename: &str, evalue: &str) -> Self {
        Self::Error(Failure::new(ename, evalue))
    }
}

/// An error as Jupyter shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind of error, one word such as `CompileError`.
    pub ename: String,
    /// What is wrong.
    pub evalue: String,
    /// The lines that are shown, ANSI colours allowed.
    pub traceback: Vec<String>,
}

impl Failure {
    /// An error whose traceback is the line `ename: evalue`.
    pub fn new(ename: &str, evalue: &str) -> Self {
        Self {
            ename: ename.to_owned(),
            evalue: evalue.to_owned(),
            traceback: vec![format!("{ename}: {evalue}")],
        }
    }
}

/// What a cell asks of the client when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Payload {
    /// Show a text in the pager, as `name?` does.
    Page {
        /// The text in its formats; `text/plain` must be among them.
        data: MimeBundle,
        /// The line to begin at, from 0.
        start: usize,
    },
    /// Put a text into the next cell, as `%load` does.
    SetNextInput {
        /// The text.
        text: String,
        /// Into this cell instead.
        replace: bool,
    },
}

/// What could replace the text before the cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The texts, best first.
    pub matches: Vec<String>,
    /// Where the text that they replace begins, in code points.
    pub start: usize,
    /// Where it ends, in code points.
    pub end: usize,
    /// More for clients that know it; see [`Completion::typed`].
    pub metadata: Map<String, Value>,
}

impl Completion {
    /// Nothing fits.
    pub fn none(cursor_chars: usize) -> Self {
        Self::new(Vec::new(), cursor_chars, cursor_chars)
    }

    /// Plain matches.
    pub fn new(matches: Vec<String>, start: usize, end: usize) -> Self {
        Self { matches, start, end, metadata: Map::new() }
    }

    /// Matches with their kinds (`magic`, `option`, `function`, …), which `JupyterLab` shows as icons.
    pub fn typed(matches: Vec<(String, String)>, start: usize, end: usize) -> Self {
        let kinds = matches
            .iter()
            .map(|(text, kind)| json!({"text": text, "type": kind, "start": start, "end": end}))
            .collect();
        let mut completion = Self::new(matches.into_iter().map(|(text, _)| text).collect(), start, end);
        completion.metadata.insert("_jupyter_types_experimental".to_owned(), kinds);
        completion
    }
}

/// Whether code can be run as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Run it.
    Complete,
    /// Ask for another line.
    Incomplete {
        /// What that line should begin with.
        indent: String,
    },
    /// Running it will show the error.
    Invalid,
    /// The language cannot tell.
    Unknown,
}

/// What `kernel_info_reply` says.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// The kernel's name.
    pub implementation: String,
    /// The kernel's version.
    pub implementation_version: String,
    /// What a console shows at its start.
    pub banner: String,
    /// The language of cells.
    pub language: LanguageInfo,
    /// Entries of the client's help menu.
    pub help_links: Vec<HelpLink>,
}

/// The language of cells. Strict clients want every field.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageInfo {
    /// Such as `rust`.
    pub name: String,
    /// Such as `1.95.0`.
    pub version: String,
    /// Such as `text/rust`.
    pub mimetype: String,
    /// With the dot, such as `.rs`.
    pub file_extension: String,
    /// Pygments' name of the lexer.
    pub pygments_lexer: String,
    /// `CodeMirror`'s name of the mode; a string, as an object breaks some clients.
    pub codemirror_mode: String,
    /// Most often `script`.
    pub nbconvert_exporter: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn payloads_are_written_as_the_protocol_has_them() {
        let next = Payload::SetNextInput { text: "x".to_owned(), replace: false };
        let mut data = MimeBundle::new();
        data.insert("text/plain".to_owned(), json!("help"));
        let page = Payload::Page { data, start: 0 };
        insta::assert_snapshot!(serde_json::to_string(&[next, page]).unwrap(), @r#"[{"source":"set_next_input","text":"x","replace":false},{"source":"page","data":{"text/plain":"help"},"start":0}]"#);
    }

    #[test]
    fn kinds_of_completions_are_where_jupyterlab_looks() {
        let completion = Completion::typed(vec![("%loop".to_owned(), "magic".to_owned())], 0, 3);
        assert_eq!(completion.matches, ["%loop"]);
        insta::assert_snapshot!(Value::Object(completion.metadata), @r#"{"_jupyter_types_experimental":[{"text":"%loop","type":"magic","start":0,"end":3}]}"#);
    }
}
