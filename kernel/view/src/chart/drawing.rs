//! A chart that a person describes: lines and points of a frame's columns.

use serde::Deserialize;

use super::{
    Axis, AxisScale, Chart, Layer, Line, Place, Point, Points, Shape, colour,
    curves::{POINTS, few},
    sample,
};
use crate::{
    number::{fixed, short},
    text::{clip, one_line},
};

/// No series of points is drawn with more than this.
const SCATTER: usize = 1500;
/// The shapes of series, in the order in which colours come again.
const SHAPES: [Shape; 3] = [Shape::Circle, Shape::Diamond, Shape::Square];

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    /// What stands above it; the axes' names where it is empty.
    pub title: String,
    /// What the horizontal axis measures.
    pub x: String,
    /// What the vertical axis measures.
    pub y: String,
    /// What is drawn, from the back to the front.
    pub layers: Vec<Part>,
}

/// One thing to draw, once for each series.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// As what.
    pub kind: Kind,
    /// Each in its own colour.
    pub series: Vec<Series>,
}

/// As what a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A line.
    Line,
    /// A line in steps.
    Steps,
    /// Points.
    Points,
}

/// Points and what they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name, for the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

impl Drawing {
    /// The chart.
    pub fn chart(&self) -> Chart {
        let (x, y) = (one_line(&self.x), one_line(&self.y));
        let mut layers = Vec::new();
        let (mut longest, mut scattered) = (None, None);
        let mut names: Vec<&str> = Vec::new();
        for (kind, series) in
            self.layers.iter().flat_map(|part| part.series.iter().map(|one| (part.kind, one)))
        {
            if sample::pieces(&series.points).is_empty() {
                continue;
            }
            // A name keeps its colour from layer to layer.
            let number = names.iter().position(|name| *name == series.name).unwrap_or(names.len());
            if number == names.len() {
                names.push(&series.name);
            }
            let name = clip(&one_line(&series.name), 60);
            let colour = colour::SERIES[number % colour::SERIES.len()];
            layers.push(match kind {
                Kind::Line | Kind::Steps => {
                    let (pieces, left_out) = sample::line(&series.points, POINTS);
                    if left_out {
                        longest = longest.max(Some(series.points.len()));
                    }
                    Layer::Line(Line {
                        name,
                        colour,
                        steps: kind == Kind::Steps,
                        dashed: number >= colour::SERIES.len(),
                        width: 1.8,
                        pieces,
                    })
                }
                Kind::Points => {
                    let tip = |(at_x, at_y): (f64, f64)| Point {
                        x: at_x,
                        y: Place::At(at_y),
                        tips: vec![(x.clone(), short(at_x)), (y.clone(), short(at_y))],
                    };
                    let finite: Vec<(f64, f64)> = sample::pieces(&series.points).concat();
                    if finite.len() > SCATTER {
                        scattered = scattered.max(Some(finite.len()));
                    }
                    let points = sample::by_chance(finite, SCATTER).into_iter().map(tip).collect();
                    Layer::Points(Points {
                        name,
                        colour,
                        shape: SHAPES[number / colour::SERIES.len() % SHAPES.len()],
                        diameter: 6.0,
                        opacity: colour::FADED,
                        points,
                    })
                }
            });
        }
        let subtitle = if layers.is_empty() {
            format!("no values of {y}")
        } else {
            let any = |most: usize| {
                let (few, all) = (fixed(SCATTER as f64, 0), fixed(most as f64, 0));
                format!("up to {few} points drawn of {all}, taken by chance")
            };
            let said = [longest.map(few), scattered.map(any)];
            said.into_iter().flatten().collect::<Vec<_>>().join(" · ")
        };
        let title = one_line(&self.title);
        let title = if title.is_empty() { format!("{y} over {x}") } else { title };
        let points = self.layers.iter().flat_map(|part| &part.series).flat_map(|one| &one.points);
        let scale = AxisScale::even(points.map(|(x, _)| *x));
        let mut chart = Chart::new(title, Axis::new(x).scaled(scale), Axis::new(y));
        (chart.subtitle, chart.layers, chart.size) = (subtitle, layers, (760, 420));
        chart
    }
}
