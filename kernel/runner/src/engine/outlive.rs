//! What would end the night, told when it begins and while it goes on; and the room that a loop leaves on the disk.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lab::Seconds;

use super::Engine;
use crate::RunnerError;
use crate::outlive::{self, Allocation, Finding, Places, Weight};

/// How often it is looked again.
const AGAIN: Duration = Duration::from_secs(60);
/// What is left beside a run when the machine is taken away.
const MARGIN: Seconds = Seconds(60.0);
/// How many findings `loop start` says.
const SAID: usize = 2;

/// What was seen, and when.
#[derive(Default)]
pub(crate) struct Seen {
    /// What a person should know, a sentence each.
    pub(crate) warnings: Vec<String>,
    /// The batch system's allocation: it may take a while to ask for.
    allocation: Option<Allocation>,
    at: Option<Instant>,
}

impl Engine {
    fn places(&self) -> Places {
        Places { repository: self.paths.state.clone(), cache: self.paths.cache.clone() }
    }

    /// Looks at what a loop until `deadline` has to fear. Returns when it has to end, and what to say.
    pub(super) fn look_ahead(
        &self,
        deadline: Option<Timestamp>,
        budget: Seconds,
    ) -> (Option<Timestamp>, Vec<String>) {
        let now = Timestamp::now();
        let mut facts = crate::blocking::here(|| outlive::probe(&self.host.variables, &self.places()));
        facts.growth = outlive::remembered(&self.paths);
        let found = outlive::findings(&facts, now, deadline);
        let stop = outlive::end(&found).map(|end| {
            let before = SignedDuration::from_secs_f64(budget.0 + MARGIN.0);
            end.checked_sub(before).unwrap_or(end).max(now)
        });
        let deadline = match (deadline, stop) {
            (Some(deadline), Some(stop)) => Some(deadline.min(stop)),
            (deadline, stop) => deadline.or(stop),
        };
        let warnings = warnings(&found);
        let mut live = self.live();
        live.seen =
            Seen { warnings: warnings.clone(), allocation: facts.allocation, at: Some(Instant::now()) };
        (deadline, said(warnings))
    }

    /// Between two experiments: what would end the night now. A disk that is nearly full is trouble.
    pub(super) fn look_around(&self) {
        {
            let live = self.live();
            let on = live.current.as_ref().is_some_and(|current| current.ending.is_none() && !current.paused);
            if !on || live.trouble.is_some() {
                return;
            }
        }
        if let Err(error) = self.roomy() {
            self.endure(&error);
        }
        self.look_again();
    }

    /// Whether the disks have the room that a loop leaves to others.
    pub(super) fn roomy(&self) -> Result<(), RunnerError> {
        let places = self.places();
        let full = [("repository", &places.repository), ("cache", &places.cache)]
            .into_iter()
            .filter_map(|(what, path)| outlive::folder(what, path))
            .find_map(|folder| outlive::cramped(&folder));
        full.map_or(Ok(()), |why| Err(RunnerError::Cramped(why)))
    }

    fn look_again(&self) {
        let (deadline, allocation) = {
            let live = self.live();
            if live.seen.at.is_some_and(|at| at.elapsed() < AGAIN) {
                return;
            }
            (live.current.as_ref().and_then(|current| current.deadline), live.seen.allocation.clone())
        };
        let mut variables = self.host.variables.clone();
        variables.0.remove("SLURM_JOB_ID");
        let mut facts = crate::blocking::here(|| outlive::probe(&variables, &self.places()));
        facts.allocation = allocation;
        facts.growth = outlive::remembered(&self.paths);
        let found = outlive::findings(&facts, Timestamp::now(), deadline);
        let mut live = self.live();
        live.seen.warnings = warnings(&found);
        live.seen.at = Some(Instant::now());
    }
}

fn warnings(found: &[Finding]) -> Vec<String> {
    let worth = found.iter().filter(|finding| finding.weight > Weight::Note);
    worth.map(Finding::to_string).collect()
}

/// What `loop start` says of it.
fn said(mut warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(SAID);
    warnings.truncate(SAID);
    if more > 0 {
        warnings.push(format!("`doctor` names {more} more that the night may not outlive"));
    }
    warnings
}
