//! Two metrics against each other: which experiments are better than all others in one of them.

use lab::{Direction, Status};

use super::{
    Axis, Beside, Chart, Label, Layer, Line, Place, Point, Points, Shape, colour, sample, summary::rows,
};
use crate::{
    number::{count, short},
    text::{clip, one_line},
};

/// So many that are not on the front are drawn at most.
const POINTS: usize = 1500;
/// Rows of the front in the text.
const ROWS: usize = 12;

/// One of the two metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// Whether nobody said so: it is guessed by its name.
    pub assumed: bool,
}

impl Side {
    fn label(&self) -> String {
        let unit = self.unit.as_deref().map(|unit| format!(", {}", one_line(unit))).unwrap_or_default();
        let better = if self.direction == Direction::Minimize { "lower" } else { "higher" };
        let assumed = if self.assumed { ", assumed" } else { "" };
        format!("{}{unit} ({better} is better{assumed})", one_line(&self.name))
    }

    /// The value turned so that lower is better.
    fn cost(&self, value: f64) -> f64 {
        if self.direction == Direction::Minimize { value } else { -value }
    }
}

/// An experiment that has both.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its number, as people write it.
    pub label: String,
    /// What it tried.
    pub hypothesis: String,
    /// What became of it.
    pub status: Status,
    /// The two metrics.
    pub at: (f64, f64),
}

/// The candidates in the plane of two metrics, and the front: those than which none is better in one and no worse in
/// the other. What is suspect or broke a rule is drawn, and is on no front. `aside` says what is not drawn.
pub fn pareto(candidates: &[Candidate], x: &Side, y: &Side, aside: &[String]) -> Chart {
    let (names, front) = ([&x.name, &y.name].map(|name| one_line(name)), front(candidates, x, y));
    let title = if candidates.is_empty() {
        format!("No experiment has both {} and {}", names[0], names[1])
    } else {
        let all = count(candidates.len(), "experiment", "experiments");
        format!("{} and {}: {} of {all} on the front", names[0], names[1], front.len())
    };
    let mut chart = Chart::new(title, Axis::new(x.label()), Axis::new(y.label()));
    let best = |side: &Side, of: fn(&Candidate) -> f64| {
        let best = front.iter().min_by(|a, b| side.cost(of(a)).total_cmp(&side.cost(of(b))))?;
        Some(format!("best {} {} (experiment {})", one_line(&side.name), short(of(best)), best.label))
    };
    let mut said: Vec<String> =
        [best(x, |one| one.at.0), best(y, |one| one.at.1)].into_iter().flatten().collect();
    let (kept, rest): (Vec<&Candidate>, Vec<&Candidate>) = candidates
        .iter()
        .filter(|one| !front.iter().any(|front| std::ptr::eq(*front, *one)))
        .partition(|one| one.status == Status::Keep);
    let (doubtful, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| is_doubtful(one));
    let domains =
        [domain(candidates, &front, x, |one| one.at.0), domain(candidates, &front, y, |one| one.at.1)];
    let inside =
        |value: f64, axis: usize| domains[axis].is_none_or(|(low, high)| (low..=high).contains(&value));
    let beyond = candidates.iter().filter(|one| !inside(one.at.0, 0) || !inside(one.at.1, 1)).count();
    if beyond > 0 {
        said.push(format!("{beyond} beyond the axes, at their edge"));
    }
    (chart.x.domain, chart.y.domain) = (domains[0], domains[1]);
    let all = rest.len();
    let rest = sample::by_chance(rest, POINTS);
    said.extend(sample::few(rest.len(), all, "that are behind it"));
    said.extend(aside.iter().cloned());
    chart.subtitle = said.join(" · ");
    let points = |name: &str, colour, shape, diameter, opacity, of: &[&Candidate]| {
        let point = |one: &&Candidate| Point {
            // A little inside of the edge, so that it is seen.
            x: domains[0].map_or(one.at.0, |(low, high)| {
                let edge = (high - low) * 0.008;
                one.at.0.clamp(low + edge, high - edge)
            }),
            y: match domains[1] {
                Some((low, _)) if one.at.1 < low => Place::Bottom,
                Some((_, high)) if one.at.1 > high => Place::Top,
                _ => Place::At(one.at.1),
            },
            tips: vec![
                ("experiment".to_owned(), format!("{} ({})", one.label, one.status)),
                ("hypothesis".to_owned(), clip(&one_line(&one.hypothesis), 120)),
                (names[0].clone(), short(one.at.0)),
                (names[1].clone(), short(one.at.1)),
            ],
        };
        let points = of.iter().map(point).collect();
        Layer::Points(Points { name: name.to_owned(), colour, shape, diameter, opacity, points })
    };
    let label = |one: &&Candidate| Label {
        x: one.at.0,
        y: one.at.1,
        text: format!("{} {}", one.label, clip(&one_line(&one.hypothesis), 30)),
    };
    chart.layers = vec![
        points("not kept", colour::GREY, Shape::Circle, 5.5, colour::FADED, &rest),
        points("suspect or invalid", colour::ORANGE, Shape::Square, 7.0, 1.0, &doubtful),
        points("kept", colour::BLUE, Shape::Diamond, 8.0, 1.0, &kept),
        Layer::Line(Line {
            name: String::new(),
            colour: colour::GREEN,
            steps: false,
            dashed: false,
            width: 1.8,
            pieces: vec![stairs(&front, x.direction)].into_iter().filter(|piece| piece.len() > 1).collect(),
        }),
        points("front", colour::GREEN, Shape::Circle, 9.0, 1.0, &front),
        Layer::Labels {
            colour: colour::GREEN_INK,
            side: if y.direction == Direction::Minimize { Beside::Above } else { Beside::Below },
            labels: front.iter().map(label).take(ROWS).collect(),
        },
    ];
    let row = |one: &&Candidate| {
        vec![
            one.label.clone(),
            short(one.at.0),
            short(one.at.1),
            one.status.to_string(),
            one_line(&one.hypothesis),
        ]
    };
    if !front.is_empty() {
        let head = ["front".to_owned(), names[0].clone(), names[1].clone(), String::new(), String::new()];
        let all: Vec<Vec<String>> =
            [head.to_vec()].into_iter().chain(front.iter().take(ROWS).map(row)).collect();
        chart.notes = rows(&all);
        if front.len() > ROWS {
            chart.notes.push(format!("and {} more on the front", front.len() - ROWS));
        }
    }
    chart
}

