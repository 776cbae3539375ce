//! What can go wrong between the kernel and the worker, as opposed to inside a cell.

use std::io;
use std::path::PathBuf;

use crate::message::CellError;

/// An error of the machinery around a cell.
#[derive(Debug, thiserror::Error)]
pub enum CellsError {
    /// The worker's program does not start.
    #[error("the Rust worker `{program}` does not start in {directory}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Its working directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder for compiled cells cannot be made.
    #[error("the folder {path} for compiled cells cannot be made: {source}")]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The worker's process ended while (or before) a cell ran.
    #[error("the Rust worker ended unexpectedly ({status}); variables are lost")]
    Died {
        /// Exit status or signal, in words.
        status: String,
        /// Its last words on standard error.
        last_words: String,
        /// Whether memory ran out, in words.
        memory: &'static str,
    },
    /// The cell was interrupted before it reached the worker.
    #[error("interrupted before the cell ran")]
    Interrupted,
    /// The worker said something that is no reply.
    #[error("the Rust worker sent what is no reply: {line}")]
    Protocol {
        /// The line.
        line: String,
    },
}

impl CellsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Start { .. } => {
                "Check that the program and the folder exist and that the program may be executed; \
                 `overnight install` writes the kernel anew."
            }
            Self::Folder { .. } => "Check the free space and the permissions there.",
            Self::Died { memory, .. } => {
                return format!("{memory} The next cell starts a new worker.").trim_start().to_owned();
            }
            Self::Interrupted => "",
            Self::Protocol { .. } => {
                "Restart the kernel. If it happens again, the kernel and its worker are of different versions: \
                 `overnight install` mends that."
            }
        };
        hint.to_owned()
    }
}

impl From<CellsError> for CellError {
    fn from(error: CellsError) -> Self {
        let mut more = String::new();
        if let CellsError::Died { last_words, .. } = &error
            && !last_words.is_empty()
        {
            more.push_str(last_words.trim_end());
            more.push('\n');
        }
        more.push_str(&error.hint());
        CellError::new("WorkerError", error.to_string(), &more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_worker_is_told_with_its_signal_and_last_words() {
        let error = CellError::from(CellsError::Died {
            status: "signal: 9 (SIGKILL)".into(),
            last_words: "something\n".into(),
            memory: "Perhaps memory ran out.",
        });
        insta::assert_snapshot!(error.traceback.join("\n").replace('\u{1b}', "^"), @r"
        ^[1;31mWorkerError^[0m: the Rust worker ended unexpectedly (signal: 9 (SIGKILL)); variables are lost
        something
        Perhaps memory ran out. The next cell starts a new worker.
        ");
    }
}
