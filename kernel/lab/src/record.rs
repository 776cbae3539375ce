//! The record of one experiment: an immutable fact of the ledger (schema 1).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Claim, CommitId, Direction, Epoch, ExperimentId, MetricName, Seconds, Status, Tag};

/// One experiment as the ledger holds it. What happens to it later is an [`Event`](crate::Event).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this format: [`SCHEMA`](crate::SCHEMA).
    pub schema: u32,
    /// Its number in its writer's ledger: 0 is the first baseline.
    pub number: u64,
    /// Its name for ever.
    pub id: ExperimentId,
    /// The clone that reserved the number.
    pub writer: String,
    /// The line of research.
    pub tag: Tag,
    /// What the judge decided.
    pub status: Status,
    /// The metric's value, where a run printed one.
    pub value: Option<f64>,
    /// `value` minus the best that it was compared with.
    pub delta: Option<f64>,
    /// The probability that the improvement is real, where the noise is known.
    pub confidence: Option<f64>,
    /// The commit that the candidate improves on; `None` for a baseline.
    pub parent: Option<CommitId>,
    /// The commit that was tried.
    pub candidate: CommitId,
    /// Whether this is the baseline of its epoch.
    #[serde(default)]
    pub baseline: bool,
    /// What was expected, in a sentence.
    pub hypothesis: String,
    /// What made the candidate: `search`, `human`, `command:…`, `baseline`.
    pub proposer: String,
    /// When its first run or build began.
    pub started: Timestamp,
    /// How long building and running took together.
    pub seconds: Seconds,
    /// Its runs, in the order in which they were started.
    pub runs: Vec<RunRecord>,
    /// The summary that the judged run printed, by name. What is not finite is `null` in a file.
    #[serde(with = "crate::metrics::values")]
    pub summary: BTreeMap<String, f64>,
    /// What proposing it cost.
    #[serde(default)]
    pub cost: Cost,
    /// Why it was judged so, in a sentence.
    pub reason: String,
    /// What may be said of it, if it was kept.
    pub claim: Option<Claim>,
    /// The person or program under whose name it ran.
    pub author: String,
    /// The program's blob that it ran under.
    pub program: String,
    /// The judge's version.
    pub rule: String,
    /// The metric that decided.
    pub metric: MetricName,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// What its value may be compared with.
    pub epoch: Epoch,
    /// Where it ran.
    pub environment: Environment,
    /// Fields that a newer version wrote, kept as they are.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl Record {
    /// When its last run ended.
    pub fn ended(&self) -> Timestamp {
        let took = SignedDuration::try_from_secs_f64(self.seconds.0).unwrap_or_default();
        self.started.saturating_add(took).unwrap_or(self.started)
    }
}

/// One execution of the lab's command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The seed that the run was given.
    pub seed: u64,
    /// The metric's value, where it printed one.
    pub value: Option<f64>,
    /// Wall-clock time of the run, without the build.
    pub seconds: Seconds,
    /// How it ended: `0`, `exit 1`, `signal 9`, `timeout`, `build failed`, `lost`.
    pub exit: String,
}

/// What a proposal cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Money.
    pub usd: f64,
    /// Tokens read by a model.
    pub input_tokens: u64,
    /// Tokens written by a model.
    pub output_tokens: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.usd += other.usd;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// The machine and the inputs that a value depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name of the machine.
    pub host: String,
    /// Its processor and number of cores, such as `x86_64, 2 cores`.
    pub cpu: String,
    /// Its GPUs, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Versions of the compilers and interpreters that built and ran it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// Git blob of each lock file at the root (`Cargo.lock`, `uv.lock`, …), by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, String>,
    /// Fingerprint of each input, by path.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}
