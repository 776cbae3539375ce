//! What can go wrong between a ledger and a frame.

use lab::Tag;
use ledger::LedgerError;
use polars::prelude::PolarsError;

/// What went wrong, and with what.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No experiment has that number, in the ledger or running.
    #[error("no experiment {number} in `{tag}`")]
    UnknownExperiment {
        /// The number that was asked for.
        number: u64,
        /// The line of research.
        tag: Tag,
        /// The numbers that there are, as a range, if there are any.
        known: Option<(u64, u64)>,
    },
    /// A query is wrong.
    #[error("SQL: {message}")]
    Sql {
        /// What is wrong with it.
        message: String,
        /// What to write instead, where that can be guessed.
        hint: String,
    },
    /// A frame could not be made: a bug, or memory ran out.
    #[error("cannot make the frame `{table}`: {source}")]
    Frame {
        /// Which table.
        table: &'static str,
        /// What polars says.
        source: PolarsError,
    },
}

impl FramesError {
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => Some(error.hint()).filter(|hint| !hint.is_empty()),
            Self::UnknownExperiment { known: Some((first, last)), .. } if first == last => {
                Some(format!("there is only experiment {first}"))
            }
            Self::UnknownExperiment { known: Some((first, last)), .. } => {
                Some(format!("the experiments are {first} to {last}"))
            }
            Self::UnknownExperiment { known: None, .. } => {
                Some("there are no experiments yet: `loop start` begins with a baseline".to_owned())
            }
            Self::Sql { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Self::Frame { .. } => None,
        }
    }
}

/// Names the table that polars could not make.
pub(crate) fn making(table: &'static str) -> impl Fn(PolarsError) -> FramesError {
    move |source| FramesError::Frame { table, source }
}
