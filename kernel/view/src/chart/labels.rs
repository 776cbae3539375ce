//! Where labels stand, so that none covers another or leaves the chart.

use super::Label;
use crate::text::clip;

/// The area inside the axes, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

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
}

/// Height of a line of a label, in pixels.
const HEIGHT: f64 = 12.0;
/// Size of the letters, in pixels.
pub(super) const SIZE: f64 = 10.5;

/// Places the labels one after the other; one that finds no free place is left out.
pub(super) fn place(
    labels: &[Label],
    above: bool,
    area: Area,
    to_pixels: impl Fn(&Label) -> (f64, f64),
) -> Vec<Placed<'_>> {
    let mut placed: Vec<(Placed, Vec<(f64, f64)>)> = Vec::new();
    // Up and to the right first, then the same cut, then up and to the left, then steeper; mirrored below.
    let tries = [
        (-32.0, false, false),
        (-32.0, false, true),
        (32.0, true, false),
        (-58.0, false, false),
        (58.0, true, true),
    ];
    for label in labels {
        let (x, y) = to_pixels(label);
        let side = if above { 1.0 } else { -1.0 };
        let best = tries.iter().find_map(|(angle, ends, cut)| {
            let angle = angle * side;
            let at =
                (x + if *ends { -3.0 } else { 4.0 }, y + side * -8.0 + if above { 0.0 } else { SIZE * 0.6 });
            let text = if *cut { fitted(&label.text, at.0, angle, *ends, area)? } else { label.text.clone() };
            let line = line(at, width(&text, SIZE), angle, *ends);
            let inside = line.iter().all(|(x, y)| {
                *x > area.left + 2.0
                    && *x < area.right
                    && *y > area.top + HEIGHT / 2.0
                    && *y < area.bottom - 4.0
            });
            let free = placed.iter().all(|(_, other)| apart(&line, other));
            (inside && free).then_some((Placed { label, text, at, angle, ends: *ends }, line))
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
