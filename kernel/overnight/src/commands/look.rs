//! Looking: the table, one experiment, its metrics, log and diff, and SQL.

use std::sync::Arc;

use lab::{CommitId, Experiment, Peers, Tag};
use ledger::Ledger;
use serde_json::json;
use view::Metric;

use super::constants;
use crate::failure::{ExitCode, Failure};
use crate::grammar::{DiffArgs, ExperimentsArgs, OneArgs, Sort, SqlArgs, TagArgs, Which};
use crate::session::{Session, Tables, find, peers};
use crate::sink::Sink;

/// Lines of a log that are shown.
const LOG_LINES: usize = 200;
/// Rows of a run's metrics that are shown; JSON has them all.
const METRIC_ROWS: usize = 20;

/// The ledger of a command, its line of research and the experiments in it.
pub(super) struct Shelf {
    tables: Tables,
    pub(super) tag: Tag,
    pub(super) experiments: Arc<Vec<Experiment>>,
    /// The names of the clones that they are from.
    pub(super) peers: Peers,
    own: String,
}

impl Shelf {
    pub(super) fn open(session: &Session, tag: &TagArgs) -> Result<Self, Failure> {
        let tables = session.frames(session.ledger()?)?;
        let tag = session.tag(tables.ledger(), tag.tag.as_ref())?;
        let experiments = tables.ledger().known(&tag)?.experiments;
        let own = tables.ledger().writer()?;
        let peers = peers(&experiments, &own);
        Ok(Self { tables, tag, experiments, peers, own })
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.tables.ledger()
    }

    pub(super) fn find(&self, which: &Which) -> Result<&Experiment, Failure> {
        find(&self.experiments, which, &self.tag, &self.own)
    }

    /// The number as people write it: `17`, or `ada/17` for another clone's.
    pub(super) fn label(&self, experiment: &Experiment) -> String {
        self.peers.label(&experiment.record)
    }

    /// The metric as the newest experiment has it, else as the program says.
    pub(super) fn metric(&self, session: &Session) -> Result<Metric, Failure> {
        metric_of(self.experiments.last(), session, self.ledger())
    }

    /// What an experiment changed: against its parent, or against the commit before a baseline's.
    pub(super) fn change(&self, experiment: &Experiment) -> Result<String, Failure> {
        match &experiment.record.parent {
            Some(parent) => Ok(self.ledger().diff(parent, &experiment.record.candidate)?),
            None => Ok(String::new()),
        }
    }

    /// A metric of one experiment over its steps, and the metric's name.
    pub(super) fn curve(
        &self,
        experiment: &Experiment,
        wanted: Option<&str>,
    ) -> Result<(String, Vec<(f64, f64)>), Failure> {
        let record = &experiment.record;
        let metrics = frames::recorded(self.ledger(), &self.tag, record.id, record.number)?;
        Ok(frames::curve(&metrics, wanted)?)
    }
}

/// The metric as the newest experiment has it, with the program's unit; where there is none, as the program says.
pub(super) fn metric_of(
    newest: Option<&Experiment>,
    session: &Session,
    ledger: &Ledger,
) -> Result<Metric, Failure> {
    let program = session.lab(ledger);
    match newest {
        Some(newest) => {
            // Another metric may have had another unit.
            let its = |lab: &lab::Lab| lab.metric == newest.record.metric;
            let unit = program.ok().filter(its).and_then(|lab| lab.unit);
            Ok(Metric { unit, ..Metric::of(newest) })
        }
        None => Ok(Metric::from(&program?)),
    }
}

