//! What went wrong, in the user's words, and the exit code that scripts rely on.

use std::fmt;

/// Exit codes of the command line. Scripts rely on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Done.
    Done = 0,
    /// Failed.
    #[default]
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The lab or its program is invalid.
    Lab = 3,
    /// The baseline fails.
    Baseline = 4,
    /// Another runner holds the lab.
    Held = 5,
    /// Interrupted.
    Interrupted = 6,
    /// A report cannot be checked in this clone.
    Unchecked = 7,
}

/// A command that did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What is wrong and where.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// For scripts.
    pub(crate) code: ExitCode,
}

impl Failure {
    /// A failure that says `message`.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: ExitCode::Failed }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub(crate) fn code(mut self, code: ExitCode) -> Self {
        self.code = code;
        self
    }

    /// The user ended it.
    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted").code(ExitCode::Interrupted)
    }

    /// A file or folder that could not be read or written.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {what} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl ExitCode {
    /// The code with this number; a number of another program is a failure.
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Lab,
            4 => Self::Baseline,
            5 => Self::Held,
            6 => Self::Interrupted,
            7 => Self::Unchecked,
            _ => Self::Failed,
        }
    }
}

impl From<lab::LabError> for Failure {
    /// The diagnostic with its line and field, as a terminal shows it.
    fn from(error: lab::LabError) -> Self {
        let mut text = String::new();
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
        match handler.with_links(false).render_report(&mut text, &error) {
            Ok(()) => Self::new(text.trim_matches('\n')),
            Err(_) => Self::new(error.to_string()),
        }
        .code(ExitCode::Lab)
    }
}

impl From<ledger::LedgerError> for Failure {
    fn from(error: ledger::LedgerError) -> Self {
        use ledger::LedgerError::{
            Bare, Format, Interrupted, Newer, NoCommitYet, NoRemote, NoRepository, NotYours,
        };
        let code = match error {
            NoRepository(_) | Bare(_) | NoCommitYet(_) | NotYours(_) | Format { .. } | Newer { .. } => {
                ExitCode::Lab
            }
            NoRemote { .. } => ExitCode::Usage,
            Interrupted => ExitCode::Interrupted,
            _ => ExitCode::Failed,
        };
        Self::new(error.to_string()).hint(error.hint()).code(code)
    }
}

impl From<runner::RunnerError> for Failure {
    fn from(error: runner::RunnerError) -> Self {
        let (hint, code) = (error.hint(), ExitCode::from_number(error.code()));
        match error {
            runner::RunnerError::Lab(error) => error.into(),
            error => Self { hint, code, ..Self::new(error.to_string()) },
        }
    }
}

impl From<cells::PreludeError> for Failure {
    fn from(error: cells::PreludeError) -> Self {
        let hint = match error {
            cells::PreludeError::NoToolchain { .. } => "install it from https://rustup.rs",
            cells::PreludeError::Build { .. } => {
                "cargo needs crates.io or a mirror of it, and a C compiler; magics work without all that"
            }
            _ => "check the free space and the permissions there",
        };
        Self::new(error.to_string()).hint(hint)
    }
}

impl From<jupyter::JupyterError> for Failure {
    fn from(error: jupyter::JupyterError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

impl From<frames::FramesError> for Failure {
    fn from(error: frames::FramesError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::new(error.to_string()) }
    }
}
