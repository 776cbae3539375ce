//! Ledger and live events as polars frames, and SQL over them.
//!
//! ```no_run
//! use frames::{Frames, Which};
//! use ledger::Ledger;
//!
//! let ledger = Ledger::open(std::path::Path::new("."))?;
//! let tag = lab::Tag::default();
//! let mut frames = Frames::new(ledger, "/home/ada/.cache/overnight/nanochat-1a2b");
//! println!("{}", frames.sql(&tag, "SELECT number, hypothesis, value FROM experiments WHERE status = 'keep'")?);
//! println!("{}", frames.metrics(&tag, Which::Number(17))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Four tables: `experiments`, `runs`, `metrics` and `events`. What is in the ledger comes from there; what a
//! run in progress prints comes from its run folder, and is there at the next look. Everything is read again
//! only as far as it is new.

mod cache;
mod columns;
mod constants;
mod error;
mod events;
mod experiments;
mod file;
mod journal;
mod json;
mod metrics;
mod named;
mod runs;
mod sql;
mod tail;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use constants::{Constant, constants};
pub use error::FramesError;
pub use file::{Format, read_arrow};
pub use journal::LiveRun;
pub use json::{experiments_json, metrics_json, rows_json};
use lab::{CommitId, Entry, Experiment, ExperimentId, Peers, RunId, Tag, metrics::Row};
use ledger::Ledger;
pub use polars::prelude::{DataFrame, PolarsResult};
pub use sql::TABLES;
pub use values::{curve, numbers, words};

use crate::{cache::Cache, error::making, experiments::Named, journal::Journal, metrics::Steps, tail::Tail};

/// So many experiments' metrics take longer to read one by one than all of them to write again.
const WORTH_KEEPING: usize = 100;

/// Which experiments' metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of this clone's experiment with this number, recorded or in progress.
    Number(u64),
    /// Those of an experiment in the ledger, and its number: any clone's.
    Recorded(ExperimentId, u64),
    /// Those of the runs that are not in the ledger yet.
    Running,
    /// Those of every experiment and of the runs in progress.
    All,
}

/// What a run in progress has reported of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningCurve {
    /// The slot that the run has.
    pub slot: u32,
    /// The number of its experiment.
    pub number: Option<u64>,
    /// The metric: a loss, where there is one.
    pub name: String,
    /// Its values, by step.
    pub points: Vec<(f64, f64)>,
}

/// The tables of one lab.
#[derive(Debug)]
pub struct Frames {
    ledger: Ledger,
    runs: PathBuf,
    cache: Cache,
    journal: Journal,
    /// The lines of each run in progress.
    tails: HashMap<RunId, Tail<Row, Steps>>,
    tags: HashMap<Tag, Known>,
    /// The folder of the frames that have a name.
    named: Option<PathBuf>,
    /// Further tables that were lent, by name.
    lent: HashMap<String, DataFrame>,
    /// Curves of recorded experiments, which never change.
    losses: HashMap<ExperimentId, Arc<[f64]>>,
}

/// What was made of one tag's ledger, each with the commit that it was made from.
#[derive(Debug, Default)]
struct Known {
    experiments: Option<Table>,
    /// The metrics of these experiments, which never change.
    metrics: Option<(HashSet<ExperimentId>, DataFrame)>,
}

/// The table `experiments`.
#[derive(Debug)]
struct Table {
    tip: Option<CommitId>,
    frame: DataFrame,
    /// How many rows of it are in a file.
    kept: usize,
}

/// So many curves are kept, of at most so many points each.
const CURVES: usize = 256;
const SHORT: usize = 4096;

impl Frames {
    /// The tables of a ledger. `cache` is the lab's cache folder, whose `runs/<run>/metrics.jsonl` the runs in
    /// progress write; journal and Arrow files are in the ledger's own state folder.
    pub fn new(ledger: Ledger, cache: impl AsRef<Path>) -> Self {
        let state = ledger.state_dir().to_owned();
        Self {
            ledger,
            runs: cache.as_ref().join("runs"),
            cache: Cache::new(&state.join("cache")),
            journal: Journal::new(state.join("events.jsonl")),
            tails: HashMap::new(),
            tags: HashMap::new(),
            named: None,
            lent: HashMap::new(),
            losses: HashMap::new(),
        }
    }

