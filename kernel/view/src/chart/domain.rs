//! From values to places: what an axis spans and where its ticks are.

use jiff::{Timestamp, tz::TimeZone};

use super::{Axis, AxisScale, Chart, Layer, Place};
use crate::{
    number::{plain, ticks},
    text::clip,
};

/// One axis as it is drawn.
pub(super) struct Scale {
    from: f64,
    to: f64,
    log: bool,
    /// The values at which there are ticks, and what stands there.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// The share of the axis (0 at its beginning, 1 at its end) at which `value` is.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (value - self.from) / (self.to - self.from)
    }
}

/// What lies farther from 0 than this would have an axis without an end.
const FARTHEST: f64 = f64::MAX / 4.0;

/// Columns of the name of a category.
const NAME: usize = 26;

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
            Layer::Bars(bars) => {
                for bar in &bars.bars {
                    xs.extend([bar.from, bar.to]);
                    ys.push(bar.y);
                }
            }
            Layer::Segments(segments) => {
                for end in segments.segments.iter().flat_map(|segment| [segment.from, segment.to]) {
                    xs.push(end.0);
                    ys.push(end.1);
                }
            }
            Layer::Band(band) => {
                for (x, low, high) in band.pieces.iter().flatten() {
                    xs.push(*x);
                    ys.extend([*low, *high]);
                }
            }
            Layer::Labels { .. } | Layer::Rules(_) => {}
        }
    }
    let mut y = scale(&chart.y, &ys, 0.05, ticks.1);
    if chart.y.names().is_some() {
        std::mem::swap(&mut y.from, &mut y.to);
    }
    (scale(&chart.x, &xs, 0.02, ticks.0), y)
}

fn scale(axis: &Axis, values: &[f64], margin: f64, count: usize) -> Scale {
    if let Some(names) = axis.names() {
        let ticks = names.iter().enumerate().map(|(i, name)| (i as f64, clip(name, NAME))).collect();
        return Scale { from: -0.5, to: names.len().max(1) as f64 - 0.5, log: false, ticks };
    }
    let log = axis.scale == AxisScale::Log;
    let place = |value: f64| if log { value.log10() } else { value };
    let (low, high) = match axis.domain {
        Some((low, high)) => (place(low), place(high)),
        None => {
            let places = values.iter().map(|value| place(*value)).filter(|place| place.is_finite());
            around(places.map(|place| place.clamp(-FARTHEST, FARTHEST)), margin, log)
        }
    };
    let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
    let ticks = match &axis.scale {
        AxisScale::Log => decades(low, high, count),
        AxisScale::Time(zone) => moments(low, high, count, zone),
        AxisScale::Whole => even(low, high, nice((high - low) / count.max(1) as f64).max(1.0)),
        AxisScale::Linear | AxisScale::Category(_) => {
            even(low, high, nice((high - low) / count.max(1) as f64))
        }
    };
    Scale { from: low, to: high, log, ticks }
}

/// What all places span, and some more.
fn around(places: impl Iterator<Item = f64>, margin: f64, log: bool) -> (f64, f64) {
    let (low, high) =
        places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let alone = if log { 1.0 } else { low.abs().max(1.0) * 0.1 };
    let span = if high > low { high - low } else { alone };
    (low - span * margin, high + span * margin)
}

fn even(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    let values: Vec<f64> = (first..=last.min(first.saturating_add(50))).map(|i| i as f64 * step).collect();
    let words = ticks(&values, step);
    values.into_iter().zip(words).collect()
}

/// The powers of ten between two logarithms; where they are few, twice and five times them too.
fn decades(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let within = |value: &f64| (low - 1e-9..=high + 1e-9).contains(&value.log10());
    let powers = || (low.floor() as i32..=high.ceil() as i32).map(|power| 10_f64.powi(power));
    let times = |factors: &'static [f64]| {
        powers().flat_map(move |power| factors.iter().map(move |factor| factor * power)).filter(within)
    };
    let all: Vec<f64> = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]]
        .into_iter()
        .map(|factors| times(factors).collect::<Vec<f64>>())
        .find(|found| found.len() <= count.max(2))
        .unwrap_or_else(|| times(&[1.0]).collect());
    let every = all.len().div_ceil(count.max(2)).max(1);
    if all.len() < 2 {
        // Within one decade, round numbers say more.
        let (from, to) = (10_f64.powf(low), 10_f64.powf(high));
        return even(from, to, nice((to - from) / count.clamp(1, 5) as f64));
    }
    all.into_iter().step_by(every).map(|value| (value, plain(value))).collect()
}

