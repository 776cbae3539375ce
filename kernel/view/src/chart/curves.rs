//! Curves: a metric over steps, for one run or several.

use super::{Axis, Chart, Layer, Line, domain::sample};
use crate::{
    number::{count, fixed},
    style,
    text::{clip, one_line},
};

/// No curve is drawn with more points than about this.
pub(super) const POINTS: usize = 1000;

/// Colours in the order in which curves get them.
pub(super) const COLOURS: [&str; 7] =
    [style::BLUE, style::RED, style::GREEN, style::PURPLE, style::ORANGE, style::SKY, style::GREY];

/// Curves over a common axis, each with a name. Those past the seventh are dashed in the same colours.
pub fn curves(series: Vec<(String, Vec<(f64, f64)>)>, x: &str, y: &str) -> Chart {
    let (x, y) = (one_line(x), one_line(y));
    let all = series.len();
    let mut sampled = None;
    let lines: Vec<Line> = series
        .into_iter()
        .enumerate()
        .filter_map(|(i, (name, points))| {
            let (drawn, left_out) = sample(&points, POINTS);
            if left_out {
                sampled = sampled.max(Some(points.len()));
            }
            (!drawn.is_empty()).then(|| Line {
                name: clip(&one_line(&name), 60),
                colour: COLOURS[i % COLOURS.len()],
                steps: false,
                dashed: i >= COLOURS.len(),
                width: 1.8,
                pieces: vec![drawn],
            })
        })
        .collect();
    let subtitle = match (lines.len(), sampled) {
        (0, _) => format!("no values of {y}"),
        (n, _) if n < all => format!("{} without values of {y}", count(all - n, "curve", "curves")),
        (_, Some(longest)) => format!(
            "up to {} points drawn of {}: the lowest and the highest of each stretch",
            fixed(POINTS as f64, 0),
            fixed(longest as f64, 0)
        ),
        _ => String::new(),
    };
    Chart {
        title: format!("{y} over {x}"),
        subtitle,
        x: Axis { label: x, whole: false, domain: None },
        y: Axis { label: y, whole: false, domain: None },
        layers: lines.into_iter().map(Layer::Line).collect(),
        size: (760, 420),
        compact: false,
    }
}

/// The current run's curve and, pale behind it, the best run's: a small picture for the live view.
pub fn small(current: &[(f64, f64)], best: &[(f64, f64)], size: (u32, u32)) -> Chart {
    let line = |points: &[(f64, f64)], name: &str, colour, width, dashed| {
        let (drawn, _) = sample(points, 400);
        (!drawn.is_empty()).then(|| {
            Layer::Line(Line {
                name: name.to_owned(),
                colour,
                steps: false,
                dashed,
                width,
                pieces: vec![drawn],
            })
        })
    };
    let layers =
        [line(best, "best", style::GREY, 1.3, true), line(current, "this run", style::LIVE, 1.9, false)];
    Chart {
        title: String::new(),
        subtitle: String::new(),
        x: Axis { label: String::new(), whole: false, domain: None },
        y: Axis { label: String::new(), whole: false, domain: None },
        layers: layers.into_iter().flatten().collect(),
        size,
        compact: true,
    }
}
