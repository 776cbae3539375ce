//! What the journal tells, folded: the experiments that are not finished, and the last loop.

use std::collections::HashMap;

use jiff::Timestamp;
use lab::{
    CommitId, Cost, Entry, Event, EventId, ExperimentId, Judgement, RunId, RunRecord, Seconds, Status, Tag,
};

use crate::proposers::Doing;
use crate::state::{Illegal, State, next};

/// The proposer's name of what a person made by hand.
pub const HUMAN: &str = "human";
/// The proposer's name of a baseline.
pub const BASELINE: &str = "baseline";

/// One experiment on its way, as far as the journal tells.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its name for ever.
    pub id: ExperimentId,
    /// Its number.
    pub number: u64,
    /// The line of research.
    pub tag: Tag,
    /// Who caused it.
    pub author: String,
    /// How far it has come.
    pub state: State,
    /// When it came there.
    pub since: Timestamp,
    /// The slot that it has or had.
    pub slot: u32,
    /// What makes its candidate.
    pub proposer: String,
    /// The commit that it improves on; `None` for a baseline.
    pub parent: Option<CommitId>,
    /// The commit to be tried.
    pub candidate: Option<CommitId>,
    /// What is expected of it.
    pub hypothesis: String,
    /// What proposing it cost.
    pub cost: Cost,
    /// When its first build or run began.
    pub started: Option<Timestamp>,
    /// The build or run that was started last.
    pub run: Option<RunId>,
    /// Every build and run that was started.
    pub all_runs: Vec<RunId>,
    /// How its build ended, and how long it took.
    pub build: Option<(String, Seconds)>,
    /// The seed of the last run.
    pub seed: u64,
    /// How often it was mended after a failure.
    pub repairs: u32,
    /// The runs that ended.
    pub runs: Vec<RunRecord>,
    /// What was decided.
    pub judgement: Option<Judgement>,
    /// What its proposer is doing.
    pub doing: Doing,
}

impl Trial {
    /// A trial that nothing has happened to.
    pub fn new(id: ExperimentId, tag: &Tag, at: Timestamp) -> Self {
        Self {
            id,
            number: 0,
            tag: tag.clone(),
            author: String::new(),
            state: State::New,
            since: at,
            slot: 0,
            proposer: String::new(),
            parent: None,
            candidate: None,
            hypothesis: String::new(),
            cost: Cost::default(),
            started: None,
            run: None,
            all_runs: Vec::new(),
            build: None,
            seed: 0,
            repairs: 0,
            runs: Vec::new(),
            judgement: None,
            doing: Doing::default(),
        }
    }

    /// Whether it is the baseline of its epoch.
    pub fn is_baseline(&self) -> bool {
        self.parent.is_none()
    }

    /// Whether the loop made it, and so counts it.
    pub fn is_of_loop(&self) -> bool {
        self.proposer != HUMAN
    }

    /// Whether a proposer has to make its candidate.
    pub fn is_to_be_proposed(&self) -> bool {
        matches!(self.state, State::New | State::Proposing) && !self.is_baseline()
    }

    /// Whether it holds its slot: something of it may be running there.
    pub fn holds_slot(&self) -> bool {
        matches!(self.state, State::Building | State::Built | State::Running | State::Ran)
    }

    /// The event that gives it up.
    pub fn given_up(&self, reason: &str) -> Event {
        Event::NotProposed { experiment: self.id, reason: reason.to_owned(), cost: self.cost }
    }

    /// Takes in an event that happened to it.
    ///
    /// # Errors
    /// Where it cannot happen to it now; nothing is changed then.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Illegal> {
        self.state = next(self.state, &entry.event)?;
        self.since = entry.at;
        match &entry.event {
            Event::Proposing { number, slot, proposer, parent, .. } => {
                (self.number, self.slot) = (*number, *slot);
                (self.proposer, self.parent) = (proposer.clone(), parent.clone());
                self.author.clone_from(&entry.author);
            }
            Event::Proposed { candidate, hypothesis, cost, .. } => {
                self.candidate = Some(candidate.clone());
                self.hypothesis.clone_from(hypothesis);
                self.cost = *cost;
            }
            Event::NotProposed { cost, .. } => self.cost = *cost,
            Event::Repaired { candidate, cost, .. } => {
                self.candidate = Some(candidate.clone());
                self.cost = *cost;
                self.build = None;
                self.repairs += 1;
            }
            Event::BuildStarted { run, slot, .. } => {
                self.begin(*run, entry.at);
                self.slot = *slot;
            }
            Event::BuildEnded { exit, seconds, .. } => self.build = Some((exit.clone(), *seconds)),
            Event::RunStarted { run, slot, seed, .. } => {
                self.begin(*run, entry.at);
                (self.slot, self.seed) = (*slot, *seed);
            }
            Event::RunEnded { exit, value, seconds, .. } => {
                self.runs.push(RunRecord {
                    seed: self.seed,
                    value: *value,
                    seconds: *seconds,
                    exit: exit.clone(),
                });
            }
            Event::Judged { judgement, .. } => self.judgement = Some(judgement.clone()),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, run: RunId, at: Timestamp) {
        self.started.get_or_insert(at);
        self.run = Some(run);
        self.all_runs.push(run);
    }
}