/// Lengths of time between ticks, in seconds.
const PERIODS: [f64; 22] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10800.0,
    21600.0,
    43200.0,
    86400.0,
    172_800.0,
    604_800.0,
    2_592_000.0,
    31_536_000.0,
];
const DAY: f64 = 86400.0;

/// Round times of a zone.
fn moments(low: f64, high: f64, count: usize, zone: &TimeZone) -> Vec<(f64, String)> {
    let rough = (high - low) / count.max(1) as f64;
    let step = PERIODS.into_iter().find(|period| *period >= rough * 0.999).unwrap_or_else(|| nice(rough));
    // Days begin at the zone's midnight.
    let away = timestamp(low).map_or(0.0, |at| f64::from(zone.to_offset(at).seconds()));
    let mut day = timestamp(low).map(|at| at.to_zoned(zone.clone()).date());
    let told = |(value, _): (f64, String)| {
        let at = value - away;
        let local = timestamp(at)?.to_zoned(zone.clone());
        let date = local.date();
        let pattern = if step >= DAY {
            "%b %-d"
        } else if day.replace(date).is_some_and(|before| before != date) {
            "%b %-d, %H:%M"
        } else if step < 60.0 {
            "%H:%M:%S"
        } else {
            "%H:%M"
        };
        Some((at, local.strftime(pattern).to_string()))
    };
    even(low + away, high + away, step).into_iter().filter_map(told).collect()
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_second(seconds as i64).ok()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(axis: &Axis, values: &[f64], count: usize) -> String {
        let scale = scale(axis, values, 0.0, count);
        scale.ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_numbers() {
        let linear = Axis::new("");
        assert_eq!(told(&linear, &[0.987, 1.031], 6), "0.99 1.00 1.01 1.02 1.03");
        assert_eq!(told(&linear, &[0.0, 21_000.0], 5), "0 5k 10k 15k 20k");
        assert_eq!(told(&linear.clone().scaled(AxisScale::Whole), &[0.0, 2.0], 8), "0 1 2");
    }

    #[test]
    fn ticks_of_logarithms_times_and_names() {
        let log = Axis::new("").scaled(AxisScale::Log);
        assert_eq!(told(&log, &[1e-4, 1e-1, 0.0, -3.0], 6), "0.0001 0.001 0.01 0.1");
        assert_eq!(told(&log, &[0.01, 0.16], 6), "0.01 0.02 0.05 0.1");
        assert_eq!(told(&log, &[0.02, 0.04], 4), "0.020 0.025 0.030 0.035 0.040");
        let night = (1_763_676_600.0, 1_763_676_600.0 + 8.0 * 3600.0);
        let time = Axis { domain: Some(night), ..Axis::new("").scaled(AxisScale::Time(TimeZone::UTC)) };
        assert_eq!(told(&time, &[], 5), "Nov 21, 00:00 02:00 04:00 06:00");
        let east = TimeZone::fixed(jiff::tz::offset(5));
        let time = Axis { domain: Some(night), ..Axis::new("").scaled(AxisScale::Time(east)) };
        assert_eq!(told(&time, &[], 5), "04:00 06:00 08:00 10:00");
        let names = AxisScale::Category(vec!["slot 0".to_owned(), "slot 1".to_owned()]);
        assert_eq!(told(&Axis::new("").scaled(names), &[], 5), "slot 0 slot 1");
    }

    proptest! {
        #[test]
        fn any_values_give_a_scale(values in prop::collection::vec(prop::num::f64::NORMAL, 0..5), kind in 0..4) {
            let scales = [AxisScale::Linear, AxisScale::Whole, AxisScale::Log, AxisScale::Time(TimeZone::UTC)];
            let axis = Axis::new("").scaled(scales[kind as usize].clone());
            let scale = scale(&axis, &values, 0.05, 6);
            prop_assert!(scale.from < scale.to);
            prop_assert!(scale.ticks.len() <= 52);
            prop_assert!(values.iter().all(|value| scale.share(*value).is_finite()));
        }
    }
}
