//! The chart as SVG, which becomes the PNG.

use maud::{Markup, html};

use super::{
    Axis, Chart, Ground, Key, Label, Layer, Line, Mark, Place, Points, Shape,
    domain::{Scale, scales},
    labels::{self, Area, Placed, width},
};
use crate::number::tick;

/// Colours of what is not data.
struct Ink {
    ground: Option<&'static str>,
    text: &'static str,
    muted: &'static str,
    grid: (&'static str, f64),
}

impl Ink {
    fn on(ground: Ground) -> Self {
        match ground {
            Ground::Paper => {
                Self { ground: Some("#ffffff"), text: "#1b1b1f", muted: "#5c5c66", grid: ("#000000", 0.09) }
            }
            Ground::Page => Self { ground: None, text: "#8a8a8a", muted: "#8a8a8a", grid: ("#808080", 0.22) },
        }
    }
}

/// The frame of one drawing: where the data goes and how values become pixels.
pub(super) struct Frame {
    pub(super) area: Area,
    x: Scale,
    y: Scale,
    /// Whether anything has a value: without, ticks would be made up.
    valued: bool,
}

impl Frame {
    pub(super) fn of(chart: &Chart) -> Self {
        let (wide, high) = (f64::from(chart.size.0), f64::from(chart.size.1));
        let (x, y) = scales(chart, if chart.compact { (6, 3) } else { (9, 6) });
        let valued = has_values(chart);
        let ticks = y.ticks().map(|value| width(&tick(value, y.step), 11.0)).fold(20.0, f64::max);
        let area = if chart.compact {
            Area { left: ticks + 8.0, top: 6.0, right: wide - 10.0, bottom: high - 18.0 }
        } else {
            Area {
                left: ticks + 36.0,
                top: if chart.subtitle.is_empty() { 64.0 } else { 84.0 },
                right: wide - 20.0,
                bottom: high - 48.0,
            }
        };
        Self { area, x, y, valued }
    }

    fn x(&self, value: f64) -> f64 {
        self.area.left + self.x.share(value) * (self.area.right - self.area.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.y.share(value) * (self.area.bottom - self.area.top)
    }

    fn place(&self, place: Place) -> f64 {
        match place {
            Place::At(value) => self.y(value),
            Place::Top => self.area.top + 6.0,
            Place::Bottom => self.area.bottom - 6.0,
        }
    }

    pub(super) fn placed<'a>(&self, labels: &'a [Label], above: bool) -> Vec<Placed<'a>> {
        labels::place(labels, above, self.area, |label| (self.x(label.x), self.y(label.y)))
    }
}

impl Chart {
    /// The chart as an SVG document.
    pub fn svg(&self, ground: Ground) -> String {
        let (ink, frame) = (Ink::on(ground), Frame::of(self));
        let (wide, high) = self.size;
        html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(wide) height=(high) viewBox=(format!("0 0 {wide} {high}"))
                font-family="Inter, sans-serif" {
                @if let Some(ground) = ink.ground { rect width=(wide) height=(high) fill=(ground) {} }
                (axes(self, &frame, &ink))
                @if !self.compact { (heading(self, &frame, &ink)) }
                @for layer in &self.layers { (draw(layer, &frame, &ink, ground)) }
            }
        }
        .into_string()
    }
}

