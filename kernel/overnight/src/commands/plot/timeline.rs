//! `plot timeline`: who did what, and when.
//!
//! What was done here is in the journal, step by step. Of another clone's experiments only the records are here: when
//! each began, and how long it took.

use std::collections::{BTreeMap, HashMap, HashSet};

use frames::DataFrame;
use lab::{Experiment, Status};
use serde_json::Value;
use view::chart::{Chart, Span, Work};

use super::Shelf;
use crate::failure::Failure;
use crate::grammar::PlotArgs;
use crate::session::Session;

pub(super) fn chart(args: &PlotArgs, shelf: &Shelf, session: &Session) -> Result<Chart, Failure> {
    let zone = jiff::tz::TimeZone::system();
    let events = super::frames(session)?.events(&shelf.tag)?;
    let mut story = Story::read(&events, &shelf.experiments)?;
    let mut said = Vec::new();
    if story.spans.is_empty() {
        let spans: Vec<Span> = shelf.experiments.iter().map(|one| recorded(one, shelf)).collect();
        let mut lanes: Vec<String> = spans.iter().map(|span| span.lane.clone()).collect();
        lanes.sort();
        lanes.dedup();
        if !spans.is_empty() {
            said.push(
                "from the records alone: when each began and how long it took; who waited is known only where the loop ran"
                    .to_owned(),
            );
        }
        return Ok(view::chart::timeline(&spans, &lanes, &[], &said, &zone));
    }
    let told: HashSet<String> = story.spans.iter().map(|span| span.label.clone()).collect();
    let own = shelf.experiments.iter().filter(|one| shelf.peers.name(&one.record.writer).is_none());
    let untold: Vec<&Experiment> = own.filter(|one| !told.contains(&shelf.label(one))).collect();
    if args.all {
        story.spans.extend(untold.iter().map(|one| recorded(one, shelf)));
    } else if !untold.is_empty() {
        said.push(format!("{} are known by their records alone, which `--all` draws", untold.len()));
    }
    if !args.all
        && let Some(begin) = story.marks.iter().rfind(|(_, word)| word == BEGAN).map(|(at, _)| *at)
    {
        let before = story.spans.len();
        story.spans.retain(|span| span.to >= begin);
        story.marks.retain(|(at, _)| *at >= begin);
        if story.spans.len() < before {
            said.push("the last loop; `--all` draws what was before too".to_owned());
        }
    }
    let others =
        shelf.experiments.iter().filter(|one| shelf.peers.name(&one.record.writer).is_some()).count();
    if others > 0 {
        said.push(format!("{others} of other clones are not drawn"));
    }
    let lanes = story.lanes();
    Ok(view::chart::timeline(&story.spans, &lanes, &story.marks, &said, &zone))
}

const BEGAN: &str = "loop began";

/// What a record alone says.
fn recorded(experiment: &Experiment, shelf: &Shelf) -> Span {
    let record = &experiment.record;
    let from = record.started.as_millisecond() as f64 / 1000.0;
    let whose = shelf.peers.name(&record.writer).map(|name| format!("{name}: ")).unwrap_or_default();
    Span {
        lane: format!("{whose}{}", record.proposer),
        work: work(record.status),
        from,
        to: from + record.seconds.0,
        label: shelf.label(experiment),
        words: record.hypothesis.clone(),
    }
}

fn work(status: Status) -> Work {
    match status {
        Status::Keep => Work::Kept,
        Status::Crash | Status::Timeout | Status::Invalid => Work::Failed,
        Status::Discard | Status::Suspect | Status::Waiting => Work::Running,
    }
}

/// What the events tell.
#[derive(Default)]
struct Story {
    spans: Vec<Span>,
    marks: Vec<(f64, String)>,
}

/// An experiment on its way.
#[derive(Default)]
struct Trial {
    proposer: String,
    hypothesis: String,
    proposing: Option<f64>,
    waiting: Option<f64>,
    /// Since when it is built or runs, as what, and in which slot.
    busy: Option<(f64, Work, u64)>,
}

