//! What can go wrong around a loop, told so that a person can mend it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// What went wrong in the runner.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// Another runner holds the lab.
    #[error("another runner (process {pid}) has held this lab since {since}")]
    Held {
        /// The other runner's process.
        pid: u32,
        /// When it took the lab.
        since: Timestamp,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried: `read`, `write`, `create` …
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lab's program is wrong.
    #[error("program.md: {0}")]
    Lab(#[from] lab::LabError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// An input of the lab is not there.
    #[error("the input `{input}` is missing in {root}")]
    MissingInput {
        /// The path as the lab names it.
        input: String,
        /// The researcher's checkout.
        root: PathBuf,
        /// Whether the lab has a `setup` that could make it.
        setup: bool,
    },
    /// A command of the lab begins with a program that is not there.
    #[error("`{field}` starts with `{program}`, which is not on PATH")]
    NoProgram {
        /// The setting: `run`, `build` or `setup`.
        field: &'static str,
        /// The program.
        program: String,
    },
    /// A run could write what it is judged by.
    #[error("`writes` has `{path}`, which holds the repository's history, or what Overnight keeps of it")]
    Writes {
        /// The path as the lab names it.
        path: String,
    },
    /// The lab's `setup` failed.
    #[error("`setup` ended with {exit}: {command}\n{tail}")]
    Setup {
        /// The command.
        command: String,
        /// How it ended.
        exit: String,
        /// The last lines that it printed.
        tail: String,
    },
    /// The proposer cannot work on this lab.
    #[error("the proposer `{name}` cannot work here: {reason}")]
    Proposer {
        /// Its name, as it was given.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A loop is on already, or none is.
    #[error("{0}")]
    Refused(String),
    /// A process could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runner answered something that this client does not know.
    #[error("the runner's answer could not be understood: {0}")]
    Protocol(String),
    /// What the runner told its client, in its own words.
    #[error("{message}")]
    Told {
        /// The error's text.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The exit code that the command line owes to it.
        code: u8,
    },
}

impl RunnerError {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some("`loop status` shows what it does; `loop stop` ends it after the current run".to_owned())
            }
            Self::MissingInput { input, setup: true, .. } => Some(format!(
                "`setup` ran, but did not make it; run it by hand and see why, or take `{input}` out of `inputs`"
            )),
            Self::MissingInput { input, setup: false, .. } => Some(format!(
                "make it, or name the command that makes it as `setup:` in program.md, or take `{input}` out of `inputs`"
            )),
            Self::NoProgram { program, .. } if program == "uv" => Some(
                "install uv by `curl -LsSf https://astral.sh/uv/install.sh | sh` or `pip install uv`, \
                 or set `run:` in program.md to a command that works without it"
                    .to_owned(),
            ),
            Self::NoProgram { program, field } => {
                Some(format!("install `{program}`, or change `{field}:` in program.md"))
            }
            Self::Writes { .. } => {
                Some("name a folder beside it: a run could change its own record otherwise".to_owned())
            }
            Self::Setup { .. } => {
                Some("run the command by hand in the lab's folder and see what it needs".to_owned())
            }
            Self::Lab(_) => {
                Some("`overnight program check` shows the program with the error in its place".to_owned())
            }
            Self::Spawn { .. } => {
                Some("is the program still where it was when the runner started?".to_owned())
            }
            Self::Told { hint, .. } => hint.clone(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space and start again: nothing that was finished is lost".to_owned())
            }
            Self::Io { .. }
            | Self::Ledger(_)
            | Self::Proposer { .. }
            | Self::Refused(_)
            | Self::Protocol(_) => None,
        }
    }

    /// The exit code that the command line owes to this error (see [`exit`](crate::exit)).
    pub fn code(&self) -> u8 {
        match self {
            Self::Held { .. } => crate::exit::HELD,
            Self::Lab(_)
            | Self::Writes { .. }
            | Self::NoProgram { .. }
            | Self::MissingInput { .. }
            | Self::Proposer { .. } => crate::exit::LAB,
            Self::Told { code, .. } => *code,
            _ => crate::exit::FAILED,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
