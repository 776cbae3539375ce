//! What is going on now: in memory only, made again from the journal by the next runner.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lab::status::Best;
use lab::{CommitId, ExperimentId, Seconds, Status, Tag};

use super::alerts::Alerts;
use super::outlive::Seen;
use super::trouble::Trouble;
use super::{Cause, End, Place};
use crate::history::{Counts, History, LoopSoFar, Trial};
use crate::machine;
use crate::proposers::{Outline, ProposeError};
use crate::protocol::StartOptions;
use crate::state::State;

/// How often a proposer may have nothing before the loop ends.
const NOTHING: u32 = 3;

/// What is going on.
pub(crate) struct Live {
    /// The tag of the current or last loop.
    pub(crate) tag: Tag,
    /// The loop that is on.
    pub(crate) current: Option<Current>,
    /// What the last loop was told.
    pub(crate) last: Option<StartOptions>,
    /// A loop that was cut off and not gone on with.
    pub(crate) interrupted: Option<LoopSoFar>,
    /// What each slot does.
    pub(crate) slots: Vec<Option<Trial>>,
    /// Whose candidates are being made.
    pub(crate) desk: Vec<Trial>,
    /// The commits that were made last, the newest at the end.
    pub(crate) made: VecDeque<CommitId>,
    /// What is to be started before anything new: people's, merged and recovered experiments.
    pub(crate) queue: VecDeque<Trial>,
    /// Numbers that are taken and not in the ledger.
    pub(crate) reserved: HashSet<(Tag, u64)>,
    /// What people ruled out while it was on its way.
    pub(crate) vetoed: HashSet<ExperimentId>,
    /// What matters of candidates that were looked at.
    pub(crate) outlines: HashMap<CommitId, Outline>,
    /// Of which files: paths or globs.
    pub(crate) outlined: Vec<String>,
    /// What is wrong with a hook.
    pub(crate) hook_problem: Option<String>,
    /// The best of the epoch that was worked on last.
    pub(crate) best: Option<Best>,
    /// What is wrong.
    pub(crate) problem: Option<String>,
    /// What needs a person.
    pub(crate) alerts: Alerts,
    /// Why the last loop ended.
    pub(crate) ended: Option<String>,
    /// Whether the report of the loop that has just ended is being written.
    pub(crate) reporting: bool,
    /// Where that report is.
    pub(crate) report: Option<String>,
    /// When it ended.
    pub(crate) ended_at: Option<Timestamp>,
    /// The lab's `setup`, while it runs, and since when.
    pub(crate) setup: Option<(String, Timestamp)>,
    /// The time that a run is meant to take.
    pub(crate) budget: Seconds,
    /// What may end the night.
    pub(crate) seen: Seen,
    /// Whether the runner ends as soon as it has nothing to do.
    pub(crate) retiring: bool,
    /// How many requests are being answered.
    pub(crate) asking: usize,
    /// Whether it ends now, so that nothing more may be asked of it.
    pub(crate) closed: bool,
    /// Whether the program lets candidates be made ahead.
    pub(crate) ahead: bool,
    /// When somebody last asked for something.
    pub(crate) asked: Instant,
    /// What is wrong with the machine, where the loop waits for its end.
    pub(crate) trouble: Option<Trouble>,
}

/// The loop that is on.
pub(crate) struct Current {
    pub(crate) options: StartOptions,
    /// What the researcher saw when it began: where a first baseline starts from.
    pub(crate) base: CommitId,
    pub(crate) since: Timestamp,
    /// When it ends, as it was told to people.
    pub(crate) deadline: Option<Timestamp>,
    /// When it ends, by [`machine::uptime`](crate::machine::uptime): a clock that is set does not move it.
    pub(crate) ends: Option<Duration>,
    pub(crate) counts: Counts,
    /// How often in a row the proposer had nothing.
    pub(crate) nothing: u32,
    /// Whether the proposer had nothing while something ran: it is asked again when there is news.
    pub(crate) resting: bool,
    pub(crate) paused: bool,
    pub(crate) stopping: bool,
    /// Why it ends as soon as nothing runs, if it does.
    pub(crate) ending: Option<(String, Cause)>,
}

impl Current {
    /// Ends it as soon as nothing runs; the first reason counts.
    pub(crate) fn end_with(&mut self, reason: String, cause: Cause) {
        self.ending.get_or_insert((reason, cause));
    }