    /// With the frames that lie in this folder, each by the name of its file, as further tables for queries.
    #[must_use]
    pub fn with_named(mut self, folder: Option<&Path>) -> Self {
        self.named = folder.map(Path::to_owned);
        self
    }

    /// Gives a frame a name, by which queries find it from now on.
    pub fn save(&self, name: &str, frame: &DataFrame) -> Result<(), FramesError> {
        let Some(folder) = &self.named else { return Err(FramesError::NowhereToSave) };
        named::save(folder, name, frame)
    }

    /// Lends a further table to queries, in place of an earlier one of that name.
    pub fn lend(&mut self, name: &str, frame: DataFrame) {
        self.lent.insert(name.to_owned(), frame);
    }

    /// The ledger that is read.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reads on by a handle on this lab that has just been opened, and keeps what was read; see [`Ledger::renew`].
    pub fn renew(&mut self, fresh: Ledger) {
        self.ledger.renew(fresh);
    }

    /// The curve of a recorded experiment that says most of it, its values alone; cheap where it was asked for before.
    pub fn losses(&mut self, tag: &Tag, id: ExperimentId, number: u64) -> Result<Arc<[f64]>, FramesError> {
        if let Some(known) = self.losses.get(&id) {
            return Ok(Arc::clone(known));
        }
        let (_, points) = curve(&recorded(&self.ledger, tag, id, number)?, None)?;
        let losses: Arc<[f64]> = points.into_iter().map(|(_, value)| value).collect();
        if losses.len() <= SHORT {
            if self.losses.len() >= CURVES {
                self.losses.clear();
            }
            self.losses.insert(id, Arc::clone(&losses));
        }
        Ok(losses)
    }

    /// Every experiment in the ledger as it is now, in the ledger's order; cheap where nothing has changed.
    pub fn list(&mut self, tag: &Tag) -> Result<Arc<Vec<Experiment>>, FramesError> {
        Ok(self.ledger.known(tag)?.experiments)
    }

    /// The table `experiments`: one row for each in the ledger.
    pub fn experiments(&mut self, tag: &Tag) -> Result<DataFrame, FramesError> {
        let tip = self.ledger.tip(tag)?;
        let before = self.tags.entry(tag.clone()).or_default().experiments.take();
        let before = before.or_else(|| {
            let (commit, frame) = self.cache.read(tag, tip.as_ref()?)?;
            Some(Table { tip: Some(commit), kept: frame.height(), frame })
        });
        let table = match before {
            Some(table) if table.tip == tip => table,
            before => self.table_at(tag, tip, before)?,
        };
        let frame = table.frame.clone();
        self.tags.entry(tag.clone()).or_default().experiments = Some(table);
        Ok(frame)
    }

    /// The table as it is at `tip`: what it was `before` with new rows, where nothing else has changed.
    fn table_at(
        &mut self,
        tag: &Tag,
        tip: Option<CommitId>,
        before: Option<Table>,
    ) -> Result<Table, FramesError> {
        let mut kept = before.as_ref().map_or(0, |before| before.kept);
        let grown = match before {
            Some(before) => self.grown(tag, &before)?,
            None => None,
        };
        let frame = match grown {
            Some(frame) => frame,
            None => experiments::frame(&self.list(tag)?, &self.peers(tag)?).map_err(making("experiments"))?,
        };
        let height = frame.height();
        if let Some(tip) = &tip
            && (kept == 0 || height < kept || height >= kept + WORTH_KEEPING.max(height / 10))
        {
            self.cache.write(tag, tip, &frame);
            kept = height;
        }
        Ok(Table { tip, frame, kept })
    }

    /// The table with the experiments that have come since; `None` where it is to be made anew.
    fn grown(&self, tag: &Tag, before: &Table) -> Result<Option<DataFrame>, FramesError> {
        let Some(since) = &before.tip else { return Ok(None) };
        let mut changes = self.ledger.changes(tag, Some(since))?;
        if changes.complete || changes.events.iter().any(|entry| experiments::is_changed_by(&entry.event)) {
            return Ok(None);
        }
        changes.records.sort_by_key(|record| record.number);
        let new: Vec<Experiment> =
            changes.records.into_iter().map(|record| Experiment::fold(record, [])).collect();
        let own = self.ledger.writer()?;
        experiments::below(&before.frame, &new, &own).map_err(making("experiments"))
    }

