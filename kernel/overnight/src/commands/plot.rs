//! `plot`: charts.

use frames::{DataFrame, FramesError, numbers, words};
use view::chart::{Drawing, Kind, Part, Series};

use super::look::Shelf;
use crate::failure::{ExitCode, Failure};
use crate::grammar::{PlotArgs, PlotKind, Which};
use crate::session::{Session, of_one_clone};
use crate::sink::Sink;

/// Draws a chart.
pub(super) fn run(args: &PlotArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let chart = match args.kind {
        PlotKind::Progress => {
            let metric = shelf.metric(session)?;
            view::chart::progress(&of_one_clone(&shelf.experiments), &metric)
        }
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
            let (name, points) = frames::curve(&frames.running(&shelf.tag)?, wanted.as_deref())?;
            wanted.get_or_insert(name);
            series.push(("running".to_owned(), points));
        } else {
            let experiment = shelf.find(which)?;
            let (name, points) = shelf.curve(experiment, wanted.as_deref())?;
            wanted.get_or_insert(name);
            series
                .push((format!("exp {}: {}", shelf.label(experiment), experiment.record.hypothesis), points));
        }
    }
    Ok(view::chart::curves(series, "step", wanted.as_deref().unwrap_or("loss")))
}

/// `sql --chart KIND X Y [COLOUR]`: a chart of two columns of a frame, a series for each value of a third.
pub(super) fn columns(
    frame: &DataFrame,
    kind: &str,
    x: &str,
    y: &str,
    colour: Option<&str>,
) -> Result<view::chart::Chart, Failure> {
    let kind = match kind {
        "line" => Kind::Line,
        "steps" => Kind::Steps,
        "points" => Kind::Points,
        other => {
            return Err(Failure::new(format!("there is no chart `{other}`"))
                .hint("line, steps or points")
                .code(ExitCode::Usage));
        }
    };
    let layers = vec![part(frame, kind, x, y, colour)?];
    Ok(Drawing { title: String::new(), x: x.to_owned(), y: y.to_owned(), layers }.chart())
}

/// Two columns of a frame, a series for each value of a third.
pub(crate) fn part(
    frame: &DataFrame,
    kind: Kind,
    x: &str,
    y: &str,
    by: Option<&str>,
) -> Result<Part, FramesError> {
    let groups = by.map(|by| words(frame, by)).transpose()?;
    let mut series: Vec<Series> = Vec::new();
    for (row, (at_x, at_y)) in numbers(frame, x)?.into_iter().zip(numbers(frame, y)?).enumerate() {
        let (Some(at_x), Some(at_y)) = (at_x, at_y) else { continue };
        let name = groups.as_ref().map_or(y, |groups| groups[row].as_str());
        let known = series.iter().position(|one| one.name == name).unwrap_or_else(|| {
            series.push(Series { name: name.to_owned(), points: Vec::new() });
            series.len() - 1
        });
        series[known].points.push((at_x, at_y));
    }
    Ok(Part { kind, series })
}