    /// How much of its time is left; `None` where it has no end.
    pub(crate) fn left(&self) -> Option<Duration> {
        Some(self.ends?.saturating_sub(machine::uptime()))
    }
}

impl Live {
    pub(crate) fn new(history: &History, told: Option<StartOptions>) -> Self {
        let last = history.last.as_ref();
        Self {
            tag: last.map(|last| last.tag.clone()).unwrap_or_default(),
            current: None,
            last: told,
            interrupted: last.filter(|last| last.ended.is_none()).cloned(),
            slots: vec![None],
            desk: Vec::new(),
            made: VecDeque::new(),
            queue: VecDeque::new(),
            reserved: history.unfinished.iter().map(|trial| (trial.tag.clone(), trial.number)).collect(),
            vetoed: HashSet::new(),
            outlines: HashMap::new(),
            outlined: Vec::new(),
            hook_problem: None,
            best: None,
            problem: None,
            alerts: Alerts::default(),
            ended: last.and_then(|last| last.ended.clone()),
            reporting: false,
            report: None,
            ended_at: last.and_then(|last| last.ended_at),
            setup: None,
            budget: last.map_or(Seconds(0.0), |last| last.budget),
            seen: Seen::default(),
            retiring: false,
            asking: 0,
            closed: false,
            ahead: true,
            asked: Instant::now(),
            trouble: None,
        }
    }

    /// The loop has ended now.
    pub(crate) fn end(&mut self, reason: String) {
        self.ended = Some(reason);
        self.ended_at = Some(Timestamp::now());
    }

    /// How many slots the current loop may use.
    pub(crate) fn width(&self) -> usize {
        self.current.as_ref().map_or(1, |current| current.options.slots.max(1) as usize)
    }

