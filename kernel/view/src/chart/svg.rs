//! The chart as SVG, which becomes the PNG.

use maud::{Markup, html};

use super::{
    Axis, Band, Bars, Beside, Chart, Ground, Label, Layer, Line, Place, Points, Segments, Shape, colour,
    domain::{Scale, scales},
    labels::{self, Area, Placed, Segment, width},
    layer::{BAND, Key, Mark},
    png::legible,
};

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

/// Lines of a subtitle and of a legend at most.
const SUBTITLES: usize = 3;
const LEGENDS: usize = 3;
/// From the edge of the picture to its words.
const MARGIN: f64 = 20.0;

/// What stands above the data, broken into lines.
struct Head<'a> {
    title: String,
    title_size: f64,
    subtitle: Vec<String>,
    /// Entries with where they begin, in lines, and how many had no room.
    legend: Vec<Vec<(f64, Key<'a>)>>,
    more: usize,
}

impl<'a> Head<'a> {
    fn of(chart: &'a Chart, left: f64, inside: bool) -> Self {
        let room = f64::from(chart.size.0) - left - MARGIN;
        let title_size = if inside { 13.0 } else { 17.0 };
        let keys = chart.legend();
        // A legend of one name that the title says already is none; panels have that of the whole.
        let keys = if keys.len() > 1 && !inside { keys } else { Vec::new() };
        let (mut legend, mut more): (Vec<Vec<(f64, Key)>>, usize) = (Vec::new(), 0);
        let mut at = f64::INFINITY;
        for key in keys {
            let wide = 22.0 + width(&legible(key.name), 11.0);
            if at + wide > room {
                if legend.len() == LEGENDS {
                    more += 1;
                    continue;
                }
                legend.push(Vec::new());
                at = 0.0;
            }
            if let Some(line) = legend.last_mut() {
                line.push((at, key));
                at += wide + 16.0;
            }
        }
        Self {
            title: labels::cut(&legible(&chart.title), title_size, room),
            title_size,
            subtitle: labels::lines(&legible(&chart.subtitle), 12.0, room, SUBTITLES),
            legend,
            more,
        }
    }

    fn height(&self) -> f64 {
        let title = if self.title.is_empty() { 6.0 } else { self.title_size + 15.0 };
        let legend = self.legend.len() + usize::from(self.more > 0);
        title + self.subtitle.len() as f64 * 16.0 + legend as f64 * 17.0 + 8.0
    }

    fn draw(&self, left: f64, ink: &Ink) -> Markup {
        let title = self.title_size + 10.0;
        let below = if self.title.is_empty() { 6.0 } else { title + 4.0 };
        let row = |i: usize| below + self.subtitle.len() as f64 * 16.0 + i as f64 * 17.0 + 12.0;
        html! {
            text x=(px(left)) y=(px(title)) font-size=(self.title_size) fill=(ink.text) { (self.title) }
            @for (i, line) in self.subtitle.iter().enumerate() {
                text x=(px(left)) y=(px(below + 14.0 + i as f64 * 16.0)) font-size="12" fill=(ink.muted) { (line) }
            }
            @for (i, line) in self.legend.iter().enumerate() {
                @for (at, key) in line {
                    (symbol(key, (left + at, row(i))))
                    text x=(px(left + at + 22.0)) y=(px(row(i) + 4.0)) font-size="11" fill=(ink.muted) { (legible(key.name)) }
                }
            }
            @if self.more > 0 {
                text x=(px(left)) y=(px(row(self.legend.len()) + 4.0)) font-size="11" fill=(ink.muted) {
                    "and " (self.more) " more"
                }
            }
        }
    }
}

fn symbol(key: &Key, (x, y): (f64, f64)) -> Markup {
    match key.mark {
        Mark::Point(shape, diameter) => mark(shape, (x + 8.0, y), diameter.min(9.0), key.colour, 1.0, None),
        Mark::Line { dashed } => html! {
            line x1=(px(x)) x2=(px(x + 17.0)) y1=(px(y)) y2=(px(y)) stroke=(key.colour) stroke-width="2"
                stroke-dasharray=[dashed.then_some("5 3")] {}
        },
        Mark::Block(opacity) => html! {
            rect x=(px(x + 1.0)) y=(px(y - 4.5)) width="15" height="9" fill=(key.colour) fill-opacity=(opacity.max(0.3)) {}
        },
    }
}

