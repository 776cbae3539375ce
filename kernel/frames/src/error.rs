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
    /// A frame has no such column.
    #[error("there is no column `{name}`")]
    UnknownColumn {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A column holds what cannot be drawn.
    #[error("column `{name}` cannot be drawn: {source}")]
    Unfit {
        /// Which column.
        name: String,
        /// What polars says.
        source: PolarsError,
    },
    /// A frame's name is none.
    #[error("`{name}` cannot be the name of a frame")]
    Name {
        /// What it was to be called.
        name: String,
    },
    /// A frame is to be kept by name where nothing keeps it.
    #[error("a terminal keeps no frames: only a notebook's SQL and Rust cells share them")]
    NowhereToSave,
    /// A frame could not be written to a file.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
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
            Self::UnknownColumn { known, .. } => Some(format!("the columns are {}", known.join(", "))),
            Self::Name { .. } => {
                Some(format!("letters, digits and _ make a name, and {} are taken", crate::TABLES.join(", ")))
            }
            Self::NowhereToSave => Some("`--to parquet FILE` writes a file".to_owned()),
            Self::Unfit { .. } | Self::Write { .. } | Self::Frame { .. } => None,
        }
    }
}

/// Names the table that polars could not make.
pub(crate) fn making(table: &'static str) -> impl Fn(PolarsError) -> FramesError {
    move |source| FramesError::Frame { table, source }
}