impl Story {
    fn read(events: &DataFrame, experiments: &[Experiment]) -> Result<Self, Failure> {
        let status: HashMap<String, Status> =
            experiments.iter().map(|one| (one.record.id.to_string(), one.record.status)).collect();
        let (mut story, mut trials) = (Self::default(), HashMap::<String, Trial>::new());
        let columns = (
            frames::numbers(events, "at")?,
            frames::numbers(events, "experiment")?,
            frames::words(events, "event")?,
            frames::words(events, "detail")?,
        );
        let mut last = 0.0;
        for row in 0..events.height() {
            let Some(at) = columns.0[row].map(|micros| micros / 1e6) else { continue };
            last = at;
            let event = columns.2[row].as_str();
            match event {
                "loop_started" => story.marks.push((at, BEGAN.to_owned())),
                "loop_ended" => story.marks.push((at, "loop ended".to_owned())),
                "loop_paused" => story.marks.push((at, "paused".to_owned())),
                "loop_resumed" => story.marks.push((at, "resumed".to_owned())),
                _ => {}
            }
            if !STEPS.contains(&event) {
                continue;
            }
            let Ok(detail) = serde_json::from_str::<Value>(&columns.3[row]) else { continue };
            let Some(id) = detail["experiment"].as_str() else { continue };
            let trial = trials.entry(id.to_owned()).or_default();
            let number = columns.1[row].map_or_else(|| "?".to_owned(), |number| number.to_string());
            story.step(event, at, &detail, trial, &number, status.get(id).copied());
        }
        // What is on its way, up to the last that is known.
        let mut open: Vec<(String, Trial)> = trials.into_iter().collect();
        open.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, trial) in open {
            if let Some((from, work, slot)) = trial.busy {
                story.push(format!("slot {slot}"), work, (from, last), "on its way", &trial.hypothesis);
            }
        }
        Ok(story)
    }

    fn step(
        &mut self,
        event: &str,
        at: f64,
        detail: &Value,
        trial: &mut Trial,
        number: &str,
        status: Option<Status>,
    ) {
        match event {
            "proposing" => {
                detail["proposer"].as_str().unwrap_or("?").clone_into(&mut trial.proposer);
                trial.proposing = Some(at);
            }
            "proposed" | "not_proposed" | "repaired" => {
                let words = detail["hypothesis"].as_str().or(detail["reason"].as_str()).unwrap_or_default();
                if let Some(from) = trial.proposing.take() {
                    self.push(trial.proposer.clone(), Work::Proposing, (from, at), number, words);
                }
                if event == "proposed" {
                    words.clone_into(&mut trial.hypothesis);
                }
                trial.waiting = (event != "not_proposed").then_some(at);
            }
            "build_started" | "run_started" => {
                if let Some(from) = trial.waiting.take() {
                    self.push(trial.proposer.clone(), Work::Waiting, (from, at), number, &trial.hypothesis);
                }
                let work = if event == "build_started" { Work::Building } else { Work::Running };
                trial.busy = Some((at, work, detail["slot"].as_u64().unwrap_or(0)));
            }
            "build_ended" | "run_ended" => {
                let Some((from, work, slot)) = trial.busy.take() else { return };
                let exit = detail["exit"].as_str().unwrap_or_default();
                let work = match (work, status) {
                    _ if exit != "0" => Work::Failed,
                    (Work::Running, Some(status)) => self::work(status),
                    (work, _) => work,
                };
                self.push(format!("slot {slot}"), work, (from, at), number, &trial.hypothesis);
            }
            _ => {}
        }
    }

    fn push(&mut self, lane: String, work: Work, (from, to): (f64, f64), label: &str, words: &str) {
        self.spans.push(Span { lane, work, from, to, label: label.to_owned(), words: words.to_owned() });
    }

    /// The proposers by when they began, then the slots.
    fn lanes(&self) -> Vec<String> {
        let mut first: BTreeMap<&str, f64> = BTreeMap::new();
        for span in &self.spans {
            let known = first.entry(&span.lane).or_insert(span.from);
            *known = known.min(span.from);
        }
        let is_slot = |lane: &str| lane.strip_prefix("slot ").and_then(|n| n.parse::<u32>().ok());
        let mut lanes: Vec<(&str, f64)> = first.into_iter().collect();
        lanes.sort_by(|a, b| match (is_slot(a.0), is_slot(b.0)) {
            (None, None) => a.1.total_cmp(&b.1),
            (a, b) => a.cmp(&b),
        });
        lanes.into_iter().map(|(lane, _)| lane.to_owned()).collect()
    }
}

/// The events of an experiment's way that are drawn.
const STEPS: [&str; 8] = [
    "proposing",
    "proposed",
    "not_proposed",
    "repaired",
    "build_started",
    "build_ended",
    "run_started",
    "run_ended",
];