/// The frame of one drawing: where the data goes and how values become pixels.
pub(super) struct Frame {
    pub(super) area: Area,
    x: Scale,
    y: Scale,
    /// Whether anything has a value: without, ticks would be made up.
    valued: bool,
    /// The chart's lines, piece by piece.
    lines: Vec<Segment>,
}

impl Frame {
    /// `inside` for a panel of another chart.
    pub(super) fn of(chart: &Chart, inside: bool) -> Self {
        let (wide, high) = (f64::from(chart.size.0), f64::from(chart.size.1));
        // A tick for each so many pixels.
        let (x, y) = if chart.compact { (6, 3) } else { ((wide / 84.0) as usize, (high / 72.0) as usize) };
        let (x, y) = scales(chart, (x.max(2), y.max(2)));
        let ticks = ticks_width(&y);
        let area = if chart.compact {
            Area { left: ticks + 8.0, top: 6.0, right: wide - 10.0, bottom: high - 18.0 }
        } else {
            let label = if chart.y.label.is_empty() { 16.0 } else { 36.0 };
            let left = ticks + label;
            Area {
                left,
                top: Head::of(chart, left, inside).height(),
                right: wide - MARGIN,
                bottom: high - if chart.x.label.is_empty() { 28.0 } else { 48.0 },
            }
        };
        // However little room there is, the axes do not turn round.
        let area = Area {
            right: area.right.max(area.left + 20.0),
            bottom: area.bottom.max(area.top + 20.0),
            ..area
        };
        let mut frame = Self { area, x, y, valued: has_values(chart), lines: Vec::new() };
        frame.lines = chart.layers.iter().flat_map(|layer| frame.segments(layer)).collect();
        frame
    }

    /// What is drawn of a line.
    fn segments(&self, layer: &Layer) -> Vec<Segment> {
        let Layer::Line(line) = layer else { return Vec::new() };
        let corners = |piece: &Vec<(f64, f64)>| -> Vec<(f64, f64)> {
            let mut corners: Vec<(f64, f64)> = Vec::new();
            for (x, y) in piece.iter().map(|(x, y)| (self.x(*x), self.y(*y))) {
                corners.extend(corners.last().filter(|_| line.steps).map(|last| (x, last.1)));
                corners.push((x, y));
            }
            corners
        };
        let pairs = |corners: Vec<(f64, f64)>| -> Vec<Segment> {
            corners.windows(2).map(|pair| (pair[0], pair[1])).collect()
        };
        line.pieces.iter().map(corners).flat_map(pairs).collect()
    }

    fn x(&self, value: f64) -> f64 {
        self.area.left + self.x.share(value) * (self.area.right - self.area.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.y.share(value) * (self.area.bottom - self.area.top)
    }

    /// The name of the area that nothing may leave; the same for areas of one size and place.
    fn clip(&self) -> String {
        let Area { left, top, right, bottom } = self.area;
        format!("area-{left:.0}-{top:.0}-{right:.0}-{bottom:.0}")
    }

    fn place(&self, place: Place) -> f64 {
        match place {
            Place::At(value) => self.y(value),
            Place::Top => self.area.top + 6.0,
            Place::Bottom => self.area.bottom - 6.0,
        }
    }

    pub(super) fn placed<'a>(&self, labels: &'a [Label], side: Beside) -> Vec<Placed<'a>> {
        labels::place(labels, side, self.area, &self.lines, |label| (self.x(label.x), self.y(label.y)))
    }
}

impl Chart {
    /// The chart as an SVG document.
    pub fn svg(&self, ground: Ground) -> String {
        let ink = Ink::on(ground);
        let (wide, high) = self.size;
        html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(wide) height=(high) viewBox=(format!("0 0 {wide} {high}"))
                font-family="Inter, sans-serif" {
                @if let Some(ground) = ink.ground { rect width=(wide) height=(high) fill=(ground) {} }
                @if self.panels.is_empty() { (view(self, &ink, ground, false)) } @else { (panels(self, &ink, ground)) }
            }
        }
        .into_string()
    }

    /// How high what stands above its panels is.
    pub(super) fn head_height(&self) -> f64 {
        Head::of(self, MARGIN, false).height()
    }
}

