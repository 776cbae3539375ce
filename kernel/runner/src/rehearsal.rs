//! What a rehearsal does to a runner of its own, beside what anybody may ask: it kills it, looks at how long
//! things took, and ends everything.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lab::{CommitId, Cost, Entry, Event, ExperimentId, Lab, RunId};
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};

use crate::executor::missing;
use crate::lock::Lock;
use crate::processes::{self, Process};
use crate::proposers::marks;
use crate::{Paths, RunnerError, paths};

/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the lab's `setup` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// There is none.
    None,
    /// It has run, and every input is there.
    Done,
    /// It has not run, though every input is there.
    Ready,
    /// It has to run: none of the inputs is there.
    Due,
    /// It has to run: some of the inputs are not there.
    Partly,
}

/// How the `setup` of the lab at `root` stands.
pub fn setup(paths: &Paths, root: &Path, lab: &Lab) -> Setup {
    let Some(command) = &lab.setup else { return Setup::None };
    if missing(root, lab).is_some() {
        let any = lab.inputs.iter().any(|input| root.join(input).exists());
        return if any { Setup::Partly } else { Setup::Due };
    }
    let stamped = std::fs::read_to_string(paths.setup_stamp()).unwrap_or_default();
    if stamped.trim() == stamp(command) {
        Setup::Done
    } else if lab.inputs.is_empty() {
        Setup::Due
    } else {
        Setup::Ready
    }
}

/// Has a runner believe that the lab's `setup` has run.
///
/// # Errors
/// Where that cannot be written.
pub fn call_setup_done(paths: &Paths, lab: &Lab) -> Result<(), RunnerError> {
    match &lab.setup {
        Some(command) => paths::write_whole(&paths.setup_stamp(), stamp(command).as_bytes()),
        None => Ok(()),
    }
}

fn stamp(command: &str) -> String {
    hex::encode(Sha256::digest(command.as_bytes()))
}

/// Kills the lab's runner as a power cut would, and waits until it is gone. Whether there was one.
pub fn kill(paths: &Paths) -> bool {
    let holder = Lock::holder(&paths.lock())
        .and_then(|holder| Some(Process { pid: i32::try_from(holder.pid).ok()?, start: holder.start }));
    let Some(runner) = holder else { return false };
    runner.signal(Signal::SIGKILL);
    let start = Instant::now();
    while runner.lives() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Ends the runner of a lab that is to be thrown away, and whatever it has started.
pub fn discard(paths: &Paths) {
    kill(paths);
    let runs = std::fs::read_dir(paths.cache.join("runs"));
    let mut started: Vec<String> =
        runs.into_iter().flatten().flatten().filter_map(|run| run.file_name().into_string().ok()).collect();
    started.extend(marks(&paths.proposers()));
    // What is of no run: the report of a loop that has just ended, and git.
    started.push(paths.mark());
    processes::sweep(&started);
    let _ = std::fs::remove_file(paths.socket());
}

/// How one experiment went, by the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timing {
    /// Its number.
    pub number: u64,
    /// What made it.
    pub proposer: String,
    /// The commit that was tried.
    pub candidate: Option<CommitId>,
    /// What was expected of it.
    pub hypothesis: String,
    /// When its candidate was begun to be made.
    pub proposing: Option<Timestamp>,
    /// When it was made.
    pub proposed: Option<Timestamp>,
    /// What that cost.
    pub cost: Cost,
    /// How its build ended, and how many seconds it took.
    pub build: Option<(String, f64)>,
    /// Its runs, in the order in which they were started; more than one where one was lost.
    pub runs: Vec<RunId>,
    /// How its last run ended.
    pub exit: Option<String>,
    /// How many seconds that took.
    pub seconds: f64,
    /// The metric's value.
    pub value: Option<f64>,
    /// What was decided, in words.
    pub reason: Option<String>,
    /// When it was recorded, and how often.
    pub recorded: Vec<Timestamp>,
    /// Why it came to nothing.
    pub given_up: Option<String>,
}

impl Timing {
    /// Seconds from the first thought to the candidate.
    pub fn latency(&self) -> Option<f64> {
        Some(between(self.proposing?, self.proposed?))
    }

    /// Seconds that its build took; 0 where it has none.
    pub fn build_seconds(&self) -> f64 {
        self.build.as_ref().map_or(0.0, |(_, seconds)| *seconds)
    }

    /// Seconds from its candidate to its record that neither its build nor its run took.
    pub fn overhead(&self) -> Option<f64> {
        let all = between(self.proposed?, *self.recorded.first()?);
        Some((all - self.build_seconds() - self.seconds).max(0.0))
    }
}

/// How each experiment went, in the order in which they were begun.
pub fn timings(entries: &[Entry]) -> Vec<Timing> {
    let mut found: Vec<(ExperimentId, Timing)> = Vec::new();
    for entry in entries {
        let Some(id) = entry.event.experiment() else { continue };
        let index = found.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            found.push((id, Timing::default()));
            found.len() - 1
        });
        found[index].1.take_in(entry);
    }
    found.into_iter().map(|(_, timing)| timing).collect()
}

impl Timing {
    fn take_in(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Proposing { number, proposer, .. } => {
                self.number = *number;
                self.proposer.clone_from(proposer);
                self.proposing.get_or_insert(entry.at);
            }
            Event::Proposed { candidate, hypothesis, cost, .. } => {
                self.candidate = Some(candidate.clone());
                self.hypothesis.clone_from(hypothesis);
                self.cost = *cost;
                self.proposed = Some(entry.at);
            }
            Event::Repaired { candidate, cost, .. } => {
                (self.candidate, self.cost) = (Some(candidate.clone()), *cost);
            }
            Event::NotProposed { reason, cost, .. } => {
                (self.given_up, self.cost) = (Some(reason.clone()), *cost);
            }
            Event::BuildEnded { exit, seconds, .. } => self.build = Some((exit.clone(), seconds.0)),
            Event::RunStarted { run, .. } => self.runs.push(*run),
            Event::RunEnded { exit, seconds, value, .. } => {
                (self.exit, self.seconds, self.value) = (Some(exit.clone()), seconds.0, *value);
            }
            Event::Judged { judgement, .. } => self.reason = Some(judgement.reason.clone()),
            Event::Recorded { .. } => self.recorded.push(entry.at),
            _ => {}
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