/// The last loop.
#[derive(Clone, Debug)]
pub struct LoopSoFar {
    /// The event that began it.
    pub id: EventId,
    /// Its line of research.
    pub tag: Tag,
    /// When it began.
    pub since: Timestamp,
    /// When it is to end.
    pub deadline: Option<Timestamp>,
    /// How many experiments it is to do.
    pub experiments: Option<u64>,
    /// What makes its candidates.
    pub proposer: String,
    /// The time that a run is meant to take.
    pub budget: Seconds,
    /// How many runs at once.
    pub slots: u32,
    /// Its seed.
    pub seed: u64,
    /// Whether no new experiment is started.
    pub paused: bool,
    /// Whether it was told to stop (and at once).
    pub stopping: Option<bool>,
    /// Why it ended.
    pub ended: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether it ended because something is broken.
    pub failed: bool,
    /// What it has done.
    pub counts: Counts,
}

/// What a loop has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Experiments that it finished, the baseline among them.
    pub finished: u64,
    /// How many of them were kept.
    pub kept: u64,
    /// How many of the latest ones crashed or timed out, in a row.
    pub crashes: u32,
    /// How many of the latest ones were not kept, in a row.
    pub dry: u32,
    /// What proposing cost.
    pub cost: Cost,
}

impl Counts {
    /// Counts a finished experiment.
    pub fn add(&mut self, status: Status, cost: Cost) {
        self.finished += 1;
        self.kept += u64::from(status == Status::Keep);
        self.crashes = if matches!(status, Status::Crash | Status::Timeout) { self.crashes + 1 } else { 0 };
        self.dry = if status == Status::Keep { 0 } else { self.dry + 1 };
        self.add_cost(cost);
    }

    /// Counts what a proposal cost that came to nothing.
    pub fn add_cost(&mut self, cost: Cost) {
        self.cost += cost;
    }
}

/// Everything that a new runner has to know.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Experiments that were begun and not finished, in the order in which they were begun.
    pub unfinished: Vec<Trial>,
    /// The last loop, whether it ended or not.
    pub last: Option<LoopSoFar>,
    /// Events of the last loop that the ledger should have too.
    pub lasting: Vec<Entry>,
}

impl History {
    /// Folds a journal.
    pub fn fold(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        let mut open: HashMap<ExperimentId, (usize, Trial)> = HashMap::new();
        for (line, entry) in entries.iter().enumerate() {
            if let Some(id) = entry.event.experiment() {
                if matches!(
                    entry.event,
                    Event::Noted { .. }
                        | Event::Overridden { .. }
                        | Event::Claimed { .. }
                        | Event::IdeaMoved { .. }
                ) {
                    if entry.event.is_said() {
                        history.lasting.push(entry.clone());
                    }
                    continue;
                }
                let (_, trial) =
                    open.entry(id).or_insert_with(|| (line, Trial::new(id, &entry.tag, entry.at)));
                if let Err(illegal) = trial.apply(entry) {
                    tracing::warn!(%illegal, experiment = %id, "an event of the journal was passed over");
                }
                if trial.state.is_final() || trial.state == State::New {
                    let trial = open.remove(&id);
                    history.finish(trial.as_ref().map(|(_, trial)| trial));
                }
            } else {
                history.apply_loop(entry);
            }
        }
        let mut unfinished: Vec<_> = open.into_values().collect();
        unfinished.sort_by_key(|(line, _)| *line);
        history.unfinished = unfinished.into_iter().map(|(_, trial)| trial).collect();
        history
    }

