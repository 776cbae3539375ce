//! `plot`: charts.

mod frame;
pub(super) mod parameters;
mod pareto;
mod timeline;

use std::str::FromStr;

use lab::Experiment;
use view::Metric;
use view::chart::{Chart, Compared};

pub(super) use frame::columns;
pub(crate) use frame::part;

use super::{constants, look::Shelf};
use crate::failure::{ExitCode, Failure};
use crate::grammar::{PlotArgs, PlotKind, Which};
use crate::session::{Session, of_one_clone};
use crate::sink::Sink;

/// Draws a chart.
pub(super) fn run(args: &PlotArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    check(args)?;
    let shelf = Shelf::open(session, &args.tag)?;
    let own = of_one_clone(&shelf.experiments);
    let chart = match args.kind {
        PlotKind::Progress => view::chart::progress(&own, &shelf.metric(session)?),
        PlotKind::Curves => curves(args, &shelf, session)?,
        PlotKind::Compare => compare(args, &shelf, session)?,
        PlotKind::Pareto => pareto::chart(args, &shelf, session)?,
        PlotKind::Parameters => parameters::chart(&shelf, session)?,
        PlotKind::Timeline => timeline::chart(args, &shelf, session)?,
        PlotKind::Lineage => {
            let mut chart = view::chart::lineage(&own, &shelf.metric(session)?);
            let others = shelf.experiments.len() - own.len();
            if others > 0 {
                let aside = format!("{others} of other clones are not drawn");
                chart.subtitle = [chart.subtitle, aside]
                    .into_iter()
                    .filter(|s| !s.is_empty())
                    .collect::<Vec<_>>()
                    .join(" · ");
            }
            chart
        }
        PlotKind::Noise => view::chart::noise(&own, &shelf.metric(session)?),
    };
    sink.show(chart.bundle());
    Ok(())
}

/// Whether the chart takes what it was given.
fn check(args: &PlotArgs) -> Result<(), Failure> {
    let (least, most, what) = match args.kind {
        PlotKind::Curves => (0, usize::MAX, "experiments"),
        PlotKind::Compare => (1, 2, "two experiments: `plot compare 3 best`"),
        PlotKind::Pareto => (0, 2, "two columns: `plot pareto val_bpb peak_vram_mb`"),
        _ => (0, 0, "neither experiments nor columns"),
    };
    let kind = args.kind.name();
    let usage = |message: String| Err(Failure::new(message).code(ExitCode::Usage));
    if !(least..=most).contains(&args.of.len()) || (args.kind == PlotKind::Pareto && args.of.len() == 1) {
        return usage(format!("`plot {kind}` takes {what}"));
    }
    if args.metric.is_some() && !matches!(args.kind, PlotKind::Curves | PlotKind::Compare) {
        return usage(format!("`--metric` is for `plot curves` and `plot compare`, not for `plot {kind}`"));
    }
    if !(args.minimize.is_empty() && args.maximize.is_empty()) && args.kind != PlotKind::Pareto {
        return usage(format!("`--minimize` and `--maximize` are for `plot pareto`, not for `plot {kind}`"));
    }
    if args.all && args.kind != PlotKind::Timeline {
        return usage(format!("`--all` is for `plot timeline`, not for `plot {kind}`"));
    }
    Ok(())
}

fn which(args: &PlotArgs) -> Result<Vec<Which>, Failure> {
    let read = |word: &crate::grammar::Subject| {
        Which::from_str(&word.0)
            .map_err(|error| Failure::new(format!("`{}`: {error}", word.0)).code(ExitCode::Usage))
    };
    args.of.iter().map(read).collect()
}

fn curves(args: &PlotArgs, shelf: &Shelf, session: &Session) -> Result<Chart, Failure> {
    let mut which = which(args)?;
    if which.is_empty() {
        which.push(Which::Best);
    }
    let mut wanted = args.metric.clone();
    let mut series = Vec::new();
    for which in &which {
        if *which == Which::Running {
            let mut frames = session.frames(session.ledger()?)?;
            let (name, points) = frames::curve(&frames.running(&shelf.tag)?, wanted.as_deref())?;
            wanted.get_or_insert(name);
            series.push(("running".to_owned(), points));
        } else {
            let experiment = shelf.find(which)?;
            let (name, points) = curve(shelf, experiment, wanted.as_deref())?;
            wanted.get_or_insert(name);
            series
                .push((format!("exp {}: {}", shelf.label(experiment), experiment.record.hypothesis), points));
        }
    }
    let name = wanted.as_deref().unwrap_or("loss");
    let mut chart = view::chart::curves(series, "step", name);
    if let Some(label) = judged(name, &shelf.metric(session)?) {
        chart.y.label = label;
    }
    Ok(chart)
}

/// A metric of one experiment over its steps: the one that is wanted, else a loss, else the one that decides, else what
/// there is.
fn curve(
    shelf: &Shelf,
    experiment: &Experiment,
    wanted: Option<&str>,
) -> Result<(String, Vec<(f64, f64)>), Failure> {
    let (name, points) = shelf.curve(experiment, wanted)?;
    if wanted.is_none() && !name.contains("loss") {
        let (own, deciding) = shelf.curve(experiment, Some(experiment.record.metric.as_str()))?;
        if !deciding.is_empty() {
            return Ok((own, deciding));
        }
    }
    Ok((name, points))
}

/// What stands at the axis of a metric that is the lab's own: its unit and direction too.
fn judged(name: &str, metric: &Metric) -> Option<String> {
    (metric.name == name).then(|| metric.axis())
}

/// Two experiments; where one is named, that and the best.
fn compare(args: &PlotArgs, shelf: &Shelf, session: &Session) -> Result<Chart, Failure> {
    let mut which = which(args)?;
    if which.len() < 2 {
        which.push(Which::Best);
    }
    let (a, b) = (shelf.find(&which[0])?, shelf.find(&which[1])?);
    let (name, points) = curve(shelf, a, args.metric.as_deref())?;
    let compared = |e: &Experiment, points| Compared {
        label: shelf.label(e),
        hypothesis: e.record.hypothesis.clone(),
        value: e.record.value,
        points,
    };
    let a_drawn = compared(a, points);
    let b_drawn = compared(b, shelf.curve(b, Some(&name))?.1);
    let metric = shelf.metric(session)?;
    let y = judged(&name, &metric).unwrap_or(name);
    let lab = session.lab(shelf.ledger())?;
    let differing = constants::differing(shelf.ledger(), &lab, a, b)?;
    Ok(view::chart::compare(&a_drawn, &b_drawn, &y, &metric, &differing))
}

/// The tables that a chart is made of, for a ledger that a command holds already.
fn frames(session: &Session) -> Result<crate::session::Tables, Failure> {
    session.frames(session.ledger()?)
}
