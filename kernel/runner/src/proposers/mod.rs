//! What makes candidates: `search` (the default) and `command:PROGRAM`.
//!
//! A proposer is told everything in a [`Brief`] each time and keeps nothing that could not be made
//! again from it, so that a runner that was killed goes on where it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lab::{CommitId, Cost, Direction, Experiment, MetricName, Seconds};
use ledger::Edit;
use serde::Serialize;

pub mod command;
pub mod search;

/// Reads a file of a commit; `None` where the commit has no such file.
pub type ReadFile = Arc<dyn Fn(&CommitId, &str) -> Option<Vec<u8>> + Send + Sync>;

/// Everything that a proposer may know. Its serialised fields are the JSON that `command:` programs get.
#[derive(Clone, Debug, Serialize)]
pub struct Brief {
    /// Version of this format: [`SCHEMA`](lab::SCHEMA).
    pub schema: u32,
    /// The program's instructions.
    pub program: String,
    /// What may be changed: paths or globs.
    pub editable: Vec<String>,
    /// The metric that decides.
    pub metric: MetricName,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// The experiment to improve on.
    pub best: Option<Best>,
    /// What was tried in this epoch: the latest hundred and everything that was kept.
    pub experiments: Vec<Experiment>,
    /// What people have told the proposer, oldest first.
    pub steering: Vec<String>,
    /// What is left of the night.
    pub remaining: Remaining,
    /// Proposals for this same experiment that were refused, and why.
    pub refused: Vec<String>,
    /// The number of the experiment to be proposed.
    pub number: u64,
    /// The seed of the loop.
    pub seed: u64,
    /// Which attempt at this experiment it is, from 0.
    pub attempt: u32,
    /// The commit that the candidate is to improve on.
    pub parent: CommitId,
    /// What the program says of the search space: what a constant may become, by its name.
    pub space: BTreeMap<String, String>,
    /// The parent's editable files, by path.
    #[serde(skip)]
    pub files: BTreeMap<String, Vec<u8>>,
    /// Every candidate of the epoch that was judged, oldest first, with its value where it had one.
    #[serde(skip)]
    pub trials: Vec<(CommitId, Option<f64>)>,
    /// Candidates that are being tried now.
    #[serde(skip)]
    pub in_flight: Vec<CommitId>,
}

/// The best experiment so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its number.
    pub number: u64,
    /// Its metric's value.
    pub value: Option<f64>,
    /// Its commit.
    pub commit: CommitId,
    /// What it tried.
    pub hypothesis: String,
}

/// What is left of the night; `None` where it has no end of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Remaining {
    /// Experiments.
    pub experiments: Option<u64>,
    /// Seconds.
    pub seconds: Option<Seconds>,
}

/// A change to try.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The editable files that it replaces.
    pub edits: Vec<Edit>,
    /// What is expected of it, in a sentence.
    pub hypothesis: String,
    /// What proposing it cost.
    pub cost: Cost,
    /// What a person should know about how it was made, such as changes that were dropped.
    pub note: Option<String>,
}

/// Why there is no proposal.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The proposer has nothing (more) to propose.
    #[error("nothing to propose: {0}")]
    Nothing(String),
    /// The proposer failed.
    #[error("{0}")]
    Failed(String),
}

/// What makes candidates.
#[async_trait]
pub trait Proposer: Send {
    /// Makes one candidate for the brief.
    async fn propose(&mut self, brief: &Brief) -> Result<Proposal, ProposeError>;
}