    /// A slot that new work may have.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        self.slots.iter().take(self.width()).position(Option::is_none)
    }

    /// How many slots the loop could use now.
    fn free_slots(&self) -> usize {
        let taken = self.slots.iter().take(self.width()).flatten().count();
        self.width() - taken
    }

    /// How many experiments of the loop are to have a slot: candidates that are made, and that are being made.
    fn waiting(&self) -> usize {
        let queued = self.queue.iter().filter(|trial| trial.is_of_loop() && !trial.holds_slot());
        self.desk.len() + queued.filter(|trial| trial.tag == self.tag).count()
    }

    /// Whether the loop may have another candidate made now: for a slot that is free, or `ahead` for one that will be.
    pub(crate) fn may_propose(&self, ahead: bool, at_once: usize) -> bool {
        let at_once = at_once.min(self.width());
        let Some(current) = &self.current else { return false };
        let wanted = self.free_slots() + if ahead && self.ahead { self.width() } else { 0 };
        let open = !current.paused && !current.stopping && !current.resting && current.ending.is_none();
        open && self.has_room() && self.desk.len() < at_once && self.waiting() < wanted
    }

    /// Whether the loop may begin one more experiment than those that have ended and are on their way.
    pub(crate) fn has_room(&self) -> bool {
        self.current.as_ref().is_some_and(|current| {
            let planned = current.options.experiments;
            planned.is_none_or(|planned| current.counts.finished + self.in_flight() < planned)
        })
    }

    /// The proposers of what the loop has on its way, and those of what is being made.
    pub(crate) fn proposers(&self) -> (Vec<String>, Vec<String>) {
        let names = |trial: &Trial| trial.proposer.clone();
        let all = self.slots.iter().flatten().chain(&self.queue).chain(&self.desk);
        (all.map(names).collect(), self.desk.iter().map(names).collect())
    }

    /// Queues a candidate that a person made: before those of the loop that have not begun.
    pub(crate) fn queue_human(&mut self, trial: Trial) {
        let later = |other: &Trial| other.is_of_loop() && !other.holds_slot();
        let at = self.queue.iter().position(later).unwrap_or(self.queue.len());
        self.queue.insert(at, trial);
    }

    /// Gives a slot to a trial.
    pub(crate) fn take(&mut self, slot: usize, trial: &Trial) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(trial.clone());
    }

    /// Shows how far a trial has come.
    pub(crate) fn show(&mut self, trial: &Trial) {
        let shown = self.slots.iter_mut().flatten().chain(&mut self.desk);
        for shown in shown.filter(|shown| shown.id == trial.id) {
            shown.clone_from(trial);
        }
    }

    pub(crate) fn free(&mut self, place: Place, trial: &Trial) {
        match place {
            Place::Desk => self.desk.retain(|other| other.id != trial.id),
            Place::Slot(slot) => {
                if let Some(slot) = self.slots.get_mut(slot as usize) {
                    *slot = None;
                }
                // A slot that came free is news to a proposer that had nothing.
                if let Some(current) = &mut self.current {
                    current.resting = false;
                }
            }
        }
        if trial.state.is_final() {
            self.vetoed.remove(&trial.id);
            self.release(trial);
        }
    }

    /// Its number is in the ledger now, or free.
    pub(crate) fn release(&mut self, trial: &Trial) {
        self.reserved.remove(&(trial.tag.clone(), trial.number));
    }

    fn loop_of(&mut self, trial: &Trial) -> Option<&mut Current> {
        self.current.as_mut().filter(|current| trial.is_of_loop() && trial.tag == current.options.tag)
    }

    /// What is counted for the trial's loop, also for one that was cut off and has not gone on yet.
    fn counts_of(&mut self, trial: &Trial) -> Option<&mut Counts> {
        let current = self.current.as_mut().map(|current| (&current.options.tag, &mut current.counts));
        let last = self.interrupted.as_mut().map(|last| (&last.tag, &mut last.counts));
        let (tag, counts) = current.or(last)?;
        (trial.is_of_loop() && trial.tag == *tag).then_some(counts)
    }

    /// Counts a finished experiment.
    pub(crate) fn count(&mut self, trial: &Trial, status: Status) {
        if let Some(counts) = self.counts_of(trial) {
            counts.add(status, trial.cost);
        }
        if let Some(current) = self.loop_of(trial) {
            current.nothing = 0;
        }
        if let Some(current) = &mut self.current {
            current.resting = false;
        }
    }

    /// Counts a proposal that came to nothing.
    pub(crate) fn abandoned(&mut self, trial: &Trial, why: Option<&ProposeError>) {
        if let Some(counts) = self.counts_of(trial) {
            counts.add_cost(trial.cost);
        }
        let busy = self.slots.iter().any(Option::is_some);
        let (Some(current), Some(why)) = (self.loop_of(trial), why) else { return };
        let (often, cause) = match why {
            ProposeError::Nothing(_) => (NOTHING, Cause::Done),
            ProposeError::Failed(_) => (NOTHING, Cause::Failed),
            ProposeError::Over(_) => (1, Cause::Done),
            // The loop is paused: a person can mend it.
            ProposeError::Blocked(_) => return,
        };
        if busy && often > 1 {
            current.resting = true;
            return;
        }
        current.nothing += 1;
        if current.nothing >= often {
            current.end_with(why.to_string(), cause);
        }
    }

    /// How many experiments of the current loop are on their way.
    pub(crate) fn in_flight(&self) -> u64 {
        let all = self.slots.iter().flatten().chain(&self.queue).chain(&self.desk);
        all.filter(|trial| trial.is_of_loop() && trial.tag == self.tag).count() as u64
    }

    /// Whether a queued experiment may be begun, or gone on with, as things are. People's always may; one
    /// of a loop only while that loop may begin experiments, unless something of it is on already.
    pub(crate) fn may_go_on(&self, trial: &Trial) -> bool {
        let open = self.current.as_ref().is_some_and(|current| {
            current.ending.is_none() && !current.paused && current.options.tag == trial.tag
        });
        !trial.is_of_loop() || trial.holds_slot() || trial.state == State::Judged || open
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none()
            && !self.reporting
            && !self.queue.iter().any(|trial| self.may_go_on(trial))
            && self.slots.iter().all(Option::is_none)
            && self.desk.is_empty()
    }

    /// Whether there is nothing to do and nobody is asking for anything; nobody is heard from then on.
    pub(crate) fn close(&mut self) -> bool {
        self.closed = self.is_idle() && self.asking == 0;
        self.closed
    }

    /// Whether nobody has asked for anything for so long.
    pub(crate) fn quiet_for(&self, idle: Duration) -> bool {
        self.asked.elapsed() >= idle
    }

    /// How long until the loop's deadline, from now.
    pub(crate) fn until_deadline(&self) -> Option<Duration> {
        let current = self.current.as_ref().filter(|current| current.ending.is_none())?;
        Some(current.left()? + Duration::from_millis(5))
    }

    pub(crate) fn nothing_done(&self) -> End {
        let reason = self.ended.clone().unwrap_or_else(|| "there was nothing to do".to_owned());
        End { reason, cause: Cause::Done, experiments: 0, kept: 0 }
    }
}
