//! The chart of a night: every experiment, what was kept, and the running best.

use lab::{Direction, Experiment, Status};

use super::{Axis, Chart, Label, Layer, Line, Place, Point, Points, Shape};
use crate::{
    Metric,
    experiments::{headline, hypothesis},
    number::{count, duration, fixed, signed},
    standing::{Standing, decimals, improved, valued},
    style,
    text::{clip, one_line},
};

/// At most so many kept changes are labelled, those with the largest gains: more would hide the points.
const LABELS: usize = 12;

/// Every experiment by its number: grey dots for what was discarded, green for what was kept with its
/// hypothesis, the running best as a step line, and at the edge what crashed or lies beyond the axis.
pub fn progress(experiments: &[Experiment], metric: &Metric) -> Chart {
    let view = View { metric, decimals: decimals(experiments) };
    let domain = domain(experiments, metric.direction);
    let tried = experiments.iter().filter(|experiment| !experiment.record.baseline).count();
    let kept = experiments.iter().filter(|experiment| improved(experiment)).count();
    let standing = Standing::of(experiments);
    let beyond =
        valued(experiments).filter(|(_, value)| domain.is_some_and(|d| *value < d.0 || *value > d.1)).count();
    let subtitle = [
        headline(&standing, metric, view.decimals, &lab::Peers::default()),
        (beyond > 0).then(|| format!("{beyond} beyond the axis, at its edge")),
        (domain.is_none() && !experiments.is_empty())
            .then(|| format!("no value of {} yet", one_line(&metric.name))),
    ];
    let mut layers = vec![Layer::Rules(epochs(experiments))];
    layers.extend(view.points(experiments, domain));
    layers.insert(2, Layer::Line(running_best(experiments, metric.direction)));
    layers.push(Layer::Labels {
        colour: "#00694d",
        above: metric.direction == Direction::Minimize,
        labels: labels(experiments, &standing),
    });
    Chart {
        title: if experiments.is_empty() {
            "No experiments yet".to_owned()
        } else {
            format!(
                "{}, {}",
                count(tried, "experiment", "experiments"),
                count(kept, "kept improvement", "kept improvements")
            )
        },
        subtitle: subtitle.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        x: Axis { label: "experiment".to_owned(), whole: true, domain: None },
        y: Axis { label: metric.axis(), whole: false, domain },
        layers,
        size: (760, 440),
        compact: false,
    }
}

/// What the vertical axis spans: all that was kept, and of the rest what does not flatten that.
///
/// A candidate that ruined the metric says little by how much; it is drawn at the edge.
fn domain(experiments: &[Experiment], direction: Direction) -> Option<(f64, f64)> {
    // Turned so that lower is better.
    let sign = if direction == Direction::Minimize { 1.0 } else { -1.0 };
    let turned = |kept: bool| {
        valued(experiments)
            .filter(move |(e, _)| (e.record.status == Status::Keep || e.record.baseline) == kept)
            .map(move |(_, value)| sign * value)
    };
    let mut rest: Vec<f64> = turned(false).collect();
    let mut low = turned(true).reduce(f64::min);
    let mut high = turned(true).reduce(f64::max);
    if low.is_none() {
        low = rest.iter().copied().reduce(f64::min);
        high = low;
    }
    let (low, high) = (low?, high?);
    let span = high - low;
    rest.retain(|value| *value > high);
    rest.sort_by(f64::total_cmp);
    let typical = rest.get(rest.len() * 4 / 5).map_or(0.0, |value| value - high);
    let room = if span > 0.0 { typical.clamp(0.25 * span, 1.5 * span) } else { typical };
    let reach = rest.last().map_or(0.0, |worst| (worst - high).min(room));
    let whole = (span + reach).max(low.abs() * 1e-4).max(1e-9);
    let (low, high) = (low - whole * 0.08, high + reach + whole * 0.1);
    Some(if sign > 0.0 { (low, high) } else { (-high, -low) })
}