fn axes(chart: &Chart, frame: &Frame, ink: &Ink) -> Markup {
    let a = frame.area;
    let middle = f64::midpoint(a.top, a.bottom);
    let size = if chart.compact { "10" } else { "11" };
    html! {
        @for value in frame.y.ticks().filter(|_| frame.valued) {
            @let y = frame.y(value);
            line x1=(px(a.left)) x2=(px(a.right)) y1=(px(y)) y2=(px(y)) stroke=(ink.grid.0) stroke-opacity=(ink.grid.1) {}
            text x=(px(a.left - 7.0)) y=(px(y + 3.8)) text-anchor="end" font-size=(size) fill=(ink.muted) {
                (tick(value, frame.y.step))
            }
        }
        line x1=(px(a.left)) x2=(px(a.right)) y1=(px(a.bottom)) y2=(px(a.bottom)) stroke=(ink.muted) stroke-opacity="0.6" {}
        @for value in frame.x.ticks() {
            @let x = frame.x(value);
            line x1=(px(x)) x2=(px(x)) y1=(px(a.bottom)) y2=(px(a.bottom + 4.0)) stroke=(ink.muted) stroke-opacity="0.6" {}
            text x=(px(x)) y=(px(a.bottom + 15.0)) text-anchor="middle" font-size=(size) fill=(ink.muted) {
                (tick(value, frame.x.step))
            }
        }
        @if !chart.compact {
            (axis_label(&chart.x, (f64::midpoint(a.left, a.right), a.bottom + 36.0), false, ink))
            (axis_label(&chart.y, (a.left - ticks_width(frame) - 20.0, middle), true, ink))
        }
    }
}

/// How wide the widest tick of the vertical axis is, in pixels.
fn ticks_width(frame: &Frame) -> f64 {
    frame.y.ticks().map(|value| width(&tick(value, frame.y.step), 11.0)).fold(20.0, f64::max)
}

fn has_values(chart: &Chart) -> bool {
    chart.layers.iter().any(|layer| match layer {
        Layer::Points(points) => points.points.iter().any(|point| matches!(point.y, Place::At(_))),
        Layer::Line(line) => !line.pieces.is_empty(),
        Layer::Labels { .. } | Layer::Rules(_) => false,
    })
}

fn axis_label(axis: &Axis, at: (f64, f64), upright: bool, ink: &Ink) -> Markup {
    let turn = upright.then(|| format!("rotate(-90 {} {})", px(at.0), px(at.1)));
    html! {
        text x=(px(at.0)) y=(px(at.1)) transform=[turn] text-anchor="middle" font-size="12" fill=(ink.text) { (axis.label) }
    }
}

fn heading(chart: &Chart, frame: &Frame, ink: &Ink) -> Markup {
    let mut x = frame.area.left;
    let entries: Vec<(f64, Key)> = chart
        .legend()
        .into_iter()
        .map(|key| {
            let at = x;
            x += 22.0 + width(key.name, 11.0) + 16.0;
            (at, key)
        })
        .collect();
    // A legend of one name that the title says already is none.
    let legend = if entries.len() > 1 { entries } else { Vec::new() };
    let row = if chart.subtitle.is_empty() { 46.0 } else { 64.0 };
    html! {
        text x=(px(frame.area.left)) y="27" font-size="17" fill=(ink.text) { (chart.title) }
        text x=(px(frame.area.left)) y="47" font-size="12" fill=(ink.muted) { (chart.subtitle) }
        @for (x, key) in &legend {
            @if *x + 22.0 + width(key.name, 11.0) < f64::from(chart.size.0) {
                @match key.mark {
                    Mark::Point(shape, diameter) => (mark(shape, (*x + 8.0, row), diameter.min(9.0), key.colour, 1.0, None)),
                    Mark::Line { dashed } => {
                        line x1=(px(*x)) x2=(px(*x + 17.0)) y1=(px(row)) y2=(px(row)) stroke=(key.colour) stroke-width="2"
                            stroke-dasharray=[dashed.then_some("5 3")] {}
                    }
                }
                text x=(px(*x + 22.0)) y=(px(row + 4.0)) font-size="11" fill=(ink.muted) { (key.name) }
            }
        }
    }
}

