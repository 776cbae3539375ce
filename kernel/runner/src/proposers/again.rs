//! Discards that deserve another look, for what they were judged against no longer holds.

use lab::{Experiment, Status};
use serde::Serialize;

/// How many are offered.
const MOST: usize = 8;
/// How many keeps make another experiment of the same change.
const KEEPS: usize = 2;

/// An experiment that is offered again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Again {
    /// The experiment.
    pub experiment: Experiment,
    /// Why its judgement says little now.
    pub why: String,
}

/// Of `earlier` experiments, which other terms (budget, data, evaluation) held for, and of those of now, the discards
/// that came nearest and have not been built on since.
pub(super) fn again(earlier: &[Experiment], now: &[Experiment]) -> Vec<Again> {
    let other_terms = near(earlier).into_iter().map(|experiment| Again {
        experiment: experiment.clone(),
        why: "it was judged on other terms: the budget, the data or the locked files have changed since"
            .to_owned(),
    });
    let gains: Vec<&Experiment> = now.iter().filter(|it| is_gain(it)).collect();
    let sizes: Vec<f64> = gains.iter().copied().filter_map(size).collect();
    let typical = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
    let missed = near(now).into_iter().filter_map(|experiment| {
        let missed = size(experiment).filter(|missed| *missed <= typical)?;
        let number = experiment.record.number;
        let since = gains.len() - gains.partition_point(|it| it.record.number <= number);
        (since >= KEEPS).then(|| Again {
            experiment: experiment.clone(),
            why: format!(
                "it missed by {}, less than a typical gain, and the best has moved on {since} times since",
                lab::value::format_value(missed)
            ),
        })
    });
    missed.take(MOST).chain(other_terms).take(MOST).collect()
}

fn is_gain(experiment: &Experiment) -> bool {
    experiment.record.status == Status::Keep && !experiment.record.baseline
}

/// By how much it was off, or better.
fn size(experiment: &Experiment) -> Option<f64> {
    experiment.record.delta.map(f64::abs).filter(|delta| delta.is_finite())
}

/// Discards that have a value, the nearest to what they were to beat first.
fn near(experiments: &[Experiment]) -> Vec<&Experiment> {
    let mut near: Vec<&Experiment> =
        experiments.iter().filter(|it| it.record.status == Status::Discard && size(it).is_some()).collect();
    near.sort_by(|a, b| size(a).partial_cmp(&size(b)).unwrap_or(std::cmp::Ordering::Equal));
    near
}
