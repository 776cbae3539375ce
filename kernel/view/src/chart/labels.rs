//! Where labels stand, so that none covers another or leaves the chart.

use super::{Beside, Label};
use crate::text::clip;

/// The area inside the axes, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// A straight piece of a line, in pixels.
pub(super) type Segment = ((f64, f64), (f64, f64));

/// A label that has found its place.
pub(super) struct Placed<'a> {
    pub(super) label: &'a Label,
    /// Its text, cut where the chart ends.
    pub(super) text: String,
    /// Where its text is anchored, in pixels.
    pub(super) at: (f64, f64),
    /// Degrees, clockwise.
    pub(super) angle: f64,
    /// Whether its text ends at the anchor rather than beginning there.
    pub(super) ends: bool,
    /// How much lower than its point it stands, in pixels, where it is level.
    pub(super) lower: f64,
}

/// Height of a line of a label, in pixels.
const HEIGHT: f64 = 12.0;
/// How far the middle of a label's text stays from lines, in pixels.
const CLEAR: f64 = 6.5;
/// Size of the letters, in pixels.
pub(super) const SIZE: f64 = 10.5;

/// A way to stand: degrees, whether the text ends at its anchor, whether it may be cut, and how far it is to the right of
/// the point and below it.
type Way = (f64, bool, bool, (f64, f64));

/// The ways to stand, the best first.
fn ways(side: Beside) -> Vec<Way> {
    let slants = |sign: f64| {
        // Up and to the right first, then the same cut, then up and to the left, then steeper; mirrored below.
        let down = sign * -8.0 + if sign > 0.0 { 0.0 } else { SIZE * 0.6 };
        [
            (-32.0, false, false),
            (-32.0, false, true),
            (32.0, true, false),
            (-58.0, false, false),
            (58.0, true, true),
        ]
        .map(|(angle, ends, cut)| (angle * sign, ends, cut, (if ends { -3.0 } else { 4.0 }, down)))
        .to_vec()
    };
    match side {
        Beside::Above => slants(1.0),
        Beside::Below => slants(-1.0),
        Beside::Before { falls } => {
            let after = (AFTER.0, if falls { AFTER.1 } else { -AFTER.1 });
            let mut ways = vec![
                (0.0, true, false, (-9.0, 0.0)),
                (0.0, false, false, after),
                (0.0, true, true, (-9.0, 0.0)),
                (0.0, false, true, after),
            ];
            ways.extend(slants(if falls { 1.0 } else { -1.0 }));
            ways
        }
    }
}

/// Where a level label begins after its point: so far to the right, and so far from the line.
const AFTER: (f64, f64) = (9.0, 11.0);

/// Places the labels one after the other; one that finds no free place is left out. Those before the points of a line
/// stand on none of `lines`.
pub(super) fn place<'a>(
    labels: &'a [Label],
    side: Beside,
    area: Area,
    lines: &[Segment],
    to_pixels: impl Fn(&Label) -> (f64, f64),
) -> Vec<Placed<'a>> {
    let mut placed: Vec<(Placed, Vec<(f64, f64)>)> = Vec::new();
    let ways = ways(side);
    let lines = if matches!(side, Beside::Before { .. }) { lines } else { &[] };
    for label in labels {
        let (x, y) = to_pixels(label);
        let best = ways.iter().find_map(|(angle, ends, cut, (right, down))| {
            let (angle, level) = (*angle, *angle == 0.0);
            // A text stands on its anchor; one that is level has its middle there.
            let at = (x + right, y + down + if level { SIZE * 0.35 } else { 0.0 });
            let text = if *cut { fitted(&label.text, at.0, angle, *ends, area)? } else { label.text.clone() };
            let line = line(at, width(&text, SIZE), angle, *ends);
            let inside = line.iter().all(|(x, y)| {
                *x > area.left + 2.0
                    && *x < area.right
                    && *y > area.top + HEIGHT / 2.0
                    && *y < area.bottom - 4.0
            });
            // A slanted one begins at its point, and so on its line.
            let away = &line[line.len().min(if level { 0 } else { 2 })..];
            let free = placed.iter().all(|(_, other)| apart(&line, other))
                && lines.iter().all(|segment| away.iter().all(|point| distance(*point, *segment) > CLEAR));
            let lower = if level { *down } else { 0.0 };
            let found = Placed { label, text, at, angle, ends: *ends, lower };
            (inside && free).then_some((found, line))
        });
        placed.extend(best);
    }
    placed.into_iter().map(|(placed, _)| placed).collect()
}

/// The beginning of a text that fits between its anchor and the side of the chart, if that says anything.
fn fitted(text: &str, x: f64, angle: f64, ends: bool, area: Area) -> Option<String> {
    let room = if ends { x - area.left } else { area.right - x } / angle.to_radians().cos() - 4.0;
    let letters = (1..=text.chars().count()).rev().find(|n| width(&clip(text, *n), SIZE) <= room)?;
    (letters >= 14).then(|| clip(text, letters))
}