fn draw(layer: &Layer, frame: &Frame, ink: &Ink, ground: Ground) -> Markup {
    match layer {
        Layer::Points(points) => draw_points(points, frame, ground),
        Layer::Line(line) => draw_line(line, frame),
        Layer::Labels { colour, above, labels } => {
            let colour = if ground == Ground::Paper { colour } else { ink.text };
            html! { @for placed in frame.placed(labels, *above) { (draw_label(&placed, colour)) } }
        }
        Layer::Rules(rules) => html! {
            @for rule in rules {
                @let x = px(frame.x(rule.x));
                line x1=(x) x2=(x) y1=(px(frame.area.top)) y2=(px(frame.area.bottom)) stroke=(ink.muted) stroke-dasharray="2 4" {}
                text x=(px(frame.x(rule.x) + 4.0)) y=(px(frame.area.bottom - 6.0)) font-size="10" fill=(ink.muted) { (rule.text) }
            }
        },
    }
}

fn draw_points(points: &Points, frame: &Frame, ground: Ground) -> Markup {
    // A rim keeps points that touch apart, where the ground is known.
    let rim = (points.opacity > 0.95 && ground == Ground::Paper).then_some("#ffffff");
    html! {
        @for point in &points.points {
            (mark(points.shape, (frame.x(point.x), frame.place(point.y)), points.diameter, points.colour, points.opacity, rim))
        }
    }
}

fn mark(
    shape: Shape,
    (x, y): (f64, f64),
    diameter: f64,
    colour: &str,
    opacity: f64,
    rim: Option<&'static str>,
) -> Markup {
    let r = diameter / 2.0;
    let rim_width = rim.map(|_| "1.2");
    html! {
        @match shape {
            Shape::Circle => circle cx=(px(x)) cy=(px(y)) r=(px(r)) fill=(colour) fill-opacity=(opacity) stroke=[rim] stroke-width=[rim_width] {},
            Shape::Diamond => path d=(format!("M{} {}L{} {}L{} {}L{} {}Z", px(x), px(y - r), px(x + r), px(y), px(x), px(y + r), px(x - r), px(y)))
                fill=(colour) fill-opacity=(opacity) stroke=[rim] stroke-width=[rim_width] {},
            Shape::Square => rect x=(px(x - r)) y=(px(y - r)) width=(px(diameter)) height=(px(diameter))
                fill=(colour) fill-opacity=(opacity) stroke=[rim] stroke-width=[rim_width] {},
            Shape::Cross => {
                @let s = r * 0.8;
                path d=(format!("M{} {}L{} {}M{} {}L{} {}", px(x - s), px(y - s), px(x + s), px(y + s), px(x - s), px(y + s), px(x + s), px(y - s)))
                    stroke=(colour) stroke-opacity=(opacity) stroke-width="1.8" stroke-linecap="round" fill="none" {}
            }
        }
    }
}

fn draw_line(line: &Line, frame: &Frame) -> Markup {
    let mut path: Vec<String> = Vec::new();
    for piece in &line.pieces {
        let mut before: Option<f64> = None;
        for (x, y) in piece {
            let (x, y) = (frame.x(*x), frame.y(*y));
            path.push(match before {
                None => format!("M{} {}", px(x), px(y)),
                Some(old) if line.steps => format!("L{} {}L{} {}", px(x), px(old), px(x), px(y)),
                Some(_) => format!("L{} {}", px(x), px(y)),
            });
            before = Some(y);
        }
    }
    html! {
        path d=(path.concat()) fill="none" stroke=(line.colour) stroke-width=(line.width) stroke-linejoin="round"
            stroke-dasharray=[line.dashed.then_some("6 4")] {}
    }
}

fn draw_label(placed: &Placed, colour: &str) -> Markup {
    let (x, y) = (px(placed.at.0), px(placed.at.1));
    let turn = (placed.angle != 0.0).then(|| format!("rotate({} {x} {y})", placed.angle));
    html! {
        text x=(x) y=(y) transform=[turn] text-anchor=(if placed.ends { "end" } else { "start" })
            font-size=(labels::SIZE) fill=(colour) { (placed.text) }
    }
}

/// A pixel to a tenth.
fn px(value: f64) -> String {
    let text = format!("{:.1}", if value.is_finite() { value } else { 0.0 });
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
