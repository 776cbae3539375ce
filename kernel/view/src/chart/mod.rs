//! Charts: one description, drawn as Vega-Lite for `JupyterLab`, as a PNG for everything else, and as text.
//!
//! ```
//! use view::chart;
//!
//! let loss = vec![(0.0, 3.2), (100.0, 2.9), (200.0, 2.7)];
//! let bundle = chart::curves(vec![("17".to_owned(), loss)], "step", "loss").bundle();
//! assert!(bundle.value(view::bundle::VEGA_LITE).is_some());
//! assert!(bundle.text().contains("3.2 → 2.7"));
//! ```

mod curves;
mod domain;
mod drawing;
mod labels;
mod png;
mod progress;
mod summary;
mod svg;
mod vega;

pub use curves::{curves, small};
pub use drawing::{Drawing, Kind, Part, Series};
pub use progress::progress;
pub use summary::spark;

use crate::{
    Bundle,
    bundle::{PNG, VEGA_LITE},
};

/// A chart: what is drawn, not how.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows, in a line.
    pub title: String,
    /// What it says, in a line; empty for none.
    pub subtitle: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, from the back to the front.
    pub layers: Vec<Layer>,
    /// Width and height in pixels, of everything together.
    pub size: (u32, u32),
    /// Without title and legend, with few ticks: a chart inside something else.
    pub compact: bool,
}

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures, with its unit and direction.
    pub label: String,
    /// Whether it has whole numbers only.
    pub whole: bool,
    /// From where to where, if not just all that is drawn.
    pub domain: Option<(f64, f64)>,
}

/// One thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Separate points of one kind.
    Points(Points),
    /// A line through points in the order of `x`.
    Line(Line),
    /// Words beside points. Those that would cover each other are left out, the last ones first.
    Labels {
        /// Their colour, as `#rrggbb`.
        colour: &'static str,
        /// Whether they stand above their points rather than below.
        above: bool,
        /// The labels, the most important first.
        labels: Vec<Label>,
    },
    /// Vertical lines with a word at the top.
    Rules(Vec<Label>),
}

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// What they are, for the legend.
    pub name: String,
    /// Their colour, as `#rrggbb`.
    pub colour: &'static str,
    /// Their shape.
    pub shape: Shape,
    /// Their diameter in pixels.
    pub diameter: f64,
    /// How much they cover what is behind them, from 0 to 1.
    pub opacity: f64,
    /// The points.
    pub points: Vec<Point>,
}

/// The shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Circle,
    /// A square on its corner.
    Diamond,
    /// An upright square.
    Square,
    /// A cross: something that failed.
    Cross,
}

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where it is horizontally.
    pub x: f64,
    /// Where it is vertically.
    pub y: Place,
    /// What a tooltip says of it: names and values.
    pub tips: Vec<(String, String)>,
}

/// Where a point is vertically.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// At a value.
    At(f64),
    /// At the upper edge: it has no value, or one beyond the axis.
    Top,
    /// At the lower edge.
    Bottom,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is, for the legend.
    pub name: String,
    /// Its colour, as `#rrggbb`.
    pub colour: &'static str,
    /// Whether each value holds until the next point, rather than being joined to it.
    pub steps: bool,
    /// Whether it is dashed.
    pub dashed: bool,
    /// Its width in pixels.
    pub width: f64,
    /// Its pieces: a new piece begins where it is interrupted.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

/// Words at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The place that it speaks of.
    pub x: f64,
    /// The place that it speaks of; of no meaning for a vertical line.
    pub y: f64,
    /// The words.
    pub text: String,
}

/// What a picture is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// White, for slides, pull requests and print.
    Paper,
    /// Nothing: the page shows through, light or dark.
    Page,
}

impl Chart {
    /// Every form: Vega-Lite, PNG on white, and text.
    pub fn bundle(&self) -> Bundle {
        let bundle = Bundle::new(self.text());
        let bundle = match self.png_base64(Ground::Paper) {
            Some(png) => bundle.with(PNG, png),
            None => bundle,
        };
        bundle.with(VEGA_LITE, self.vega_lite())
    }

    /// The chart as an `<img>` with the picture in it, for HTML that shows more than the chart.
    pub fn img(&self, alt: &str) -> maud::Markup {
        maud::html! {
            @if let Some(png) = self.png_base64(Ground::Page) {
                img src=(format!("data:image/png;base64,{png}")) alt=(alt) width=(self.size.0) height=(self.size.1)
                    style="max-width:100%;height:auto";
            }
        }
    }

    fn png_base64(&self, ground: Ground) -> Option<String> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        self.png(ground).map(|png| STANDARD.encode(png))
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Line(line) => Some(line),
            _ => None,
        })
    }

    /// Names and colours for a legend, without repetition, in the order of drawing.
    fn legend(&self) -> Vec<Key<'_>> {
        let mut keys: Vec<Key> = Vec::new();
        for layer in &self.layers {
            let key = match layer {
                Layer::Points(points) if !points.points.is_empty() => Key {
                    name: &points.name,
                    colour: points.colour,
                    mark: Mark::Point(points.shape, points.diameter),
                },
                Layer::Line(line) if !line.pieces.is_empty() => {
                    Key { name: &line.name, colour: line.colour, mark: Mark::Line { dashed: line.dashed } }
                }
                _ => continue,
            };
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(key);
            }
        }
        keys
    }
}

/// One entry of a legend.
struct Key<'a> {
    name: &'a str,
    colour: &'static str,
    mark: Mark,
}

/// What a legend shows beside a name.
enum Mark {
    Point(Shape, f64),
    Line { dashed: bool },
}
