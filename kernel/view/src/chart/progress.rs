//! The chart of a night: every experiment, what was kept, and the running best.

use lab::{Direction, Experiment, Status};

use super::{
    Axis, AxisScale, Band, Beside, Chart, Label, Layer, Line, Place, Point, Points, Shape, Tips, colour,
    noise, sample,
};
use crate::{
    Metric,
    experiments::{headline, hypothesis},
    number::{count, duration, fixed, signed},
    standing::{Standing, decimals, improved, valued},
    text::{clip, one_line},
};

/// At most so many kept changes are labelled, those with the largest gains: more would hide the points.
const LABELS: usize = 12;
/// So many of the points that are not kept are drawn, about; each kind that is there with some.
const POINTS: usize = 1500;
const SOME: usize = 60;
/// How many times what was kept spans the axis may reach beyond it, so that half of the rest is seen.
const FLATTENED: f64 = 8.0;

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
    let noise = lab::noise(experiments);
    let best = running_best(experiments, metric.direction);
    let (points, few) = view.points(experiments, domain);
    let subtitle = [
        headline(&standing, metric, view.decimals, &lab::Peers::default()),
        (beyond > 0).then(|| format!("{beyond} beyond the axis, at its edge")),
        noise.map(|noise| noise::words(&noise)),
        few,
        (domain.is_none() && !experiments.is_empty())
            .then(|| format!("no value of {} yet", one_line(&metric.name))),
    ];
    let mut layers = vec![Layer::Rules(epochs(experiments))];
    if let Some((noise, piece)) = noise.filter(|noise| noise.deviation > 0.0).zip(best.pieces.last()) {
        let wide = 2.0 * noise.deviation;
        layers.push(Layer::Band(Band {
            name: "best ± 2 sd of noise".to_owned(),
            colour: colour::GREEN,
            steps: true,
            pieces: vec![piece.iter().map(|(x, y)| (*x, y - wide, y + wide)).collect()],
        }));
    }
    let behind = layers.len() + 1;
    layers.extend(points);
    layers.insert(behind, Layer::Line(best));
    layers.push(Layer::Labels {
        colour: colour::GREEN_INK,
        side: Beside::Before { falls: metric.direction == Direction::Minimize },
        labels: labels(experiments, &standing),
    });
    let title = if experiments.is_empty() {
        "No experiments yet".to_owned()
    } else {
        format!(
            "{}, {}",
            count(tried, "experiment", "experiments"),
            count(kept, "kept improvement", "kept improvements")
        )
    };
    let y = Axis { domain, ..Axis::new(metric.axis()) };
    let mut chart = Chart::new(title, Axis::new("experiment").scaled(AxisScale::Whole), y);
    chart.subtitle = subtitle.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    chart.layers = layers;
    chart
}

/// What the vertical axis spans: all that was kept, and of the rest what does not flatten that; half of it at least,
/// unless what was kept would vanish.
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
    let beyond = |at: usize| rest.get(at).map_or(0.0, |value| value - high);
    let (half, typical) = (beyond(rest.len() / 2), beyond(rest.len() * 4 / 5));
    let room = if span > 0.0 {
        typical.clamp(0.25 * span, 1.5 * span).max(half.min(FLATTENED * span))
    } else {
        typical
    };
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
        colour: colour::GREEN,
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
    /// The points by kinds, and what to say where not all are drawn: what was kept is, and of the rest, which may be
    /// thousands, a part by chance.
    fn points(&self, experiments: &[Experiment], domain: Option<(f64, f64)>) -> (Vec<Layer>, Option<String>) {
        type Kind = (&'static str, &'static str, Shape, f64, f64, fn(&Experiment) -> bool);
        let kinds: [Kind; 5] = [
            ("discarded", colour::GREY, Shape::Circle, 5.5, colour::FADED, |e| {
                matches!(e.record.status, Status::Discard | Status::Waiting) && !e.record.baseline
            }),
            ("crashed or timed out", colour::RED, Shape::Cross, 7.0, 1.0, |e| {
                matches!(e.record.status, Status::Crash | Status::Timeout)
            }),
            ("suspect or invalid", colour::ORANGE, Shape::Square, 7.0, 1.0, |e| {
                matches!(e.record.status, Status::Suspect | Status::Invalid)
            }),
            ("baseline", colour::BLUE, Shape::Diamond, 11.0, 1.0, |e| {
                e.record.baseline
                    && matches!(e.record.status, Status::Keep | Status::Discard | Status::Waiting)
            }),
            ("kept", colour::GREEN, Shape::Circle, 9.0, 1.0, improved),
        ];
        let of = |is: fn(&Experiment) -> bool| -> Vec<(&Experiment, Place)> {
            experiments.iter().filter(|e| is(e)).filter_map(|e| Some((e, self.place(e, domain)?))).collect()
        };
        let found: Vec<Vec<(&Experiment, Place)>> = kinds.iter().map(|kind| of(kind.5)).collect();
        let rest: usize = found[..3].iter().map(Vec::len).sum();
        let mut drawn = 0;
        let layers = kinds
            .into_iter()
            .zip(found)
            .enumerate()
            .map(|(i, ((name, colour, shape, diameter, opacity, _), mut points))| {
                if i < 3 {
                    let share = points.len() * POINTS / rest.max(POINTS);
                    points = sample::by_chance(points, share.max(SOME));
                    drawn += points.len();
                }
                let point =
                    |(e, y): (&Experiment, Place)| Point { x: e.record.number as f64, y, tips: self.tips(e) };
                let points = points.into_iter().map(point).collect();
                Layer::Points(Points { name: name.to_owned(), colour, shape, diameter, opacity, points })
            })
            .collect();
        (layers, sample::few(drawn, rest, "not kept"))
    }

    /// Where an experiment is vertically, if anywhere.
    fn place(&self, experiment: &Experiment, domain: Option<(f64, f64)>) -> Option<Place> {
        let record = &experiment.record;
        let failed = matches!(record.status, Status::Crash | Status::Timeout | Status::Invalid);
        let worse = match self.metric.direction {
            Direction::Minimize => Place::Top,
            Direction::Maximize => Place::Bottom,
        };
        match (record.value.filter(|value| value.is_finite()), domain) {
            (Some(value), Some((low, _))) if value < low => Some(Place::Bottom),
            (Some(value), Some((_, high))) if value > high => Some(Place::Top),
            (Some(value), _) => Some(Place::At(value)),
            (None, _) => failed.then_some(worse),
        }
    }

    fn tips(&self, experiment: &Experiment) -> Tips {
        let record = &experiment.record;
        let mut tips = vec![
            ("experiment".to_owned(), format!("{} ({})", record.number, record.status)),
            ("hypothesis".to_owned(), clip(&hypothesis(experiment), 120)),
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
