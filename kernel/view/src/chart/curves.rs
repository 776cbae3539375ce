//! Curves: a metric over steps, for one run or several.

use super::{Axis, AxisScale, Chart, Layer, Line, colour, sample};
use crate::{
    number::{count, fixed},
    style,
    text::{clip, one_line},
};

/// No curve is drawn with more points than about this.
pub(super) const POINTS: usize = 1000;

/// Curves over a common axis, each with a name. Those past the seventh are dashed in the same colours. A point that is
/// not a number interrupts its curve.
pub fn curves(series: Vec<(String, Vec<(f64, f64)>)>, x: &str, y: &str) -> Chart {
    let (x, y) = (one_line(x), one_line(y));
    let all = series.len();
    let scale = AxisScale::even(series.iter().flat_map(|(_, points)| points).map(|(x, _)| *x));
    let (mut sampled, mut broken) = (None, Vec::new());
    let lines: Vec<Line> = series
        .into_iter()
        .enumerate()
        .filter_map(|(i, (name, points))| {
            let name = clip(&one_line(&name), 60);
            let (pieces, left_out) = sample::line(&points, POINTS);
            if left_out {
                sampled = sampled.max(Some(points.len()));
            }
            broken.extend(interruption(&points).map(|step| format!("{name} is not a number at {x} {step}")));
            (!pieces.is_empty()).then(|| Line {
                name,
                colour: colour::SERIES[i % colour::SERIES.len()],
                steps: false,
                dashed: i >= colour::SERIES.len(),
                width: 1.8,
                pieces,
            })
        })
        .collect();
    let drawn = lines.len();
    let mut said = Vec::new();
    if drawn == 0 {
        said.push(format!("no values of {y}"));
    } else if drawn < all {
        said.push(format!("{} without values of {y}", count(all - drawn, "curve", "curves")));
    }
    if let Some(longest) = sampled {
        said.push(few(longest));
    }
    let more = broken.len().saturating_sub(2);
    broken.truncate(2);
    said.extend(broken);
    if more > 0 {
        said.push(format!("nor are {more} others somewhere"));
    }
    let mut chart = Chart::new(format!("{y} over {x}"), Axis::new(x).scaled(scale), Axis::new(y));
    chart.subtitle = said.join(" · ");
    chart.layers = lines.into_iter().map(Layer::Line).collect();
    chart.size = (760, 420);
    chart
}

/// What is said where a line has more points than are drawn.
pub(super) fn few(longest: usize) -> String {
    format!(
        "up to {} points drawn of {}: the lowest and the highest of each stretch",
        fixed(POINTS as f64, 0),
        fixed(longest as f64, 0)
    )
}

/// Where a curve first has a value that is not a number.
fn interruption(points: &[(f64, f64)]) -> Option<String> {
    let first = points.iter().find(|(x, y)| x.is_finite() && !y.is_finite())?;
    Some(crate::number::short(first.0))
}

/// The current run's curve and, pale behind it, the best run's: a small picture for the live view.
pub fn small(current: &[(f64, f64)], best: &[(f64, f64)], size: (u32, u32)) -> Chart {
    let line = |points: &[(f64, f64)], name: &str, colour, width, dashed| {
        let (pieces, _) = sample::line(points, 400);
        (!pieces.is_empty())
            .then(|| Layer::Line(Line { name: name.to_owned(), colour, steps: false, dashed, width, pieces }))
    };
    let layers =
        [line(best, "best", colour::GREY, 1.3, true), line(current, "this run", style::LIVE, 1.9, false)];
    let mut chart = Chart::new("", Axis::new(""), Axis::new(""));
    chart.layers = layers.into_iter().flatten().collect();
    (chart.size, chart.compact) = (size, true);
    chart
}
