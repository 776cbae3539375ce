//! Where runs happen. A trait, so that another engine can take the place of this machine's slots.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lab::{CommitId, Lab, Metrics, RunId, Seconds};

use crate::RunnerError;
use crate::shim::{End, Job};

pub mod folder;
mod inputs;
mod local;
mod preflight;
pub(crate) mod share;
mod toolchain;

pub use inputs::{fingerprints, link as link_inputs, missing};
pub use local::Local;
pub use preflight::preflight;
pub use toolchain::toolchain;

/// What a run produced.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// How it ended.
    pub end: End,
    /// Everything that it reported.
    pub metrics: Metrics,
    /// What it printed, bounded.
    pub log: Vec<u8>,
}

/// What a build or a run is given beside its command.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// The slot that it has.
    pub slot: u32,
    /// Of how many.
    pub slots: u32,
    /// The experiment's number.
    pub number: u64,
    /// The seed.
    pub seed: u64,
    /// The time that a run is meant to take.
    pub budget: Seconds,
}

/// Whether a build or a run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The lab's `build`.
    Build,
    /// The lab's `run`.
    Run,
}

/// A place where candidates are built and run. Every method may be called by a runner that did not
/// submit the run: what is needed is in the run's folder.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Makes a slot ready for a candidate: its tree, inputs and caches. Returns the tree.
    async fn prepare(&self, slot: u32, candidate: &CommitId, lab: &Lab) -> Result<PathBuf, RunnerError>;

    /// The job of a build or a run in a prepared slot; `None` where the lab has no such command.
    fn job(&self, lab: &Lab, kind: Kind, given: Given) -> Option<Job>;

    /// Starts a job under a name that was never used before.
    async fn submit(&self, run: RunId, job: &Job) -> Result<(), RunnerError>;

    /// Waits until a run has ended; `None` where it was lost (nothing of it lives, and no end is told).
    async fn watch(&self, run: RunId) -> Option<End>;

    /// Ends a run. [`watch`](Self::watch) then returns.
    async fn cancel(&self, run: RunId);

    /// What a run that ended has produced.
    async fn fetch(&self, run: RunId) -> Result<Fetched, RunnerError>;

    /// The folder in which a run can be looked at while it is on.
    fn folder(&self, run: RunId) -> PathBuf;

    /// What a person should know before a loop with so many slots begins.
    fn notes(&self, _slots: u32) -> Vec<String> {
        Vec::new()
    }

    /// What a value depends on where so many slots share the machine, beside the machine itself.
    fn share(&self, _slots: u32) -> Option<String> {
        None
    }

    /// Whether a run that was lost had begun.
    fn began(&self, _run: RunId) -> bool {
        true
    }

    /// Forgets how a run ended, which is not to count: it is lost.
    fn forget(&self, _run: RunId) {}
}

/// The end of a log, for messages: at most `lines` lines and 4 kB.
pub(crate) fn tail(log: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(&log[log.len().saturating_sub(4096)..]).into_owned();
    let all: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