/// Points along the middle of a label's text.
fn line(at: (f64, f64), width: f64, angle: f64, ends: bool) -> Vec<(f64, f64)> {
    let (sin, cos) = angle.to_radians().sin_cos();
    let direction = if ends { -1.0 } else { 1.0 };
    let pieces = (width / 6.0).ceil().max(1.0) as usize;
    let middle = (at.0 + sin * SIZE * 0.35, at.1 - cos * SIZE * 0.35);
    (0..=pieces)
        .map(|i| direction * width * i as f64 / pieces as f64)
        .map(|along| (middle.0 + cos * along, middle.1 + sin * along))
        .collect()
}

/// The beginning of a text that is at most `room` pixels wide.
pub(super) fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let letters = (1..=text.chars().count()).rev().find(|n| width(&clip(text, *n), size) <= room);
    clip(text, letters.unwrap_or(1))
}

/// A text in lines that are at most `room` pixels wide, `most` of them; the last one is cut where there is more.
pub(super) fn lines(text: &str, size: f64, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let full = lines.len() == most;
        match lines.last_mut() {
            Some(line) if full || width(line, size) + width(word, size) + size * 0.3 <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| cut(line, size, room)).collect()
}

/// How far a point is from a straight piece.
fn distance((x, y): (f64, f64), ((x1, y1), (x2, y2)): Segment) -> f64 {
    let (dx, dy) = (x2 - x1, y2 - y1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (((x - x1) * dx + (y - y1) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (x - x1 - along * dx).hypot(y - y1 - along * dy)
}

fn apart(one: &[(f64, f64)], other: &[(f64, f64)]) -> bool {
    one.iter().all(|a| other.iter().all(|b| (a.0 - b.0).hypot(a.1 - b.1) > HEIGHT))
}

/// About how wide a text is, in pixels, at a size of letters.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | '[' | ']' => 0.29,
        'f' | 't' | 'r' | '-' | '/' => 0.38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '→' | '…' => 0.88,
        '0'..='9' | '_' | '+' | '−' | '=' => 0.63,
        c if c.is_ascii_uppercase() => 0.68,
        c if c.is_ascii() => 0.58,
        c => unicode_width::UnicodeWidthChar::width(c).unwrap_or(1).max(1) as f64 * 0.6,
    };
    text.chars().map(em).sum::<f64>() * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_before_points_stand_on_no_line() {
        let area = Area { left: 0.0, top: 0.0, right: 400.0, bottom: 200.0 };
        let label = |x: f64, y: f64| Label { x, y, text: "12 halve the batch".to_owned() };
        // It falls at 200, and goes on at 100; then it falls again before a label could stand there.
        let lines =
            [((0.0, 50.0), (200.0, 50.0)), ((200.0, 50.0), (200.0, 100.0)), ((200.0, 100.0), (230.0, 100.0))];
        let place = |labels: &[Label]| -> Vec<(f64, bool, bool)> {
            let placed =
                place(labels, Beside::Before { falls: true }, area, &lines, |label| (label.x, label.y));
            placed.iter().map(|placed| (placed.angle, placed.ends, placed.lower > 0.0)).collect()
        };
        assert_eq!(place(&[label(200.0, 100.0)]), [(0.0, true, false)], "before it");
        assert_eq!(
            place(&[label(20.0, 50.0)]),
            [(0.0, false, true)],
            "below it, where there is no room before"
        );
        assert_eq!(place(&[label(230.0, 104.0)])[0].1, false, "on no line");
    }

    #[test]
    fn distances_are_to_the_nearest_of_a_piece() {
        let piece = ((0.0, 0.0), (10.0, 0.0));
        let near = |point, wanted: f64| (distance(point, piece) - wanted).abs() < 1e-9;
        assert!(near((5.0, 3.0), 3.0) && near((13.0, 4.0), 5.0) && near((-1.0, 0.0), 1.0));
        assert!((distance((3.0, 4.0), ((0.0, 0.0), (0.0, 0.0))) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn text_stays_in_its_room() {
        let text = "val_bpb 1.0230 → 0.9932 (−2.9%, experiment 12) · 4 beyond the axis, at its edge";
        for room in [40.0, 120.0, 300.0, 1000.0] {
            let lines = lines(text, 12.0, room, 3);
            assert!(lines.len() <= 3 && lines.iter().all(|line| width(line, 12.0) <= room), "{lines:?}");
        }
        assert_eq!(lines(text, 12.0, 1000.0, 3), [text]);
        assert_eq!(lines(text, 12.0, 300.0, 1).len(), 1);
        assert_eq!(cut("halve the batch", 10.0, 60.0), "halve the…");
    }
}
