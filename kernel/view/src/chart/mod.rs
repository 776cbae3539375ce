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

mod colour;
mod compare;
mod curves;
mod domain;
mod drawing;
mod labels;
mod layer;
mod lineage;
mod noise;
mod parameters;
mod pareto;
mod png;
mod progress;
mod sample;
mod summary;
mod svg;
mod timeline;
mod vega;

pub use compare::{Compared, compare};
pub use curves::{curves, small};
pub use drawing::{Drawing, Kind, Part, Series};
pub use layer::{
    Band, Bar, Bars, Beside, Label, Layer, Line, Place, Point, Points, Segment, Segments, Shape, Tips,
};
pub use lineage::lineage;
pub use noise::noise;
pub use parameters::{Constant, Expected, Setting, parameters};
pub use pareto::{Candidate, Side, pareto};
pub use progress::progress;
pub use summary::spark;
pub use timeline::{Span, Work, timeline};

use jiff::tz::TimeZone;

use crate::{
    Bundle,
    bundle::{PNG, VEGA_LITE},
};

/// A chart: what is drawn, not how.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows, in a line.
    pub title: String,
    /// What it says, in a sentence or some; empty for none.
    pub subtitle: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, from the back to the front.
    pub layers: Vec<Layer>,
    /// Charts that stand in this one, in rows as wide as it is, in the place of layers.
    pub panels: Vec<Chart>,
    /// What the text says beside, for those who see no picture: a line each.
    pub notes: Vec<String>,
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
    /// How places are spread over it.
    pub scale: AxisScale,
    /// From where to where, if not just all that is drawn.
    pub domain: Option<(f64, f64)>,
}

/// How places are spread over an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AxisScale {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly, and they are whole numbers.
    Whole,
    /// By the logarithm; what is not above 0 is not drawn.
    Log,
    /// Evenly: seconds since 1970, told as the time in this zone.
    Time(TimeZone),
    /// One place for each name, the first at 0; from above on a vertical axis.
    Category(Vec<String>),
}

impl AxisScale {
    /// An even one for these places: steps and experiments are whole numbers, time is not.
    fn even(places: impl IntoIterator<Item = f64>) -> Self {
        if places.into_iter().all(|place| place.fract() == 0.0) { Self::Whole } else { Self::Linear }
    }
}

impl Axis {
    /// An even one.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: AxisScale::Linear, domain: None }
    }

    /// One of another scale.
    #[must_use]
    pub fn scaled(self, scale: AxisScale) -> Self {
        Self { scale, ..self }
    }

    /// The names of its places, if it has any.
    fn names(&self) -> Option<&[String]> {
        match &self.scale {
            AxisScale::Category(names) => Some(names),
            _ => None,
        }
    }
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
    /// A chart without anything in it yet.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            x,
            y,
            layers: Vec::new(),
            panels: Vec::new(),
            notes: Vec::new(),
            size: (760, 440),
            compact: false,
        }
    }

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

    /// Its panels by rows: as many beside each other as its width has room for.
    fn rows(&self) -> Vec<&[Chart]> {
        let (mut rows, mut begin, mut used) = (Vec::new(), 0, 0);
        for (i, panel) in self.panels.iter().enumerate() {
            if i > begin && used + panel.size.0 > self.size.0 {
                rows.push(&self.panels[begin..i]);
                (begin, used) = (i, 0);
            }
            used += panel.size.0;
        }
        if begin < self.panels.len() {
            rows.push(&self.panels[begin..]);
        }
        rows
    }

    /// Names and colours for a legend, without repetition, in the order of drawing.
    fn legend(&self) -> Vec<layer::Key<'_>> {
        let mut keys: Vec<layer::Key> = Vec::new();
        let own = self.layers.iter().filter_map(Layer::key);
        for key in own.chain(self.panels.iter().flat_map(Self::legend)) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(key);
            }
        }
        keys
    }
}