pub(super) fn experiments(args: &ExperimentsArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut shelf = Shelf::open(session, &args.tag)?;
    let metric = shelf.metric(session)?;
    let mut options = view::Options::new(metric.clone());
    options.statuses.clone_from(&args.status);
    options.proposer.clone_from(&args.proposer);
    options.text.clone_from(&args.text);
    options.reverse = args.reverse;
    options.top = args.top;
    options.limit =
        if args.page.is_some() { args.rows } else { args.rows.max(args.top.unwrap_or(0) as u64) } as usize;
    options.page = args.page.map(|page| page as usize);
    options.width = sink.width();
    options.peers = shelf.peers.clone();
    options.sort = match args.sort {
        Sort::Number if args.top.is_some() => view::Sort::Value,
        Sort::Number => view::Sort::Number,
        Sort::Value => view::Sort::Value,
        Sort::Delta => view::Sort::Delta,
        Sort::Seconds => view::Sort::Seconds,
        Sort::Cost => view::Sort::Cost,
        Sort::Memory => view::Sort::Memory,
        Sort::Newest => view::Sort::Newest,
    };
    if !session.json {
        let experiments = Arc::clone(&shelf.experiments);
        for experiment in view::shown(&experiments, &options) {
            let record = &experiment.record;
            // One spoilt file must not take the table away.
            let losses = shelf.tables.losses(&shelf.tag, record.id, record.number).unwrap_or_default();
            options.losses.insert(record.id, losses.to_vec());
        }
    }
    let shown = view::experiments(&shelf.experiments, &options);
    sink.show(if session.json {
        let root = shelf.ledger().root().display().to_string();
        let mut chosen = view::choose(&shelf.experiments, &options);
        let peer = |experiment: &Experiment| shelf.peers.name(&experiment.record.writer).is_some();
        chosen.sort_by_key(|experiment| (!peer(experiment), experiment.record.number));
        let metric = (metric.name.as_str(), metric.direction, metric.unit.as_deref());
        let mut value = frames::experiments_json(&root, &shelf.tag, metric, &chosen);
        for (row, experiment) in chosen.iter().enumerate() {
            if let Some(peer) = shelf.peers.name(&experiment.record.writer) {
                value["experiments"][row]["peer"] = json!(peer);
            }
        }
        shown.with(view::bundle::JSON, value)
    } else {
        shown
    });
    Ok(())
}

pub(super) fn experiment(
    which: &Which,
    tag: &TagArgs,
    session: &Session,
    sink: &dyn Sink,
) -> Result<(), Failure> {
    let shelf = Shelf::open(session, tag)?;
    let experiment = shelf.find(which)?;
    let metric = shelf.metric(session)?;
    let diff = shelf.change(experiment)?;
    let curves = beside_parent(&shelf, experiment)?;
    let json = serde_json::to_value(experiment).map_err(|error| Failure::new(error.to_string()))?;
    let log = shelf.ledger().log(&shelf.tag, experiment.record.id)?;
    let baseline = shelf.experiments.iter().find(|other| {
        let same =
            other.record.epoch == experiment.record.epoch && other.record.writer == experiment.record.writer;
        other.record.baseline && same && other.record.value.is_some()
    });
    let shown = view::experiment(&view::Page {
        experiment,
        label: shelf.label(experiment),
        metric: &metric,
        baseline: baseline.and_then(|baseline| baseline.record.value),
        diff: (!diff.is_empty()).then_some(&diff),
        curve: curves,
        log: Some(&log),
        zone: jiff::tz::TimeZone::system(),
    });
    sink.show(shown.with(view::bundle::JSON, json!({"schema": lab::SCHEMA, "experiment": json})));
    Ok(())
}

/// The curve of an experiment beside that of the one that it builds on; none where it has reported nothing.
fn beside_parent(shelf: &Shelf, experiment: &Experiment) -> Result<Option<view::chart::Chart>, Failure> {
    let (name, points) = shelf.curve(experiment, None)?;
    if points.is_empty() {
        return Ok(None);
    }
    let mut curves = vec![(format!("experiment {}", shelf.label(experiment)), points)];
    let record = &experiment.record;
    let parent = shelf.experiments.iter().rfind(|other| {
        Some(&other.record.candidate) == record.parent.as_ref() && other.record.id != record.id
    });
    if let Some(parent) = parent {
        let (_, points) = shelf.curve(parent, Some(&name))?;
        curves.extend((!points.is_empty()).then(|| (format!("parent {}", shelf.label(parent)), points)));
    }
    Ok(Some(view::chart::curves(curves, "step", &name)))
}

