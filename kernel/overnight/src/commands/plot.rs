//! `plot`: charts.

use super::look::{Shelf, curve_name};
use crate::failure::Failure;
use crate::grammar::{PlotArgs, PlotKind, Which};
use crate::session::Session;
use crate::sink::Sink;

/// Draws a chart.
pub(super) fn run(args: &PlotArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let chart = match args.kind {
        PlotKind::Progress => view::chart::progress(&shelf.experiments, &shelf.metric(session)?),
        PlotKind::Curves => curves(args, &shelf, session)?,
    };
    sink.show(chart.bundle());
    Ok(())
}

fn curves(args: &PlotArgs, shelf: &Shelf, session: &Session) -> Result<view::chart::Chart, Failure> {
    let which = if args.which.is_empty() { &[Which::Best][..] } else { &args.which };
    let mut wanted = args.metric.clone();
    let mut series = Vec::new();
    for which in which {
        if *which == Which::Running {
            let mut frames = session.frames(session.ledger()?)?;
            let (_, rows) = frames.running(&shelf.tag)?;
            let name = wanted.get_or_insert_with(|| curve_name(rows)).clone();
            let points = rows.iter().filter_map(|row| Some((row.step as f64, *row.values.get(&name)?)));
            series.push(("running".to_owned(), points.collect()));
        } else {
            let experiment = shelf.find(*which)?;
            let (name, points) = shelf.curve(experiment, wanted.as_deref())?;
            wanted.get_or_insert(name);
            series.push((
                format!("exp {}: {}", experiment.record.number, experiment.record.hypothesis),
                points,
            ));
        }
    }
    Ok(view::chart::curves(series, "step", wanted.as_deref().unwrap_or("loss")))
}