/// The best of each epoch so far, until the last experiment of that epoch.
fn running_best(experiments: &[Experiment], direction: Direction) -> Line {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut epoch = None;
    let mut best = None;
    for experiment in experiments {
        let record = &experiment.record;
        if epoch != Some(&record.epoch) {
            epoch = Some(&record.epoch);
            best = None;
            pieces.push(Vec::new());
        }
        if record.status == Status::Keep {
            best = match (best, record.value.filter(|value| value.is_finite())) {
                (Some(best), Some(value)) if !direction.better(value, best) => Some(best),
                (best, None) => best,
                (_, value) => value,
            };
        }
        if let (Some(best), Some(piece)) = (best, pieces.last_mut()) {
            piece.push((record.number as f64, best));
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    // Only where it changes, and its end.
    for piece in &mut pieces {
        let last = piece.last().copied();
        piece.dedup_by_key(|point| point.1.to_bits());
        if piece.last() != last.as_ref() {
            piece.extend(last);
        }
    }
    Line {
        name: "running best".to_owned(),
        colour: style::GREEN,
        steps: true,
        dashed: false,
        width: 2.0,
        pieces,
    }
}

/// A vertical line at each baseline after the first: what stands left of it is not to be compared.
fn epochs(experiments: &[Experiment]) -> Vec<Label> {
    experiments
        .windows(2)
        .filter(|pair| pair[0].record.epoch != pair[1].record.epoch)
        .map(|pair| Label { x: pair[1].record.number as f64 - 0.5, y: 0.0, text: "new epoch".to_owned() })
        .collect()
}

struct View<'a> {
    metric: &'a Metric,
    decimals: usize,
}

impl View<'_> {
    fn points(&self, experiments: &[Experiment], domain: Option<(f64, f64)>) -> Vec<Layer> {
        type Kind = (&'static str, &'static str, Shape, f64, f64, fn(&Experiment) -> bool);
        let kinds: [Kind; 5] = [
            ("discarded", style::GREY, Shape::Circle, 5.5, 0.55, |e| {
                matches!(e.record.status, Status::Discard | Status::Waiting) && !e.record.baseline
            }),
            ("crashed or timed out", style::RED, Shape::Cross, 7.0, 0.9, |e| {
                matches!(e.record.status, Status::Crash | Status::Timeout)
            }),
            ("suspect or invalid", style::ORANGE, Shape::Square, 7.0, 0.9, |e| {
                matches!(e.record.status, Status::Suspect | Status::Invalid)
            }),
            ("baseline", style::BLUE, Shape::Diamond, 11.0, 1.0, |e| {
                e.record.baseline
                    && matches!(e.record.status, Status::Keep | Status::Discard | Status::Waiting)
            }),
            ("kept", style::GREEN, Shape::Circle, 9.0, 1.0, improved),
        ];
        kinds
            .into_iter()
            .map(|(name, colour, shape, diameter, opacity, is)| {
                let of_kind = experiments.iter().filter(|experiment| is(experiment));
                let points = of_kind.filter_map(|e| self.point(e, domain)).collect();
                Layer::Points(Points { name: name.to_owned(), colour, shape, diameter, opacity, points })
            })
            .collect()
    }

    fn point(&self, experiment: &Experiment, domain: Option<(f64, f64)>) -> Option<Point> {
        let record = &experiment.record;
        let failed = matches!(record.status, Status::Crash | Status::Timeout | Status::Invalid);
        let worse = match self.metric.direction {
            Direction::Minimize => Place::Top,
            Direction::Maximize => Place::Bottom,
        };
        let y = match (record.value.filter(|value| value.is_finite()), domain) {
            (Some(value), Some((low, _))) if value < low => Place::Bottom,
            (Some(value), Some((_, high))) if value > high => Place::Top,
            (Some(value), _) => Place::At(value),
            (None, _) if failed => worse,
            (None, _) => return None,
        };
        Some(Point { x: record.number as f64, y, tips: self.tips(experiment) })
    }

    fn tips(&self, experiment: &Experiment) -> Vec<(String, String)> {
        let record = &experiment.record;
        let mut tips = vec![
            ("experiment".to_owned(), format!("{} ({})", record.number, record.status)),
            ("hypothesis".to_owned(), clip(&hypothesis(experiment), 200)),
        ];
        let value = record.value.map(|value| fixed(value, self.decimals));
        tips.extend(value.map(|value| (one_line(&self.metric.name), value)));
        tips.extend(record.delta.map(|delta| ("to the best".to_owned(), signed(delta, self.decimals))));
        tips.push(("time".to_owned(), duration(record.seconds)));
        tips.push(("proposer".to_owned(), clip(&one_line(&record.proposer), 40)));
        tips
    }
}

/// What was kept: the best, then the largest gains.
fn labels(experiments: &[Experiment], standing: &Standing) -> Vec<Label> {
    let mut kept: Vec<(&Experiment, f64)> = valued(experiments).filter(|(e, _)| improved(e)).collect();
    let size = |e: &Experiment| {
        if standing.is_best(e) { f64::INFINITY } else { e.record.delta.map_or(0.0, f64::abs) }
    };
    kept.sort_by(|a, b| size(b.0).total_cmp(&size(a.0)));
    kept.into_iter()
        .take(LABELS)
        .map(|(e, value)| Label {
            x: e.record.number as f64,
            y: value,
            text: format!("{} {}", e.record.number, clip(&one_line(&e.record.hypothesis), 36)),
        })
        .collect()
}