pub(super) fn metrics(args: &OneArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let which = frame_of(&args.which, &ledger, &tag)?;
    let frame = session.frames(ledger)?.metrics(&tag, which)?;
    let shown = view::table(&frame, METRIC_ROWS);
    sink.show(if session.json {
        shown.with(view::bundle::JSON, frames::metrics_json(&frame))
    } else {
        shown
    });
    Ok(())
}

/// Whose metrics a person means.
pub(super) fn frame_of(which: &Which, ledger: &Ledger, tag: &Tag) -> Result<frames::Which, Failure> {
    let experiments = match which {
        Which::Running => return Ok(frames::Which::Running),
        _ => ledger.experiments(tag)?,
    };
    match (find(&experiments, which, tag, &ledger.writer()?), which) {
        (Ok(Experiment { record, .. }), _) => Ok(frames::Which::Recorded(record.id, record.number)),
        // It may be running, and not in the ledger yet.
        (Err(_), Which::Number(number)) => Ok(frames::Which::Number(*number)),
        (Err(failure), _) => Err(failure),
    }
}

pub(super) fn log(args: &OneArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let bytes = if args.which == Which::Running {
        let paths = session.paths(&ledger)?;
        let live = session.frames(ledger)?.live(&tag)?;
        let run = live.last().ok_or_else(|| {
            Failure::new("no experiment is running").hint("`loop status` says what the loop does")
        })?;
        let path = paths.run(run.run).join("log");
        std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?
    } else {
        let experiments = ledger.experiments(&tag)?;
        ledger.log(&tag, find(&experiments, &args.which, &tag, &ledger.writer()?)?.record.id)?
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    sink.show(
        view::log(&bytes, LOG_LINES).with(view::bundle::JSON, json!({"schema": lab::SCHEMA, "log": text})),
    );
    Ok(())
}

pub(super) fn diff(args: &DiffArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let a = shelf.find(&args.a)?;
    let unified = match &args.b {
        Some(b) => shelf.ledger().diff(&a.record.candidate, &shelf.find(b)?.record.candidate)?,
        None => shelf.change(a)?,
    };
    let commit = |experiment: &Experiment| -> CommitId { experiment.record.candidate.clone() };
    let json = json!({"schema": lab::SCHEMA, "a": commit(a), "diff": unified});
    let shown = if unified.is_empty() {
        view::plain(match args.b {
            Some(_) => "no difference",
            None => "no difference: a baseline is the lab as it was",
        })
    } else {
        view::diff(&unified)
    };
    sink.show(shown.with(view::bundle::JSON, json));
    Ok(())
}

pub(super) fn sql(args: &SqlArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let query = args.query.join(" ");
    if query.trim().is_empty() {
        return Err(Failure::new("there is no query")
            .hint("SELECT * FROM experiments")
            .code(ExitCode::Usage));
    }
    let to = file_of(&args.to, session)?;
    let mut frames = session.frames(ledger)?;
    if query.to_lowercase().contains(constants::TABLE) {
        constants::lend(&mut frames, session, &tag)?;
    }
    let frame = frames.sql(&tag, &query)?;
    if let Some(name) = &args.save {
        frames.save(name, &frame)?;
    }
    if let Some((format, path)) = &to {
        format.write(&frame, path)?;
        sink.show(view::plain(&format!("{} rows written to {}", frame.height(), path.display())));
        return Ok(());
    }
    if let [kind, x, y, colour @ ..] = args.chart.as_slice() {
        sink.show(super::plot::columns(&frame, kind, x, y, colour.first().map(String::as_str))?.bundle());
        return Ok(());
    }
    let shown = view::page(&frame, args.rows as usize, args.page as usize);
    sink.show(if session.json { shown.with(view::bundle::JSON, frames::rows_json(&frame)) } else { shown });
    Ok(())
}

/// `--to FORMAT FILE`.
fn file_of(
    to: &[String],
    session: &Session,
) -> Result<Option<(frames::Format, std::path::PathBuf)>, Failure> {
    let [format, file] = to else { return Ok(None) };
    let known = frames::Format::named(format).ok_or_else(|| {
        Failure::new(format!("`{format}` is no format")).hint("csv, parquet or arrow").code(ExitCode::Usage)
    })?;
    Ok(Some((known, session.folder.join(file))))
}