    /// The table `runs`: one row for each execution, those in progress among them.
    pub fn runs(&mut self, tag: &Tag) -> Result<DataFrame, FramesError> {
        let live = self.live(tag)?;
        runs::frame(&self.list(tag)?, &live, &self.peers(tag)?).map_err(making("runs"))
    }

    /// The table `events`: those of the ledger and of the journal, each once, in the order of time.
    pub fn events(&mut self, tag: &Tag) -> Result<DataFrame, FramesError> {
        self.journal.look();
        let (list, peers) = (self.list(tag)?, self.peers(tag)?);
        let reserved = self.journal.numbers().iter().map(|(id, number)| (*id, (*number, None)));
        let recorded = list.iter().map(|e| &e.record);
        let recorded = recorded.map(|r| (r.id, (r.number, peers.name(&r.writer).map(str::to_owned))));
        let names = reserved.chain(recorded).collect();
        let lasting = self.ledger.events(tag)?;
        let journal = self.journal.entries().iter().filter(|entry| entry.tag == *tag);
        let mut seen = HashSet::new();
        let mut entries: Vec<&Entry> =
            lasting.iter().chain(journal).filter(|entry| seen.insert(entry.id)).collect();
        entries.sort_by_key(|entry| (entry.at, entry.id));
        events::frame(&entries, &names, &peers).map_err(making("events"))
    }

    /// The table `metrics`: one row for each step that was reported, by the runs in progress up to this moment.
    pub fn metrics(&mut self, tag: &Tag, which: Which) -> Result<DataFrame, FramesError> {
        let live = self.live(tag)?;
        match which {
            Which::Number(number) => self.metrics_of(tag, number, &live),
            Which::Recorded(id, number) => recorded(&self.ledger, tag, id, number),
            Which::Running => {
                let frames = live.iter().map(|run| self.live_metrics(run)).collect::<Result<Vec<_>, _>>()?;
                metrics::stack(frames).map_err(making("metrics"))
            }
            Which::All => {
                let recorded = self.recorded_metrics(tag)?;
                let live = live.iter().map(|run| self.live_metrics(run)).collect::<Result<Vec<_>, _>>()?;
                metrics::stack([recorded].into_iter().chain(live).collect()).map_err(making("metrics"))
            }
        }
    }

    /// The answer to a query over the tables that it names; only those are made.
    pub fn sql(&mut self, tag: &Tag, query: &str) -> Result<DataFrame, FramesError> {
        let kept = self.named.as_deref().map(named::list).unwrap_or_default();
        let lent = self.lent.clone();
        let mut known: Vec<&str> = TABLES.into_iter().collect();
        known.extend(kept.iter().map(|(name, _)| name.as_str()));
        known.extend(lent.keys().map(String::as_str));
        let mut tables = Vec::new();
        for name in sql::named(query, &known) {
            let frame = match (kept.iter().find(|(kept, _)| kept == name), lent.get(name)) {
                (Some((_, path)), _) => read_arrow(path).map_err(making("a named frame"))?,
                (None, Some(lent)) => lent.clone(),
                (None, None) => self.table(tag, name, Which::All)?,
            };
            tables.push((name.to_owned(), frame));
        }
        sql::run(query, tables, &known)
    }

    /// One of the [`TABLES`]; `which` is about the metrics alone.
    pub fn table(&mut self, tag: &Tag, name: &str, which: Which) -> Result<DataFrame, FramesError> {
        match name {
            "experiments" => self.experiments(tag),
            "metrics" => self.metrics(tag, which),
            "runs" => self.runs(tag),
            _ => self.events(tag),
        }
    }

    /// The runs whose experiments are not in the ledger yet: in progress, or about to be judged.
    pub fn live(&mut self, tag: &Tag) -> Result<Vec<LiveRun>, FramesError> {
        self.journal.look();
        let of_tag = self.journal.runs().iter().filter(|run| run.tag == *tag);
        let mut live: Vec<LiveRun> = of_tag.cloned().collect();
        if !live.is_empty() {
            let ids = live.iter().map(|run| run.experiment).collect();
            let recorded = experiments::among(&self.experiments(tag)?, ids).map_err(making("experiments"))?;
            live.retain(|run| !recorded.contains(&run.experiment));
        }
        let all: HashSet<RunId> = self.journal.runs().iter().map(|run| run.run).collect();
        self.tails.retain(|run, _| all.contains(run));
        Ok(live)
    }

