//! What a client asks and a runner answers: one JSON object a line over the runner's socket.

use lab::status::LoopStatus;
use lab::{CommitId, Event, Seconds, Tag};
use serde::{Deserialize, Serialize};

/// What a loop is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartOptions {
    /// The line of research.
    #[serde(default)]
    pub tag: Tag,
    /// What makes the candidates: `search`, or `command:PROGRAM`.
    pub proposer: String,
    /// The time that a run is meant to take; the lab's own where it is `None`.
    #[serde(default)]
    pub budget: Option<Seconds>,
    /// When it ends, in hours from now.
    #[serde(default)]
    pub hours: Option<f64>,
    /// After how many finished experiments it ends, the baseline among them.
    #[serde(default)]
    pub experiments: Option<u64>,
    /// How many runs at once, at least 1.
    pub slots: u32,
    /// The value of the metric at which it ends.
    #[serde(default)]
    pub target: Option<f64>,
    /// The seed of proposer and runs.
    pub seed: u64,
    /// How much proposing may cost, in US dollars.
    #[serde(default)]
    pub max_cost: Option<f64>,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            tag: Tag::default(),
            proposer: "search".to_owned(),
            budget: None,
            hours: None,
            experiments: None,
            slots: 1,
            target: None,
            seed: 0,
            max_cost: None,
        }
    }
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// What the runner is doing.
    Status,
    /// End, if there is nothing to do: who begins a loop wants a runner with an environment of now.
    Retire,
    /// Begin a loop, or go on with the one that was cut off. Where one is on already, nothing is
    /// changed and the answer says so.
    Start(StartOptions),
    /// Start no new experiment until it is resumed.
    Pause,
    /// Go on, also with a loop that was cut off.
    Resume,
    /// End the loop: after the current runs, or at once.
    Stop {
        /// At once: current runs are ended, and their numbers are free again.
        now: bool,
    },
    /// Write down what a person says to the proposer, and act on it.
    Say {
        /// What: see [`Event::is_said`].
        event: Event,
    },
    /// Try a person's candidate, next.
    Run {
        /// The line of research; the current or last loop's where it is `None`.
        #[serde(default)]
        tag: Option<Tag>,
        /// What is expected of it.
        hypothesis: String,
        /// The commit to be tried; its first parent is what it improves on.
        candidate: CommitId,
        /// Who made it.
        author: String,
    },
}

/// What a runner answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status {
        /// What it is doing.
        status: LoopStatus,
    },
    /// It is done.
    Done {
        /// What the person should know, a sentence each.
        notes: Vec<String>,
    },
    /// To [`Request::Run`].
    Queued {
        /// The experiment's number.
        number: u64,
    },
    /// The runner has nothing more to do and ends; the next one can be asked.
    Ending,
    /// It was not done.
    Error {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The exit code that the command line owes to it.
        code: u8,
    },
}

impl Response {
    pub(crate) fn error(error: &crate::RunnerError) -> Self {
        Self::Error { message: error.to_string(), hint: error.hint(), code: error.code() }
    }
}

/// The longest request that is read, in bytes.
pub(crate) const LONGEST: u64 = 1 << 20;
