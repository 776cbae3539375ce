//! What was read of a ledger, folded: brought up to date by what is new, and shared with whoever asks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use git2::Oid;
use jiff::Timestamp;
use lab::{CommitId, Entry, EventId, Experiment, ExperimentId, Record};

use crate::{repeats::Repeats, walk::Walk};

/// A ledger as it is at one of its commits. What has not changed since an earlier look is the same in memory, by
/// which [`since`](Self::since) tells what is new.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The commit.
    pub tip: Option<CommitId>,
    /// Every experiment, its events folded in: those of other clones in the order of time, then this clone's in the
    /// order of their numbers.
    pub experiments: Arc<Vec<Experiment>>,
    /// Every event, in the order of time.
    pub events: Arc<Vec<Arc<Entry>>>,
}

impl Known {
    /// What came after everything of `before`, of experiments and of events; `None` where something in between has come
    /// or changed, so that what was made of `before` is to be made anew.
    pub fn since(&self, before: &Self) -> Option<(&[Experiment], &[Arc<Entry>])> {
        let (experiments, events) = (before.experiments.len(), before.events.len());
        let (old, new) = self.experiments.split_at_checked(experiments)?;
        let (heard, said) = self.events.split_at_checked(events)?;
        let same = old.iter().zip(&*before.experiments).all(|(a, b)| Arc::ptr_eq(&a.record, &b.record))
            && heard.iter().zip(&*before.events).all(|(a, b)| Arc::ptr_eq(a, b));
        same.then_some((new, said))
    }
}

/// An experiment as it was recorded.
#[derive(Debug)]
struct Held {
    record: Arc<Record>,
    /// The tree that its record is in.
    folder: Oid,
    /// Its events, in no order.
    events: Vec<Arc<Entry>>,
}

/// What was read of one ledger.
#[derive(Debug, Default)]
pub(crate) struct Cached {
    pub(crate) known: Known,
    held: HashMap<ExperimentId, Held>,
    seen: HashSet<EventId>,
    /// Events of experiments that have not come yet.
    early: HashMap<ExperimentId, Vec<Arc<Entry>>>,
    /// What was tried before.
    pub(crate) repeats: Repeats,
    /// How much of it is in the file beside the ledger.
    pub(crate) kept: usize,
}

impl Cached {
    /// How many records and events it has.
    pub(crate) fn size(&self) -> usize {
        self.held.len() + self.seen.len()
    }

    /// The tree in which an experiment's files are.
    pub(crate) fn folder(&self, id: ExperimentId) -> Option<Oid> {
        self.held.get(&id).map(|held| held.folder)
    }

    /// An experiment as it was recorded.
    pub(crate) fn recorded(&self, id: ExperimentId) -> Option<&Record> {
        self.held.get(&id).map(|held| held.record.as_ref())
    }

    /// Every record as it was written, each with its tree, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&Record, Oid)> {
        self.held.values().map(|held| (held.record.as_ref(), held.folder))
    }

    /// Takes in what is new; `own` is this clone's writer.
    pub(crate) fn add(&mut self, walk: Walk, own: &str) {
        let touched = self.add_events(walk.events);
        let (mut fresh, mut again) = (Vec::new(), false);
        for (record, folder) in walk.records {
            let id = record.id;
            let events = self.early.remove(&id).unwrap_or_default();
            let record = Arc::new(record);
            self.repeats.expect(id);
            let held = Held { record, folder, events };
            fresh.push(folded(&held));
            again |= self.held.insert(id, held).is_some();
        }
        let list = Arc::make_mut(&mut self.known.experiments);
        if again {
            // The same experiment at two paths, as after a merge with a copied clone.
            *list = self.held.values().map(folded).collect();
            list.sort_by(|a, b| order(own, &a.record).cmp(&order(own, &b.record)));
            return;
        }
        for id in touched {
            let Some(held) = self.held.get(&id) else { continue };
            let key = order(own, &held.record);
            if let Ok(at) = list.binary_search_by(|other| order(own, &other.record).cmp(&key)) {
                list[at] = folded(held);
            }
        }
        fresh.sort_by(|a, b| order(own, &a.record).cmp(&order(own, &b.record)));
        append(list, fresh, |a, b| order(own, &a.record).cmp(&order(own, &b.record)));
    }

    /// Takes in events, and gives the experiments that are known already and that some of them are about.
    fn add_events(&mut self, events: Vec<Entry>) -> HashSet<ExperimentId> {
        let mut touched = HashSet::new();
        let mut fresh = Vec::new();
        for entry in events {
            if !self.seen.insert(entry.id) {
                continue;
            }
            let entry = Arc::new(entry);
            if let Some(id) = entry.event.experiment() {
                match self.held.get_mut(&id) {
                    Some(held) => {
                        held.events.push(Arc::clone(&entry));
                        touched.insert(id);
                    }
                    None => self.early.entry(id).or_default().push(Arc::clone(&entry)),
                }
            }
            fresh.push(entry);
        }
        fresh.sort_by_key(|entry| (entry.at, entry.id));
        append(Arc::make_mut(&mut self.known.events), fresh, |a, b| (a.at, a.id).cmp(&(b.at, b.id)));
        touched
    }
}

/// An experiment as it is now. Each event makes another record of it, by which it is seen that it has changed.
fn folded(held: &Held) -> Experiment {
    if held.events.is_empty() {
        return Experiment::fold(Arc::clone(&held.record), []);
    }
    let mut events: Vec<&Entry> = held.events.iter().map(Arc::as_ref).collect();
    events.sort_by_key(|entry| (entry.at, entry.id));
    Experiment::fold(Record::clone(&held.record), events)
}

/// Adds what is sorted to what is sorted; nothing is moved where it comes after it, as it mostly does.
fn append<T>(all: &mut Vec<T>, fresh: Vec<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    let after = all.last().zip(fresh.first()).is_none_or(|(last, first)| order(last, first).is_le());
    all.extend(fresh);
    if !after {
        all.sort_by(order);
    }
}

/// The others', by time; then this clone's, by number. The id comes last: two may have the same number after mischief.
fn order<'a>(own: &str, record: &'a Record) -> (bool, Option<Timestamp>, &'a str, u64, ExperimentId) {
    let own = record.writer == own;
    (own, (!own).then_some(record.started), record.writer.as_str(), record.number, record.id)
}