    fn finish(&mut self, trial: Option<&Trial>) {
        if let (Some(trial), Some(last)) = (trial, &mut self.last)
            && trial.is_of_loop()
            && trial.tag == last.tag
        {
            match &trial.judgement {
                Some(judgement) if trial.state == State::Recorded => {
                    last.counts.add(judgement.status, trial.cost)
                }
                _ => last.counts.add_cost(trial.cost),
            }
        }
    }

    fn apply_loop(&mut self, entry: &Entry) {
        match &entry.event {
            Event::LoopStarted { proposer, budget, deadline, experiments, slots, seed, .. } => {
                self.lasting.clear();
                self.last = Some(LoopSoFar {
                    id: entry.id,
                    tag: entry.tag.clone(),
                    since: entry.at,
                    deadline: *deadline,
                    experiments: *experiments,
                    proposer: proposer.clone(),
                    budget: *budget,
                    slots: *slots,
                    seed: *seed,
                    paused: false,
                    stopping: None,
                    ended: None,
                    ended_at: None,
                    failed: false,
                    counts: Counts::default(),
                });
            }
            event => {
                if let Some(last) = &mut self.last {
                    match event {
                        Event::LoopPaused { .. } => last.paused = true,
                        Event::LoopResumed => (last.paused, last.stopping) = (false, None),
                        Event::LoopStopping { now } => last.stopping = Some(*now),
                        Event::LoopEnded { reason, failed } => {
                            (last.ended, last.failed) = (Some(reason.clone()), *failed);
                            last.ended_at = Some(entry.at);
                        }
                        _ => {}
                    }
                }
            }
        }
        if entry.event.lasts() {
            self.lasting.push(entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(event: Event) -> Entry {
        Entry {
            schema: lab::SCHEMA,
            id: EventId(uuid::Uuid::now_v7()),
            at: Timestamp::UNIX_EPOCH,
            author: "overnight".to_owned(),
            tag: Tag::default(),
            writer: None,
            event,
        }
    }

    fn begun(number: u64) -> (ExperimentId, Vec<Entry>) {
        let experiment = ExperimentId(uuid::Uuid::now_v7());
        let proposing = Event::Proposing {
            experiment,
            number,
            slot: 1,
            proposer: "search".into(),
            parent: Some(CommitId::new("p")),
        };
        let proposed = Event::Proposed {
            experiment,
            candidate: CommitId::new("c"),
            hypothesis: "A 1 → 2".into(),
            cost: Cost { usd: 0.5, ..Cost::default() },
        };
        (experiment, vec![entry(proposing), entry(proposed)])
    }

    #[test]
    fn finished_experiments_are_counted_and_others_carried_on() {
        let mut entries = vec![entry(Event::LoopStarted {
            proposer: "search".into(),
            budget: Seconds(1.0),
            deadline: None,
            experiments: Some(8),
            slots: 2,
            seed: 1,
            pid: 1,
        })];
        let (first, mut all) = begun(1);
        let run = RunId(uuid::Uuid::now_v7());
        all.push(entry(Event::RunStarted { experiment: first, run, slot: 1, seed: 3, budget: Seconds(1.0) }));
        let ended = Event::RunEnded {
            experiment: first,
            run,
            exit: "0".into(),
            value: Some(1.5),
            seconds: Seconds(1.0),
        };
        all.push(entry(ended));
        let judgement =
            Judgement { status: Status::Keep, reason: String::new(), delta: None, confidence: None };
        all.push(entry(Event::Judged { experiment: first, judgement }));
        entries.extend(all);
        let history = History::fold(&entries);
        assert_eq!(history.unfinished.len(), 1, "judged, and not yet in the ledger");
        assert_eq!(history.unfinished[0].runs[0].seed, 3);
        assert_eq!(history.last.as_ref().unwrap().counts.finished, 0);

        entries.push(entry(Event::Recorded { experiment: first, commit: CommitId::new("l") }));
        let (_, second) = begun(2);
        entries.extend(second);
        let (third, all) = begun(3);
        entries.extend(all);
        entries.push(entry(Event::NotProposed {
            experiment: third,
            reason: "stopped".into(),
            cost: Cost { usd: 0.25, ..Cost::default() },
        }));
        let history = History::fold(&entries);
        let numbers: Vec<u64> = history.unfinished.iter().map(|trial| trial.number).collect();
        assert_eq!(numbers, [2]);
        let counts = history.last.unwrap().counts;
        assert_eq!((counts.finished, counts.kept, counts.cost.usd), (1, 1, 0.75));
    }
}
