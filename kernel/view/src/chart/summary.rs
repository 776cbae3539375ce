//! A chart in words, and sparklines.

use super::Chart;
use crate::{number::short, text::columns};

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
    /// Title, subtitle, and each line as a sparkline with its first and last value.
    pub fn text(&self) -> String {
        let mut out: Vec<String> =
            [&self.title, &self.subtitle].into_iter().filter(|line| !line.is_empty()).cloned().collect();
        let widest = self.lines().map(|line| columns(&line.name)).max().unwrap_or(0);
        for line in self.lines() {
            let values: Vec<f64> = if line.steps {
                held(&line.pieces)
            } else {
                line.pieces.iter().flatten().map(|p| p.1).collect()
            };
            if let (Some(first), Some(last)) = (values.first(), values.last()) {
                let name = crate::text::left(&line.name, widest);
                out.push(format!("{name}  {}  {} → {}", spark(&values, 40), short(*first), short(*last)));
            }
        }
        if !self.y.label.is_empty()
            && self.y.label != self.title
            && self.lines().any(|line| !line.pieces.is_empty())
        {
            out.push(format!("{} by {}", self.y.label, self.x.label));
        }
        out.join("\n")
    }
}

/// The values of a step line at even distances: each holds until the next.
fn held(pieces: &[Vec<(f64, f64)>]) -> Vec<f64> {
    let Some((from, to)) = pieces.first().and_then(|p| p.first()).zip(pieces.last().and_then(|p| p.last()))
    else {
        return Vec::new();
    };
    let points: Vec<(f64, f64)> = pieces.iter().flatten().copied().collect();
    let n = ((to.0 - from.0) as usize + 1).clamp(1, 400);
    (0..n)
        .map(|i| from.0 + (to.0 - from.0) * i as f64 / (n - 1).max(1) as f64)
        .filter_map(|x| points.iter().rev().find(|point| point.0 <= x + 1e-9).map(|point| point.1))
        .collect()
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
        assert_eq!(held(&[vec![(0.0, 3.0), (2.0, 1.0), (4.0, 1.0)]]), [3.0, 3.0, 1.0, 1.0, 1.0]);
    }
}
