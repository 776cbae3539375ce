//! What would end the night, told when it begins and while it goes on; and the room that a loop leaves on the disk.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use lab::{Event, Seconds};

use super::Engine;
use crate::RunnerError;
use crate::outlive::{self, Allocation, Finding, Places, Weight};

/// How often it is looked again.
const AGAIN: Duration = Duration::from_secs(60);
/// How often it is looked whether there is room again.
pub(super) const ROOM: Duration = Duration::from_secs(5);
/// What is left beside a run when the machine is taken away.
const MARGIN: Seconds = Seconds(60.0);
/// How many findings `loop start` says.
const SAID: usize = 2;

/// What was seen, and when.
#[derive(Default)]
pub(crate) struct Seen {
    /// What a person should know, a sentence each.
    pub(crate) warnings: Vec<String>,
    /// Whether the loop is paused until there is room on the disk.
    pub(crate) cramped: bool,
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
        live.seen = Seen {
            warnings: warnings.clone(),
            cramped: false,
            allocation: facts.allocation,
            at: Some(Instant::now()),
        };
        (deadline, said(warnings))
    }

    /// Between two experiments: pauses where the disk is nearly full and goes on when it is not, and looks again at
    /// what would end the night.
    pub(super) async fn look_around(&self) -> Result<(), RunnerError> {
        let cramped = {
            let live = self.live();
            let Some(current) = live.current.as_ref().filter(|current| current.ending.is_none()) else {
                return Ok(());
            };
            if current.paused && !live.seen.cramped {
                return Ok(());
            }
            live.seen.cramped
        };
        let places = self.places();
        let full = [("repository", &places.repository), ("cache", &places.cache)]
            .into_iter()
            .filter_map(|(what, path)| outlive::folder(what, path))
            .find_map(|folder| outlive::cramped(&folder));
        match full {
            Some(why) if !cramped => {
                let why = format!(
                    "the disk is nearly full: {why}. It goes on by itself when there is room, at once by `loop resume`"
                );
                self.pause(Some(why)).await?;
                self.live().seen.cramped = true;
            }
            None if cramped => {
                let tag = self.live().tag.clone();
                self.write_lasting(&tag, "overnight", Event::LoopResumed).await?;
                let mut live = self.live();
                (live.seen.cramped, live.problem) = (false, None);
                if let Some(current) = &mut live.current {
                    current.paused = false;
                }
            }
            _ => {}
        }
        self.look_again();
        Ok(())
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
