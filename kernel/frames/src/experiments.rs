//! The table `experiments`: one row for each.

use std::collections::{BTreeSet, HashMap, HashSet};

use lab::{Event, Experiment, ExperimentId, Peers, Record};
use polars::prelude::{Column, DataFrame, DataType, PolarsResult};

use crate::columns::{flag, float, free, text, time, whole};

/// One row for each experiment, in their order: the fields of its record as it is now, then each summary value.
///
/// A summary value whose name is taken (`seconds`, `status`, …) is in the column with the suffix `_`. The
/// metric's own name is always among them, where any experiment has a value. `peer` is null for those of this clone.
pub(crate) fn frame(experiments: &[Experiment], peers: &Peers) -> PolarsResult<DataFrame> {
    let records = || experiments.iter().map(|experiment| &experiment.record);
    let ids: Vec<String> = records().map(|r| r.id.to_string()).collect();
    let notes: Vec<String> = experiments.iter().map(|e| e.notes.join("\n")).collect();
    let string = |value: Option<&'static str>| value;
    let mut columns = vec![
        whole("number", records().map(|r| Some(r.number))),
        text("id", ids.iter().map(|id| Some(id.as_str()))),
        text("status", records().map(|r| Some(r.status.word()))),
        float("value", records().map(|r| r.value)),
        float("delta", records().map(|r| r.delta)),
        float("confidence", records().map(|r| r.confidence)),
        text("parent", records().map(|r| r.parent.as_ref().map(lab::CommitId::as_str))),
        text("candidate", records().map(|r| Some(r.candidate.as_str()))),
        flag("baseline", records().map(|r| r.baseline)),
        text("hypothesis", records().map(|r| Some(r.hypothesis.as_str()))),
        text("proposer", records().map(|r| Some(r.proposer.as_str()))),
        time("started", records().map(|r| r.started))?,
        float("seconds", records().map(|r| Some(r.seconds.0))),
        whole("runs", records().map(|r| Some(r.runs.len() as u64))),
        text("reason", records().map(|r| Some(r.reason.as_str()))),
        text("claim", records().map(|r| string(r.claim.map(claim)))),
        text("judged", experiments.iter().map(|e| string(e.judged.map(lab::Status::word)))),
        text("notes", notes.iter().map(|notes| Some(notes.as_str()).filter(|notes| !notes.is_empty()))),
        text("author", records().map(|r| Some(r.author.as_str()))),
        text("metric", records().map(|r| Some(r.metric.as_str()))),
        text("direction", records().map(|r| Some(direction(r)))),
        text("epoch", records().map(|r| Some(r.epoch.as_str()))),
        text("program", records().map(|r| Some(r.program.as_str()))),
        text("rule", records().map(|r| Some(r.rule.as_str()))),
        text("writer", records().map(|r| Some(r.writer.as_str()))),
        text("peer", records().map(|r| peers.name(&r.writer))),
        text("tag", records().map(|r| Some(r.tag.as_str()))),
        float("usd", records().map(|r| Some(r.cost.usd))),
        whole("input_tokens", records().map(|r| Some(r.cost.input_tokens))),
        whole("output_tokens", records().map(|r| Some(r.cost.output_tokens))),
        text("host", records().map(|r| Some(r.environment.host.as_str()))),
        text("cpu", records().map(|r| Some(r.environment.cpu.as_str()))),
        text("gpu", records().map(|r| r.environment.gpu.as_deref())),
        text("toolchain", records().map(|r| r.environment.toolchain.as_deref())),
    ];
    let mut taken: BTreeSet<String> = columns.iter().map(|column| column.name().to_string()).collect();
    for name in summary_names(experiments) {
        columns.push(float(&free(name, &mut taken), records().map(|r| summary(r, name))));
    }
    DataFrame::new(experiments.len(), columns)
}

/// How many frames one below the other are put together again.
const PIECES: usize = 64;

