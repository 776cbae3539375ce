//! What a runner is doing now: the answer to `loop status` (schema 1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Cost, Seconds, Tag};

/// The loop at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoopStatus {
    /// Version of this format: [`SCHEMA`](crate::SCHEMA).
    pub schema: u32,
    /// What it is doing.
    pub state: LoopState,
    /// The line of research.
    pub tag: Tag,
    /// The runner's process, where one runs.
    pub pid: Option<u32>,
    /// When the loop began.
    pub since: Option<Timestamp>,
    /// When it is to end, if it was told.
    pub deadline: Option<Timestamp>,
    /// How many experiments this loop has finished, the baseline among them.
    pub experiments: u64,
    /// How many it is to do, if it was told.
    pub planned: Option<u64>,
    /// How many of them were kept.
    pub kept: u64,
    /// What makes the candidates.
    pub proposer: Option<String>,
    /// Which of several proposers are left out, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub out: BTreeMap<String, String>,
    /// The best experiment of the current epoch.
    pub best: Option<Best>,
    /// What each slot is doing.
    pub slots: Vec<SlotStatus>,
    /// Candidates that are being made while every slot is busy.
    #[serde(default)]
    pub ahead: Vec<Ahead>,
    /// Candidates that are made and wait for a slot.
    #[serde(default)]
    pub queued: Vec<Queued>,
    /// What proposing has cost so far.
    pub cost: Cost,
    /// What is wrong, or why the last loop ended early.
    pub problem: Option<String>,
    /// What a person has to see to, a sentence each: what `alert` in the program was told, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<String>,
    /// Why the last loop ended, when none runs.
    pub ended: Option<String>,
    /// Where the report of that loop is, if one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What may end this one before its time, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a loop is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopState {
    /// No loop runs.
    #[default]
    Idle,
    /// A candidate is being made, and nothing runs meanwhile.
    Proposing,
    /// At least one build or run is on.
    Running,
    /// No new experiment is started.
    Paused,
    /// It ends after the current runs.
    Stopping,
}

/// An experiment and its value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The experiment's number.
    pub number: u64,
    /// Its metric's value.
    pub value: f64,
}

/// A candidate that is being made for a slot that will be free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// The number of its experiment.
    pub experiment: u64,
    /// Time since it was begun.
    pub elapsed: Seconds,
    /// What makes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proposer: String,
    /// What that is doing, as what follows its name in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
}

/// A candidate that is made and waits for a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// The number of its experiment.
    pub experiment: u64,
    /// What it is expected to do.
    pub hypothesis: String,
    /// What made it.
    pub proposer: String,
}

/// What a slot is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Its number, from 0.
    pub slot: u32,
    /// The number of its experiment, if it has one.
    pub experiment: Option<u64>,
    /// `proposing`, `building`, `running`, `judging`, `recording`, or `idle`.
    pub phase: String,
    /// What the candidate is expected to do.
    pub hypothesis: Option<String>,
    /// What has made its candidate, or is making it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer: Option<String>,
    /// What the proposer is doing, where it makes the candidate: what follows its name in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// Time since the phase began.
    pub elapsed: Seconds,
    /// Time that a run is meant to take.
    pub budget: Seconds,
    /// The last metrics that the run printed. What is not finite is `null` in a file.
    #[serde(with = "crate::metrics::values")]
    pub last: BTreeMap<String, f64>,
}