fn view(chart: &Chart, ink: &Ink, ground: Ground, inside: bool) -> Markup {
    let frame = Frame::of(chart, inside);
    html! {
        (axes(chart, &frame, ink))
        @if !chart.compact { (Head::of(chart, frame.area.left, inside).draw(frame.area.left, ink)) }
        clipPath id=(frame.clip()) {
            rect x=(px(frame.area.left)) y=(px(frame.area.top)) width=(px(frame.area.right - frame.area.left))
                height=(px(frame.area.bottom - frame.area.top)) {}
        }
        @for layer in &chart.layers {
            @if matches!(layer, Layer::Line(_) | Layer::Band(_) | Layer::Segments(_) | Layer::Bars(_)) {
                g clip-path=(format!("url(#{})", frame.clip())) { (draw(layer, &frame, ink, ground)) }
            } @else { (draw(layer, &frame, ink, ground)) }
        }
    }
}

fn panels(chart: &Chart, ink: &Ink, ground: Ground) -> Markup {
    let head = Head::of(chart, MARGIN, false);
    let mut top = head.height();
    let mut placed = Vec::new();
    for row in chart.rows() {
        let mut left = 0;
        for panel in row {
            placed.push((left, top, panel));
            left += panel.size.0;
        }
        top += f64::from(row.iter().map(|panel| panel.size.1).max().unwrap_or(0));
    }
    html! {
        (head.draw(MARGIN, ink))
        @for (left, top, panel) in placed {
            g transform=(format!("translate({left} {})", px(top))) { (view(panel, ink, ground, true)) }
        }
    }
}

fn axes(chart: &Chart, frame: &Frame, ink: &Ink) -> Markup {
    let a = frame.area;
    let middle = f64::midpoint(a.top, a.bottom);
    let size = if chart.compact { "10" } else { "11" };
    let lines = chart.y.names().is_none();
    let room = (a.right - a.left) / frame.x.ticks.len().max(1) as f64;
    html! {
        @for (value, text) in frame.y.ticks.iter().filter(|_| frame.valued) {
            @let y = frame.y(*value);
            @if lines { line x1=(px(a.left)) x2=(px(a.right)) y1=(px(y)) y2=(px(y)) stroke=(ink.grid.0) stroke-opacity=(ink.grid.1) {} }
            text x=(px(a.left - 7.0)) y=(px(y + 3.8)) text-anchor="end" font-size=(size) fill=(ink.muted) { (legible(text)) }
        }
        line x1=(px(a.left)) x2=(px(a.right)) y1=(px(a.bottom)) y2=(px(a.bottom)) stroke=(ink.muted) stroke-opacity="0.6" {}
        @for (value, text) in &frame.x.ticks {
            @let x = frame.x(*value);
            line x1=(px(x)) x2=(px(x)) y1=(px(a.bottom)) y2=(px(a.bottom + 4.0)) stroke=(ink.muted) stroke-opacity="0.6" {}
            text x=(px(x)) y=(px(a.bottom + 15.0)) text-anchor="middle" font-size=(size) fill=(ink.muted) {
                (if chart.x.names().is_some() { labels::cut(&legible(text), 11.0, room - 4.0) } else { legible(text) })
            }
        }
        @if !chart.compact {
            (axis_label(&chart.x, (f64::midpoint(a.left, a.right), a.bottom + 36.0), a.right - a.left, false, ink))
            (axis_label(&chart.y, (a.left - ticks_width(&frame.y) - 20.0, middle), a.bottom - a.top + 40.0, true, ink))
        }
    }
}

/// How wide the widest tick of the vertical axis is, in pixels.
fn ticks_width(y: &Scale) -> f64 {
    y.ticks.iter().map(|(_, text)| width(&legible(text), 11.0)).fold(20.0, f64::max)
}

fn has_values(chart: &Chart) -> bool {
    chart.layers.iter().any(|layer| match layer {
        Layer::Points(points) => points.points.iter().any(|point| matches!(point.y, Place::At(_))),
        Layer::Line(line) => !line.pieces.is_empty(),
        Layer::Bars(bars) => !bars.bars.is_empty(),
        Layer::Segments(segments) => !segments.segments.is_empty(),
        Layer::Band(band) => !band.pieces.is_empty(),
        Layer::Labels { .. } | Layer::Rules(_) => false,
    })
}

fn axis_label(axis: &Axis, at: (f64, f64), room: f64, upright: bool, ink: &Ink) -> Markup {
    let turn = upright.then(|| format!("rotate(-90 {} {})", px(at.0), px(at.1)));
    html! {
        text x=(px(at.0)) y=(px(at.1)) transform=[turn] text-anchor="middle" font-size="12" fill=(ink.text) {
            (labels::cut(&legible(&axis.label), 12.0, room))
        }
    }
}

