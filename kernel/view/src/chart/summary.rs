//! A chart in words, and sparklines.

use super::{Bars, Chart, Layer, Line, Place, Points};
use crate::{
    number::short,
    style::text_bar,
    text::{clip, columns, left},
};

/// Columns of a sparkline and of a bar.
const WIDTH: usize = 40;
/// Bars that are told one by one.
const BARS: usize = 20;

/// Values as a line of block characters, `width` at most: `█▆▅▃▂▁`. Empty for no values.
pub fn spark(values: &[f64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if finite.is_empty() || width == 0 {
        return String::new();
    }
    let columns = width.min(finite.len());
    let means: Vec<f64> = (0..columns)
        .map(|i| &finite[i * finite.len() / columns..(i + 1) * finite.len() / columns])
        .map(|part| part.iter().sum::<f64>() / part.len() as f64)
        .collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    means
        .iter()
        .map(|mean| if high > low { ((mean - low) / (high - low) * 7.0).round() as usize } else { 3 })
        .map(|i| BLOCKS[i.min(7)])
        .collect()
}

impl Chart {
    /// Title and subtitle; each line as a sparkline with its first and last value; where there is no line, where the
    /// points are; bars that begin at 0; then what else there is to say.
    pub fn text(&self) -> String {
        let mut out: Vec<String> =
            [&self.title, &self.subtitle].into_iter().filter(|line| !line.is_empty()).cloned().collect();
        let mut told: Vec<(&str, String)> = self.layers.iter().filter_map(line).collect();
        if told.is_empty() {
            told = self.layers.iter().filter_map(points).collect();
        }
        told.extend(self.layers.iter().flat_map(|layer| self.bars(layer)));
        let widest = told.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
        out.extend(told.iter().map(|(name, words)| format!("{}  {words}", left(name, widest))));
        out.extend(self.notes.iter().cloned());
        if ![&self.y.label, &self.x.label].iter().any(|label| label.is_empty())
            && self.y.label != self.title
            && !told.is_empty()
        {
            out.push(format!("{} by {}", self.y.label, self.x.label));
        }
        for panel in &self.panels {
            out.push(String::new());
            out.push(panel.text());
        }
        out.join("\n")
    }

    /// The bars of a layer, where they begin at 0 and have names.
    fn bars<'a>(&'a self, layer: &'a Layer) -> Vec<(&'a str, String)> {
        let (Layer::Bars(Bars { bars, .. }), Some(names)) = (layer, self.y.names()) else {
            return Vec::new();
        };
        let largest = bars.iter().map(|bar| bar.to.abs()).fold(0.0, f64::max);
        if bars.iter().any(|bar| bar.from != 0.0) || largest == 0.0 {
            return Vec::new();
        }
        let told = bars.iter().take(BARS).filter_map(|bar| {
            let name = names.get(bar.y.max(0.0) as usize)?;
            Some((
                name.as_str(),
                format!("{}  {}", text_bar(bar.to.abs() / largest, WIDTH / 2), short(bar.to)),
            ))
        });
        told.collect()
    }
}

fn line(layer: &Layer) -> Option<(&str, String)> {
    let Layer::Line(line) = layer else { return None };
    if line.name.is_empty() {
        return None;
    }
    let values: Vec<f64> =
        if line.steps { held(line) } else { line.pieces.iter().flatten().map(|p| p.1).collect() };
    let (first, last) = values.first().zip(values.last())?;
    Some((&line.name, format!("{}  {} → {}", spark(&values, WIDTH), short(*first), short(*last))))
}

fn points(layer: &Layer) -> Option<(&str, String)> {
    let Layer::Points(Points { name, points, .. }) = layer else { return None };
    let places = || {
        points.iter().filter_map(|point| if let Place::At(y) = point.y { Some((point.x, y)) } else { None })
    };
    let (x, y) = (span(places().map(|at| at.0)), span(places().map(|at| at.1)));
    let few = crate::number::count(points.len(), "point", "points");
    (!points.is_empty()).then(|| match x.zip(y) {
        Some((x, y)) => (name.as_str(), format!("{few}, x {x}, y {y}")),
        None => (name.as_str(), format!("{few} without a value")),
    })
}

/// `3 to 5`.
fn span(values: impl Iterator<Item = f64>) -> Option<String> {
    let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    ends.map(
        |(low, high)| if low == high { short(low) } else { format!("{} to {}", short(low), short(high)) },
    )
}

/// The values of a step line at even distances: each holds until the next.
fn held(line: &Line) -> Vec<f64> {
    let pieces = &line.pieces;
    let Some((from, to)) = pieces.first().and_then(|p| p.first()).zip(pieces.last().and_then(|p| p.last()))
    else {
        return Vec::new();
    };
    let points: Vec<(f64, f64)> = pieces.iter().flatten().copied().collect();
    let n = ((to.0 - from.0) as usize + 1).clamp(1, 400);
    (0..n)
        .map(|i| from.0 + (to.0 - from.0) * i as f64 / (n - 1).max(1) as f64)
        .filter_map(|x| {
            let after = points.partition_point(|point| point.0 <= x + 1e-9);
            points.get(after.checked_sub(1)?).map(|point| point.1)
        })
        .collect()
}

/// Rows of words below each other, a column as wide as its widest word, but none wider than 48.
pub(super) fn rows(rows: &[Vec<String>]) -> Vec<String> {
    let clipped: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|word| clip(word, 48)).collect()).collect();
    let wide =
        |i: usize| clipped.iter().filter_map(|row| row.get(i)).map(|word| columns(word)).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let words: Vec<String> = row.iter().enumerate().map(|(i, word)| left(word, wide(i))).collect();
        words.join("  ").trim_end().to_owned()
    };
    clipped.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines() {
        assert_eq!(spark(&[3.0, 2.0, 1.0, f64::NAN], 8), "█▅▁");
        assert_eq!(spark(&[1.0, 1.0], 8), "▄▄");
        assert_eq!(spark(&[], 8), "");
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(spark(&many, 8), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn steps_hold_their_value() {
        let line = Line {
            name: String::new(),
            colour: "",
            steps: true,
            dashed: false,
            width: 1.0,
            pieces: vec![vec![(0.0, 3.0), (2.0, 1.0), (4.0, 1.0)]],
        };
        assert_eq!(held(&line), [3.0, 3.0, 1.0, 1.0, 1.0]);
    }
}
