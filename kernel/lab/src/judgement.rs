//! What became of an experiment, and what may be said of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of an experiment once it has been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It improved on the best so far: the next candidates build on it.
    Keep,
    /// It did not.
    Discard,
    /// The build or the run failed, or printed no metric.
    Crash,
    /// It was killed at the lab's timeout.
    Timeout,
    /// It broke a rule of the lab.
    Invalid,
    /// Too good to be true: awaits a check.
    Suspect,
    /// Its metric arrives later.
    Waiting,
}

impl Status {
    /// Every status, in the order in which people list them.
    pub const ALL: [Self; 7] =
        [Self::Keep, Self::Discard, Self::Crash, Self::Timeout, Self::Invalid, Self::Suspect, Self::Waiting];

    /// The word that the ledger, tables and SQL use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Discard => "discard",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::Suspect => "suspect",
            Self::Waiting => "waiting",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What may be said of a kept experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// One run said so.
    #[default]
    Unproven,
    /// Repeats with paired seeds agree.
    Certified,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unproven => "unproven",
            Self::Certified => "certified",
        })
    }
}

/// The judge's decision on one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What became of it.
    pub status: Status,
    /// Why, in a sentence for people.
    pub reason: String,
    /// Improvement over the best it was compared with, signed as the metric is (`value - best`).
    pub delta: Option<f64>,
    /// The probability that the improvement is real, where the noise is known.
    pub confidence: Option<f64>,
}
