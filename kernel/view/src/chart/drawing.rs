//! A chart that a person describes: lines and points of a frame's columns.

use serde::Deserialize;

use super::{
    Axis, Chart, Layer, Line, Place, Point, Points, Shape,
    curves::{COLOURS, POINTS},
    domain::sample,
};
use crate::{
    number::{fixed, short},
    text::{clip, one_line},
};

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
        let mut sampled = None;
        let mut names: Vec<&str> = Vec::new();
        for (kind, series) in
            self.layers.iter().flat_map(|part| part.series.iter().map(|one| (part.kind, one)))
        {
            let (points, left_out) = sample(&series.points, POINTS);
            if left_out {
                sampled = sampled.max(Some(series.points.len()));
            }
            if points.is_empty() {
                continue;
            }
            // A name keeps its colour from layer to layer.
            let number = names.iter().position(|name| *name == series.name).unwrap_or(names.len());
            if number == names.len() {
                names.push(&series.name);
            }
            let (name, colour) = (clip(&one_line(&series.name), 60), COLOURS[number % COLOURS.len()]);
            layers.push(match kind {
                Kind::Line | Kind::Steps => Layer::Line(Line {
                    name,
                    colour,
                    steps: kind == Kind::Steps,
                    dashed: number >= COLOURS.len(),
                    width: 1.8,
                    pieces: vec![points],
                }),
                Kind::Points => {
                    let tip = |(at_x, at_y): (f64, f64)| Point {
                        x: at_x,
                        y: Place::At(at_y),
                        tips: vec![(x.clone(), short(at_x)), (y.clone(), short(at_y))],
                    };
                    let points = points.into_iter().map(tip).collect();
                    Layer::Points(Points {
                        name,
                        colour,
                        shape: Shape::Circle,
                        diameter: 6.0,
                        opacity: 0.8,
                        points,
                    })
                }
            });
        }
        let subtitle = match (layers.is_empty(), sampled) {
            (true, _) => format!("no values of {y}"),
            (false, Some(longest)) => format!(
                "up to {} points drawn of {}: the lowest and the highest of each stretch",
                fixed(POINTS as f64, 0),
                fixed(longest as f64, 0)
            ),
            (false, None) => String::new(),
        };
        let title = one_line(&self.title);
        Chart {
            title: if title.is_empty() { format!("{y} over {x}") } else { title },
            subtitle,
            x: Axis { label: x, whole: self.counts(), domain: None },
            y: Axis { label: y, whole: false, domain: None },
            layers,
            size: (760, 420),
            compact: false,
        }
    }

    /// Whether the horizontal axis has whole numbers only: steps, experiments.
    fn counts(&self) -> bool {
        let mut series = self.layers.iter().flat_map(|part| &part.series);
        series.all(|one| one.points.iter().all(|(x, _)| x.fract() == 0.0))
    }
}