fn draw(layer: &Layer, frame: &Frame, ink: &Ink, ground: Ground) -> Markup {
    match layer {
        Layer::Points(points) => draw_points(points, frame, ground),
        Layer::Line(line) => draw_line(line, frame),
        Layer::Bars(bars) => draw_bars(bars, frame),
        Layer::Segments(segments) => draw_segments(segments, frame),
        Layer::Band(band) => draw_band(band, frame),
        Layer::Labels { colour, side, labels } => {
            html! { @for placed in frame.placed(labels, *side) { (draw_label(&placed, colour)) } }
        }
        Layer::Rules(rules) => html! {
            @for rule in rules {
                @let x = px(frame.x(rule.x));
                line x1=(x) x2=(x) y1=(px(frame.area.top)) y2=(px(frame.area.bottom)) stroke=(colour::INK) stroke-dasharray="2 4" {}
                text x=(px(frame.x(rule.x) + 4.0)) y=(px(frame.area.bottom - 6.0)) font-size="10" fill=(ink.muted) {
                    (labels::cut(&legible(&rule.text), 10.0, frame.area.right - frame.x(rule.x) - 4.0))
                }
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
        if let [_] = piece[..] {
            // A value between two interruptions: a dot.
            path.push("h0.1".to_owned());
        }
    }
    html! {
        path d=(path.concat()) fill="none" stroke=(line.colour) stroke-width=(line.width) stroke-linejoin="round"
            stroke-linecap=(if line.dashed { "butt" } else { "round" }) stroke-dasharray=[line.dashed.then_some("6 4")] {}
    }
}

fn draw_bars(bars: &Bars, frame: &Frame) -> Markup {
    html! {
        @for bar in &bars.bars {
            @let (from, to) = (frame.x(bar.from), frame.x(bar.to));
            rect x=(px(from.min(to))) y=(px(frame.y(bar.y) - bars.thickness / 2.0)) width=(px((to - from).abs().max(0.8)))
                height=(px(bars.thickness)) fill=(bars.colour) fill-opacity=(bars.opacity) {}
        }
    }
}

fn draw_segments(segments: &Segments, frame: &Frame) -> Markup {
    let line = |(x, y): (f64, f64)| format!("{} {}", px(frame.x(x)), px(frame.y(y)));
    let path: String =
        segments.segments.iter().map(|one| format!("M{}L{}", line(one.from), line(one.to))).collect();
    html! {
        path d=(path) fill="none" stroke=(segments.colour) stroke-width=(segments.width)
            stroke-opacity=(segments.opacity) stroke-linecap="round" {}
    }
}

fn draw_band(band: &Band, frame: &Frame) -> Markup {
    let mut path = String::new();
    for piece in &band.pieces {
        let edge = |of: fn(&(f64, f64, f64)) -> f64| {
            let mut edge: Vec<(f64, f64)> = Vec::new();
            for at in piece {
                let (x, y) = (frame.x(at.0), frame.y(of(at)));
                if let Some((_, old)) = edge.last().copied().filter(|_| band.steps) {
                    edge.push((x, old));
                }
                edge.push((x, y));
            }
            edge
        };
        // Along the lower edge, and back along the upper one.
        let (low, high) = (edge(|at| at.1), edge(|at| at.2));
        for (i, (x, y)) in low.into_iter().chain(high.into_iter().rev()).enumerate() {
            path.push_str(&format!("{}{} {}", if i == 0 { 'M' } else { 'L' }, px(x), px(y)));
        }
        path.push('Z');
    }
    html! { path d=(path) fill=(band.colour) fill-opacity=(BAND) {} }
}

fn draw_label(placed: &Placed, colour: &str) -> Markup {
    let (x, y) = (px(placed.at.0), px(placed.at.1));
    let turn = (placed.angle != 0.0).then(|| format!("rotate({} {x} {y})", placed.angle));
    html! {
        text x=(x) y=(y) transform=[turn] text-anchor=(if placed.ends { "end" } else { "start" })
            font-size=(labels::SIZE) fill=(colour) { (legible(&placed.text)) }
    }
}

/// A pixel to a tenth.
fn px(value: f64) -> String {
    let text = format!("{:.1}", if value.is_finite() { value } else { 0.0 });
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
