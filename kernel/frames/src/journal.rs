//! What the runner is doing, from its journal: the runs whose experiments are not in the ledger yet.

use std::{collections::HashMap, path::PathBuf};

use jiff::Timestamp;
use lab::{Entry, Event, ExperimentId, RunId, Seconds, Tag};

use crate::tail::Tail;

/// A run that the ledger does not hold yet: in progress, or ended and about to be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveRun {
    /// The line of research.
    pub tag: Tag,
    /// Its experiment.
    pub experiment: ExperimentId,
    /// The number reserved for that experiment.
    pub number: Option<u64>,
    /// The run, which names its folder.
    pub run: RunId,
    /// Which of the experiment's runs it is, from 0.
    pub index: u64,
    /// The slot that it has.
    pub slot: u32,
    /// The seed that it was given.
    pub seed: u64,
    /// The time that it is meant to take.
    pub budget: Seconds,
    /// When it began.
    pub started: Timestamp,
    /// How it ended, if it has.
    pub exit: Option<String>,
    /// The metric's value, if it has ended and printed one.
    pub value: Option<f64>,
    /// How long it took, if it has ended.
    pub seconds: Option<Seconds>,
}

/// The journal, read as it grows.
#[derive(Debug)]
pub(crate) struct Journal {
    tail: Tail<Entry>,
    /// How many entries are folded in.
    folded: usize,
    numbers: HashMap<ExperimentId, u64>,
    runs: Vec<LiveRun>,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { tail: Tail::new(path), folded: 0, numbers: HashMap::new(), runs: Vec::new() }
    }

    /// Reads what is new.
    pub(crate) fn look(&mut self) {
        if self.tail.look() {
            (self.folded, self.numbers, self.runs) = (0, HashMap::new(), Vec::new());
        }
        for entry in &self.tail.items[self.folded..] {
            fold(entry, &mut self.numbers, &mut self.runs);
        }
        self.folded = self.tail.items.len();
    }

    /// Every entry, oldest first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.tail.items
    }

    /// The runs that the ledger does not hold.
    pub(crate) fn runs(&self) -> &[LiveRun] {
        &self.runs
    }

    /// The numbers that were reserved.
    pub(crate) fn numbers(&self) -> &HashMap<ExperimentId, u64> {
        &self.numbers
    }
}

fn fold(entry: &Entry, numbers: &mut HashMap<ExperimentId, u64>, runs: &mut Vec<LiveRun>) {
    match &entry.event {
        Event::Proposing { experiment, number, .. } => {
            numbers.insert(*experiment, *number);
        }
        Event::NotProposed { experiment, .. } => {
            numbers.remove(experiment);
            runs.retain(|run| run.experiment != *experiment);
        }
        Event::RunStarted { experiment, run, slot, seed, budget } => {
            let index = runs.iter().filter(|known| known.experiment == *experiment).count() as u64;
            runs.push(LiveRun {
                tag: entry.tag.clone(),
                experiment: *experiment,
                number: numbers.get(experiment).copied(),
                run: *run,
                index,
                slot: *slot,
                seed: *seed,
                budget: *budget,
                started: entry.at,
                exit: None,
                value: None,
                seconds: None,
            });
        }
        Event::RunEnded { run, exit, value, seconds, .. } => {
            for known in runs.iter_mut().filter(|known| known.run == *run) {
                known.exit = Some(exit.clone());
                (known.value, known.seconds) = (*value, Some(*seconds));
            }
        }
        Event::Recorded { experiment, .. } => runs.retain(|run| run.experiment != *experiment),
        _ => {}
    }
}
