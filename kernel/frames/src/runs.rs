//! The table `runs`: one row for each execution, those in progress among them.

use lab::{Experiment, Peers, Seconds};
use polars::prelude::{DataFrame, PolarsResult};

use crate::{
    columns::{float, text, whole},
    journal::LiveRun,
};

struct Row<'a> {
    number: Option<u64>,
    run: u64,
    id: String,
    seed: u64,
    value: Option<f64>,
    seconds: Option<Seconds>,
    exit: &'a str,
    peer: Option<&'a str>,
}

/// `experiment, run, id, seed, value, seconds, exit, peer`; the exit of a run in progress is `running`.
pub(crate) fn frame(experiments: &[Experiment], live: &[LiveRun], peers: &Peers) -> PolarsResult<DataFrame> {
    let recorded = experiments.iter().flat_map(|e| {
        e.record.runs.iter().enumerate().map(|(i, run)| Row {
            number: Some(e.record.number),
            run: i as u64,
            id: e.record.id.to_string(),
            seed: run.seed,
            value: run.value,
            seconds: Some(run.seconds),
            exit: &run.exit,
            peer: peers.name(&e.record.writer),
        })
    });
    let live = live.iter().map(|run| Row {
        number: run.number,
        run: run.index,
        id: run.experiment.to_string(),
        seed: run.seed,
        value: run.value,
        seconds: run.seconds,
        exit: run.exit.as_deref().unwrap_or("running"),
        peer: None,
    });
    let rows: Vec<Row> = recorded.chain(live).collect();
    let columns = vec![
        whole("experiment", rows.iter().map(|row| row.number)),
        whole("run", rows.iter().map(|row| Some(row.run))),
        text("id", rows.iter().map(|row| Some(row.id.as_str()))),
        whole("seed", rows.iter().map(|row| Some(row.seed))),
        float("value", rows.iter().map(|row| row.value)),
        float("seconds", rows.iter().map(|row| row.seconds.map(|seconds| seconds.0))),
        text("exit", rows.iter().map(|row| Some(row.exit))),
        text("peer", rows.iter().map(|row| row.peer)),
    ];
    DataFrame::new(rows.len(), columns)
}
