//! `morning`: what has happened since somebody last looked.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::{Timestamp, Zoned};
use lab::status::{LoopState, LoopStatus};
use lab::{CommitId, Event, Experiment, ExperimentId, Said, Tag};
use ledger::Ledger;
use serde::{Deserialize, Serialize};
use view::{Gain, Morning};

use super::look::Shelf;
use super::watcher::Watcher;
use super::whole::write_whole;
use crate::failure::Failure;
use crate::grammar::{MorningArgs, Since};
use crate::session::{Session, of_one_clone};
use crate::sink::Sink;

/// How many changes are shown.
const CHANGES: usize = 3;

/// When somebody last looked in this clone, in `looked.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Looked {
    schema: u32,
    tag: Tag,
    /// The ledger's commit that was seen.
    tip: CommitId,
    at: Timestamp,
}

/// What has come since.
struct New {
    since: Option<Timestamp>,
    /// The experiments that came, where that is told by the ledger rather than by the clock.
    came: Option<HashSet<ExperimentId>>,
}

/// Tells it, and remembers that it was told.
pub(super) async fn run(args: &MorningArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let status = Watcher::open(session)?.status().await?;
    tokio::task::block_in_place(|| {
        let shelf = Shelf::open(session, &args.tag)?;
        let now = Zoned::now();
        let tip = shelf.ledger().tip(&shelf.tag)?;
        let before = looked(shelf.ledger());
        let new = match args.since {
            Some(since) => New { since: Some(moment(since, &now)?), came: None },
            None => New::of(before, &shelf)?,
        };
        show(&new, &status, &shelf, &now, session, sink)?;
        if let Some(tip) = tip {
            let mark = Looked { schema: lab::SCHEMA, tag: shelf.tag.clone(), tip, at: now.timestamp() };
            remember(shelf.ledger(), &mark)?;
        }
        Ok(())
    })
}

fn show(
    new: &New,
    status: &LoopStatus,
    shelf: &Shelf,
    now: &Zoned,
    session: &Session,
    sink: &dyn Sink,
) -> Result<(), Failure> {
    let ledger = shelf.ledger();
    let all = of_one_clone(&shelf.experiments);
    let (came, old): (Vec<Experiment>, Vec<Experiment>) =
        all.iter().cloned().partition(|experiment| new.has(experiment));
    let own = all.last().map(|last| last.record.writer.as_str());
    let others =
        shelf.experiments.iter().filter(|e| Some(e.record.writer.as_str()) != own && new.has(e)).count();
    let mut gains: Vec<&Experiment> = came
        .iter()
        .filter(|e| e.record.status == lab::Status::Keep && !e.record.baseline && e.record.delta.is_some())
        .collect();
    let size = |e: &Experiment| e.record.delta.filter(|delta| delta.is_finite()).map_or(0.0, f64::abs);
    gains.sort_by(|a, b| size(b).total_cmp(&size(a)));
    gains.truncate(CHANGES);
    let gains = gains
        .into_iter()
        .map(|experiment| Gain { experiment, diff: shelf.change(experiment).unwrap_or_default() })
        .collect();
    let events = ledger.known(&shelf.tag)?.events;
    let said = Said::fold(events.iter().map(AsRef::as_ref));
    let ideas = session.lab(ledger).map(|lab| lab.ideas).unwrap_or_default();
    let metric = shelf.metric(session)?;
    // What the runner says is of the line of research that it works on.
    let is_its = status.tag == shelf.tag;
    let idle = LoopStatus {
        state: LoopState::Idle,
        ended: None,
        report: None,
        problem: None,
        warnings: Vec::new(),
        ..status.clone()
    };
    let (shown, next) = view::morning(&Morning {
        tag: shelf.tag.as_str(),
        since: new.since.map(|since| since.to_zoned(now.time_zone().clone())),
        now: now.clone(),
        new: &came,
        all: &all,
        others,
        metric: &metric,
        before: lab::experiment::best(&old),
        gains,
        status: if is_its { status } else { &idle },
        ideas: said.with_program(&ideas).ideas.len(),
    });
    sink.show(shown);
    if let Some(next) = next {
        sink.propose(&next);
    }
    Ok(())
}

impl New {
    /// What has come since somebody looked; where nobody has, since the last loop began.
    fn of(before: Option<Looked>, shelf: &Shelf) -> Result<Self, Failure> {
        let ledger = shelf.ledger();
        let Some(before) = before else {
            let events = ledger.known(&shelf.tag)?.events;
            let writer = ledger.writer()?;
            let begun = events.iter().rfind(|entry| {
                matches!(entry.event, Event::LoopStarted { .. }) && entry.writer.as_ref() == Some(&writer)
            });
            return Ok(Self { since: begun.map(|entry| entry.at), came: None });
        };
        let since = Some(before.at);
        if before.tag != shelf.tag {
            return Ok(Self { since, came: None });
        }
        let changes = ledger.changes(&shelf.tag, Some(&before.tip))?;
        // A ledger that was put back is told by the clock.
        let came = (!changes.complete).then(|| changes.records.iter().map(|record| record.id).collect());
        Ok(Self { since, came })
    }

    fn has(&self, experiment: &Experiment) -> bool {
        let record = &experiment.record;
        match (&self.came, self.since) {
            (Some(came), _) => came.contains(&record.id),
            (None, Some(since)) => record.ended() >= since,
            (None, None) => true,
        }
    }
}

/// The moment that a person means.
fn moment(since: Since, now: &Zoned) -> Result<Timestamp, Failure> {
    let zone = now.time_zone().clone();
    let found = match since {
        Since::At(at) => Ok(at),
        Since::Hours(hours) => jiff::SignedDuration::try_from_secs_f64(hours * 3600.0)
            .and_then(|ago| now.timestamp().checked_sub(ago)),
        Since::Here(at) => at.to_zoned(zone).map(|at| at.timestamp()),
        Since::Time(time) => {
            now.date().at(time.hour(), time.minute(), time.second(), 0).to_zoned(zone.clone()).and_then(
                |at| {
                    if at <= *now {
                        return Ok(at.timestamp());
                    }
                    now.date()
                        .yesterday()?
                        .at(time.hour(), time.minute(), time.second(), 0)
                        .to_zoned(zone)
                        .map(|at| at.timestamp())
                },
            )
        }
    };
    found.map_err(|error| Failure::new(format!("that is no time: {error}")))
}

fn mark_path(ledger: &Ledger) -> PathBuf {
    ledger.state_dir().join("looked.json")
}

/// When somebody last looked; a file that cannot be read is as none.
fn looked(ledger: &Ledger) -> Option<Looked> {
    serde_json::from_slice(&std::fs::read(mark_path(ledger)).ok()?).ok()
}

fn remember(ledger: &Ledger, mark: &Looked) -> Result<(), Failure> {
    let text = serde_json::to_vec(mark).map_err(|error| Failure::new(error.to_string()))?;
    write_whole(&mark_path(ledger), &text)
}
