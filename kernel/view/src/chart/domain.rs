//! From values to places: what an axis spans, where its ticks are, what of a long series is drawn.

use super::{Axis, Chart, Layer, Place};

/// One axis as it is drawn.
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) step: f64,
}

impl Scale {
    /// The share of the axis (0 at its beginning, 1 at its end) at which `value` is.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }

    /// The values at which there are ticks.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, step) = ((self.from / self.step - 1e-9).ceil() as i64, self.step);
        let last = (self.to / self.step + 1e-9).floor() as i64;
        (first..=last.min(first.saturating_add(50))).map(move |i| i as f64 * step)
    }
}

/// Both axes of a chart, with about so many ticks on them.
pub(super) fn scales(chart: &Chart, ticks: (usize, usize)) -> (Scale, Scale) {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for layer in &chart.layers {
        match layer {
            Layer::Points(points) => {
                for point in &points.points {
                    xs.push(point.x);
                    if let Place::At(y) = point.y {
                        ys.push(y);
                    }
                }
            }
            Layer::Line(line) => {
                for (x, y) in line.pieces.iter().flatten() {
                    xs.push(*x);
                    ys.push(*y);
                }
            }
            Layer::Labels { .. } | Layer::Rules(_) => {}
        }
    }
    (scale(&chart.x, &xs, 0.02, ticks.0), scale(&chart.y, &ys, 0.05, ticks.1))
}

fn scale(axis: &Axis, values: &[f64], margin: f64, ticks: usize) -> Scale {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = axis.domain.unwrap_or_else(|| {
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return (0.0, 1.0);
        }
        let span = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
        (low - span * margin, high + span * margin)
    });
    let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
    let mut step = nice((high - low) / ticks.max(1) as f64);
    if axis.whole {
        step = step.max(1.0);
    }
    Scale { from: low, to: high, step }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `rough`.
fn nice(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power * 10.0)
}

/// At most about `most` points of a series: the lowest and the highest of each of equal stretches, so that
/// no spike is lost. The second value says whether any were left out.
pub(super) fn sample(points: &[(f64, f64)], most: usize) -> (Vec<(f64, f64)>, bool) {
    let finite: Vec<(f64, f64)> =
        points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    if finite.len() <= most {
        return (finite, false);
    }
    let stretch = finite.len().div_ceil(most / 2);
    let mut out = Vec::with_capacity(most);
    for part in finite.chunks(stretch) {
        let by_value = |a: &&(usize, (f64, f64)), b: &&(usize, (f64, f64))| a.1.1.total_cmp(&b.1.1);
        let numbered: Vec<(usize, (f64, f64))> = part.iter().copied().enumerate().collect();
        let (Some(low), Some(high)) = (numbered.iter().min_by(by_value), numbered.iter().max_by(by_value))
        else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        out.push(first.1);
        if first.0 != second.0 {
            out.push(second.1);
        }
    }
    // The ends are what people read.
    if let (Some(first), Some(last)) = (finite.first(), finite.last()) {
        if out.first() != Some(first) {
            out.insert(0, *first);
        }
        if out.last() != Some(last) {
            out.push(*last);
        }
    }
    (out, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis { label: String::new(), whole: false, domain: Some((0.987, 1.031)) };
        let ticks: Vec<String> = scale(&axis, &[], 0.0, 6).ticks().map(|t| format!("{t:.2}")).collect();
        assert_eq!(ticks, ["0.99", "1.00", "1.01", "1.02", "1.03"]);
        let whole = Axis { label: String::new(), whole: true, domain: None };
        let ticks: Vec<f64> = scale(&whole, &[0.0, 2.0], 0.02, 8).ticks().collect();
        assert_eq!(ticks, [0.0, 1.0, 2.0]);
    }

    #[test]
    fn sampling_keeps_spikes_and_ends() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[5432].1 = 9.0;
        let (few, sampled) = sample(&points, 400);
        assert!(sampled && few.len() <= 402, "{}", few.len());
        assert!(few.contains(&(5432.0, 9.0)));
        assert_eq!((few[0].0, few[few.len() - 1].0), (0.0, 9999.0));
    }

    proptest! {
        #[test]
        fn any_values_give_a_scale(values in prop::collection::vec(prop::num::f64::NORMAL, 0..5)) {
            let axis = Axis { label: String::new(), whole: false, domain: None };
            let scale = scale(&axis, &values, 0.05, 6);
            prop_assert!(scale.from < scale.to);
            prop_assert!(scale.ticks().count() <= 52);
        }
    }
}
