//! The table `events`: what happened, when, and by whom.

use std::collections::HashMap;

use lab::{Entry, Event, ExperimentId, Peers};
use polars::prelude::{DataFrame, PolarsResult};
use serde_json::Value;

use crate::columns::{text, time, whole};

/// `at, author, event, experiment, text, detail, id, peer`, in the order of time: `text` is what people wrote or are
/// told, `detail` all fields of the event as JSON, `peer` the clone whose experiment it is about, or else that wrote it,
/// where it is another.
pub(crate) fn frame(
    entries: &[&Entry],
    names: &HashMap<ExperimentId, (u64, Option<String>)>,
    peers: &Peers,
) -> PolarsResult<DataFrame> {
    let ids: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
    let details: Vec<String> = entries.iter().map(|entry| detail(&entry.event)).collect();
    let name = |entry: &Entry| entry.event.experiment().and_then(|id| names.get(&id));
    let peer = |entry: &&Entry| match name(entry) {
        Some((_, peer)) => peer.as_deref(),
        None => entry.writer.as_deref().and_then(|writer| peers.name(writer)),
    };
    let columns = vec![
        time("at", entries.iter().map(|entry| entry.at))?,
        text("author", entries.iter().map(|entry| Some(entry.author.as_str()))),
        text("event", entries.iter().map(|entry| Some(entry.event.name()))),
        whole("experiment", entries.iter().map(|entry| name(entry).map(|(number, _)| *number))),
        text("text", entries.iter().map(|entry| words(&entry.event))),
        text("detail", details.iter().map(|detail| Some(detail.as_str()))),
        text("id", ids.iter().map(|id| Some(id.as_str()))),
        text("peer", entries.iter().map(peer)),
    ];
    DataFrame::new(entries.len(), columns)
}

fn words(event: &Event) -> Option<&str> {
    match event {
        Event::Steered { text, .. }
        | Event::Noted { text, .. }
        | Event::Idea { text, .. }
        | Event::IdeaMoved { text, .. }
        | Event::Hooked { text, .. } => Some(text),
        Event::Vetoed { pattern, .. } => Some(pattern),
        Event::LoopEnded { reason, .. }
        | Event::NotProposed { reason, .. }
        | Event::Repaired { reason, .. }
        | Event::Overridden { reason, .. } => Some(reason),
        Event::LoopPaused { reason } => reason.as_deref(),
        Event::Proposed { hypothesis, .. } => Some(hypothesis),
        Event::Judged { judgement, .. } => Some(&judgement.reason),
        Event::RunEnded { exit, .. } | Event::BuildEnded { exit, .. } => Some(exit),
        _ => None,
    }
}

fn detail(event: &Event) -> String {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("event");
    }
    value.to_string()
}