fn is_doubtful(one: &Candidate) -> bool {
    matches!(one.status, Status::Suspect | Status::Invalid)
}

/// What an axis spans: the front and what was kept, and of the rest what does not flatten that.
fn domain(
    candidates: &[Candidate],
    front: &[&Candidate],
    side: &Side,
    of: fn(&Candidate) -> f64,
) -> Option<(f64, f64)> {
    let mut costs: Vec<f64> = candidates.iter().map(|one| side.cost(of(one))).collect();
    costs.sort_by(f64::total_cmp);
    let (low, worst) = (*costs.first()?, *costs.last()?);
    let kept = candidates.iter().filter(|one| one.status == Status::Keep);
    let typical = costs[(costs.len() - 1) * 9 / 10];
    let high = front.iter().copied().chain(kept).map(|one| side.cost(of(one))).fold(typical, f64::max);
    // All of it, where that costs little.
    let high = if worst - low <= (high - low) * 1.5 { worst } else { high };
    let margin = if high > low { (high - low) * 0.05 } else { low.abs().max(1.0) * 0.05 };
    let (low, high) = (low - margin, high + margin);
    Some(if side.direction == Direction::Minimize { (low, high) } else { (-high, -low) })
}

/// The front, in the order of `x`.
fn front<'a>(candidates: &'a [Candidate], x: &Side, y: &Side) -> Vec<&'a Candidate> {
    let cost = |one: &Candidate| (x.cost(one.at.0), y.cost(one.at.1));
    let mut sorted: Vec<&Candidate> = candidates.iter().filter(|one| !is_doubtful(one)).collect();
    sorted.sort_by(|a, b| {
        let (a, b) = (cost(a), cost(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let mut lowest = f64::INFINITY;
    sorted.retain(|one| {
        let better = cost(one).1 < lowest;
        lowest = lowest.min(cost(one).1);
        better
    });
    sorted.sort_by(|a, b| a.at.0.total_cmp(&b.at.0));
    sorted
}

/// The edge of what the front is better than, in the order of `x`.
fn stairs(front: &[&Candidate], x: Direction) -> Vec<(f64, f64)> {
    let mut edge: Vec<(f64, f64)> = Vec::new();
    for one in front {
        if let Some(before) = edge.last().copied() {
            edge.push(match x {
                Direction::Minimize => (one.at.0, before.1),
                Direction::Maximize => (before.0, one.at.1),
            });
        }
        edge.push(one.at);
    }
    edge
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(direction: Direction) -> Side {
        Side { name: "m".to_owned(), unit: None, direction, assumed: false }
    }

    fn candidates(places: &[(f64, f64)]) -> Vec<Candidate> {
        let of = |(i, at): (usize, &(f64, f64))| Candidate {
            label: i.to_string(),
            hypothesis: String::new(),
            status: Status::Discard,
            at: *at,
        };
        places.iter().enumerate().map(of).collect()
    }

    proptest! {
        /// None of the front is dominated by any, and everything else is, or is the same as one of them.
        #[test]
        fn the_front_is_what_nothing_dominates(
            places in prop::collection::vec((0..8_i32, 0..8_i32), 0..30), up in any::<(bool, bool)>(),
        ) {
            let direction = |up| if up { Direction::Maximize } else { Direction::Minimize };
            let (x, y) = (side(direction(up.0)), side(direction(up.1)));
            let places: Vec<(f64, f64)> = places.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
            let all = candidates(&places);
            let front = front(&all, &x, &y);
            let no_worse = |a: &Candidate, b: &Candidate| {
                x.cost(a.at.0) <= x.cost(b.at.0) && y.cost(a.at.1) <= y.cost(b.at.1)
            };
            for one in &all {
                let here = front.iter().any(|front| std::ptr::eq(*front, one));
                let beaten = all.iter().any(|other| no_worse(other, one) && other.at != one.at);
                prop_assert!(!here || !beaten);
                prop_assert!(here || front.iter().any(|front| no_worse(front, one)));
            }
            prop_assert!(front.windows(2).all(|pair| pair[0].at.0 < pair[1].at.0));
        }
    }
}
