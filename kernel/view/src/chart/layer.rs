//! What can be drawn in a chart.

/// One thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Separate points of one kind.
    Points(Points),
    /// A line through points in the order of `x`.
    Line(Line),
    /// Horizontal bars.
    Bars(Bars),
    /// Straight lines between two points each.
    Segments(Segments),
    /// What lies between two lines.
    Band(Band),
    /// Words beside points. Those that would cover each other are left out, the last ones first.
    Labels {
        /// Their colour, as `#rrggbb`.
        colour: &'static str,
        /// Where they stand.
        side: Beside,
        /// The labels, the most important first.
        labels: Vec<Label>,
    },
    /// Vertical lines with a word at the bottom.
    Rules(Vec<Label>),
}

/// Where the words beside points stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Above them, on a slant.
    Above,
    /// Below them, on a slant.
    Below,
    /// Level with them and before them: what falls, or rises, to each of its points leaves that free. One for which there
    /// is no room there stands after its point, on the side that the line does not touch.
    Before {
        /// Whether the line falls.
        falls: bool,
    },
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

/// What a tooltip says: names and values.
pub type Tips = Vec<(String, String)>;

/// One point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where it is horizontally.
    pub x: f64,
    /// Where it is vertically.
    pub y: Place,
    /// What a tooltip says of it.
    pub tips: Tips,
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
    /// What it is, for the legend; not in it where this is empty.
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

/// Horizontal bars of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What they are, for the legend.
    pub name: String,
    /// Their colour, as `#rrggbb`.
    pub colour: &'static str,
    /// How thick they are, in pixels.
    pub thickness: f64,
    /// How much they cover what is behind them, from 0 to 1.
    pub opacity: f64,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Where it begins horizontally.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Where its middle is vertically.
    pub y: f64,
    /// What a tooltip says of it.
    pub tips: Tips,
}

/// Straight lines of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    /// What they are, for the legend; not in it where this is empty.
    pub name: String,
    /// Their colour, as `#rrggbb`.
    pub colour: &'static str,
    /// Their width in pixels.
    pub width: f64,
    /// How much they cover what is behind them, from 0 to 1.
    pub opacity: f64,
    /// The lines.
    pub segments: Vec<Segment>,
}

/// A line between two points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// One end.
    pub from: (f64, f64),
    /// The other.
    pub to: (f64, f64),
}

/// What lies between two lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// What it is, for the legend.
    pub name: String,
    /// Its colour, as `#rrggbb`.
    pub colour: &'static str,
    /// Whether each value holds until the next, rather than being joined to it.
    pub steps: bool,
    /// Its pieces: where it is, and its lower and upper end there.
    pub pieces: Vec<Vec<(f64, f64, f64)>>,
}

/// How opaque a band is: what lies on it stays legible.
pub(super) const BAND: f64 = 0.16;

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

/// One entry of a legend.
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    pub(super) colour: &'static str,
    pub(super) mark: Mark,
}

/// What a legend shows beside a name.
pub(super) enum Mark {
    Point(Shape, f64),
    Line { dashed: bool },
    Block(f64),
}

impl Layer {
    /// Its entry in the legend, if it has one.
    pub(super) fn key(&self) -> Option<Key<'_>> {
        let (name, colour, mark) = match self {
            Self::Points(points) if !points.points.is_empty() => {
                (&points.name, points.colour, Mark::Point(points.shape, points.diameter))
            }
            Self::Line(line) if !line.pieces.is_empty() => {
                (&line.name, line.colour, Mark::Line { dashed: line.dashed })
            }
            Self::Bars(bars) if !bars.bars.is_empty() => (&bars.name, bars.colour, Mark::Block(bars.opacity)),
            Self::Segments(one) if !one.segments.is_empty() => {
                (&one.name, one.colour, Mark::Line { dashed: false })
            }
            Self::Band(band) if !band.pieces.is_empty() => (&band.name, band.colour, Mark::Block(BAND)),
            _ => return None,
        };
        (!name.is_empty()).then_some(Key { name, colour, mark })
    }
}