    /// The metrics of the run that began last and is still in progress, up to this moment; no rows, where nothing
    /// runs.
    pub fn running(&mut self, tag: &Tag) -> Result<DataFrame, FramesError> {
        match self.live(tag)?.iter().rfind(|run| run.exit.is_none()) {
            Some(run) => self.live_metrics(run),
            None => metrics::empty().map_err(making("metrics")),
        }
    }

    /// A curve of each run in progress, up to this moment, in the order of their slots.
    pub fn curves_running(&mut self, tag: &Tag) -> Result<Vec<RunningCurve>, FramesError> {
        let mut runs: Vec<LiveRun> = self.live(tag)?.into_iter().filter(|run| run.exit.is_none()).collect();
        runs.sort_by_key(|run| run.slot);
        let one = |run: &LiveRun| {
            let (name, points) = curve(&self.live_metrics(run)?, None)?;
            Ok(RunningCurve { slot: run.slot, number: run.number, name, points })
        };
        runs.iter().map(one).collect()
    }

    fn metrics_of(&mut self, tag: &Tag, number: u64, live: &[LiveRun]) -> Result<DataFrame, FramesError> {
        let known: Vec<Named> = self.names(tag)?.into_iter().filter(|named| named.peer.is_none()).collect();
        if let Some(named) = known.iter().find(|named| named.number == number) {
            return recorded(&self.ledger, tag, named.id, number);
        }
        let its: Vec<&LiveRun> = live.iter().filter(|run| run.number == Some(number)).collect();
        if its.is_empty() {
            let numbers =
                || known.iter().map(|named| named.number).chain(live.iter().filter_map(|run| run.number));
            let known = numbers().min().zip(numbers().max());
            return Err(FramesError::UnknownExperiment { number, tag: tag.clone(), known });
        }
        let frames = its.into_iter().map(|run| self.live_metrics(run)).collect::<Result<Vec<_>, _>>()?;
        metrics::stack(frames).map_err(making("metrics"))
    }

    fn live_metrics(&mut self, run: &LiveRun) -> Result<DataFrame, FramesError> {
        let path = || self.runs.join(run.run.to_string()).join("metrics.jsonl");
        let tail = self.tails.entry(run.run).or_insert_with(|| Tail::new(path()));
        tail.look();
        tail.items.frame(run.number, run.index).map_err(making("metrics"))
    }

    fn recorded_metrics(&mut self, tag: &Tag) -> Result<DataFrame, FramesError> {
        let mut new = self.names(tag)?;
        let known = self.tags.entry(tag.clone()).or_default().metrics.take();
        let (mut seen, known) = known.or_else(|| self.cache.read_metrics(tag)).unwrap_or_default();
        new.retain(|named| !seen.contains(&named.id));
        let mut frames = vec![known];
        for Named { id, number, peer } in &new {
            let frame = recorded(&self.ledger, tag, *id, *number);
            let frame = frame.and_then(|frame| match peer {
                Some(peer) => metrics::of_peer(frame, peer).map_err(making("metrics")),
                None => Ok(frame),
            });
            match frame {
                Ok(frame) => frames.push(frame),
                // One spoilt file must not take the table away.
                Err(error) => tracing::warn!(number, %error, "metrics passed over"),
            }
        }
        seen.extend(new.iter().map(|named| named.id));
        let all = metrics::stack(frames).map_err(making("metrics"))?;
        if new.len() >= WORTH_KEEPING {
            self.cache.write_metrics(tag, &seen, &all);
        }
        self.tags.entry(tag.clone()).or_default().metrics = Some((seen, all.clone()));
        Ok(all)
    }

    /// What the experiments in the ledger are called; from the table, which is read sooner than the records.
    fn names(&mut self, tag: &Tag) -> Result<Vec<Named>, FramesError> {
        experiments::names(&self.experiments(tag)?).map_err(making("experiments"))
    }

    /// The clones that the ledger is from.
    fn peers(&mut self, tag: &Tag) -> Result<Peers, FramesError> {
        let own = self.ledger.writer()?;
        Ok(Peers::of(self.list(tag)?.iter().map(|experiment| experiment.record.as_ref()), Some(&own)))
    }
}

/// The metrics of the experiment in the ledger with this id, which has this number.
pub fn recorded(ledger: &Ledger, tag: &Tag, id: ExperimentId, number: u64) -> Result<DataFrame, FramesError> {
    metrics::from_parquet(number, ledger.metrics_file(tag, id)?).map_err(making("metrics"))
}