/// The table with the rows of `new` experiments below it, which come after all of it; `None` where it would not be the
/// table of all of them. `own` is this clone: where another one's are there too, their names may change with any that
/// comes.
pub(crate) fn below(table: &DataFrame, new: &[Experiment], own: &str) -> PolarsResult<Option<DataFrame>> {
    let Some(first) = new.first() else { return Ok(Some(table.clone())) };
    let Some(last) = table.height().checked_sub(1) else { return Ok(None) };
    let number = table.column("number")?.i64()?.get(last);
    let text =
        |name: &str, row: usize| Ok::<_, polars::prelude::PolarsError>(table.column(name)?.str()?.get(row));
    let after = number.is_some_and(|number| number < first.record.number as i64)
        && text("writer", 0)? == Some(own)
        && text("writer", last)? == Some(own)
        && new.iter().all(|it| it.record.writer == own);
    // The columns are in an order that another metric, or a name that is nearly taken, may change.
    let metric = text("metric", last)?.unwrap_or_default();
    let usual = |it: &Experiment| {
        it.record.metric.as_str() == metric && !it.record.summary.keys().any(|name| name.ends_with('_'))
    };
    if !after || !new.iter().all(usual) {
        return Ok(None);
    }
    let rows = frame(new, &Peers::of(new.iter().map(|it| it.record.as_ref()), Some(own)))?;
    if rows.columns().iter().any(|column| table.column(column.name()).is_err()) {
        return Ok(None);
    }
    let null = |column: &Column| Column::full_null(column.name().clone(), rows.height(), &DataType::Float64);
    let columns = table.columns().iter();
    let columns = columns.map(|column| rows.column(column.name()).cloned().unwrap_or_else(|_| null(column)));
    let mut all = table.vstack(&DataFrame::new(rows.height(), columns.collect())?)?;
    if all.columns().first().is_some_and(|column| column.n_chunks() > PIECES) {
        all.rechunk_mut();
    }
    Ok(Some(all))
}

/// Whether an event changes the row of an experiment that was recorded before.
pub(crate) fn is_changed_by(event: &Event) -> bool {
    matches!(event, Event::Noted { .. } | Event::Overridden { .. } | Event::Claimed { .. })
}

/// Those of `ids` that are in the table.
pub(crate) fn among(table: &DataFrame, ids: Vec<ExperimentId>) -> PolarsResult<HashSet<ExperimentId>> {
    let mut wanted: HashMap<String, ExperimentId> = ids.into_iter().map(|id| (id.to_string(), id)).collect();
    let mut found = HashSet::new();
    for id in table.column("id")?.str()?.iter().flatten() {
        found.extend(wanted.remove(id));
    }
    Ok(found)
}

/// An experiment in the ledger, as queries know it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: ExperimentId,
    pub(crate) number: u64,
    /// The clone that it is from; `None` for this one.
    pub(crate) peer: Option<String>,
}

/// What each is called.
pub(crate) fn names(frame: &DataFrame) -> PolarsResult<Vec<Named>> {
    let ids = frame.column("id")?.str()?.iter();
    let numbers = frame.column("number")?.i64()?.iter();
    let peers = frame.column("peer")?.str()?.iter();
    let named = ids.zip(numbers).zip(peers).filter_map(|((id, number), peer)| {
        Some(Named {
            id: id?.parse().ok()?,
            number: u64::try_from(number?).ok()?,
            peer: peer.map(str::to_owned),
        })
    });
    Ok(named.collect())
}

/// The names of the summary values, the metric first.
fn summary_names(experiments: &[Experiment]) -> Vec<&str> {
    let metrics = experiments.iter().filter(|e| e.record.value.is_some()).map(|e| e.record.metric.as_str());
    let metrics: BTreeSet<&str> = metrics.collect();
    let others: BTreeSet<&str> =
        experiments.iter().flat_map(|e| e.record.summary.keys().map(String::as_str)).collect();
    metrics.iter().copied().chain(others.iter().copied().filter(|name| !metrics.contains(name))).collect()
}

/// A summary value; the metric's is its value where the summary lacks it, as of a run that was ended at its budget.
fn summary(record: &Record, name: &str) -> Option<f64> {
    let value = record.summary.get(name).copied();
    value.or_else(|| record.value.filter(|_| record.metric.as_str() == name))
}

fn claim(claim: lab::Claim) -> &'static str {
    match claim {
        lab::Claim::Unproven => "unproven",
        lab::Claim::Certified => "certified",
    }
}

fn direction(record: &Record) -> &'static str {
    match record.direction {
        lab::Direction::Minimize => "minimize",
        lab::Direction::Maximize => "maximize",
    }
}
