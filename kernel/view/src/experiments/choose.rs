//! Which rows the table has, and in which order.

use lab::{Direction, Experiment, Status};

use super::{Options, Sort, memory_mb};
use crate::standing::Standing;

/// What the options choose from `all`, in their order; how many rows are shown at once does not matter here.
pub fn choose<'a>(all: &'a [Experiment], options: &Options) -> Vec<&'a Experiment> {
    choose_by(&Standing::of(all), all, options)
}

/// The same, where it is known how they stand to each other.
pub(super) fn choose_by<'a>(
    standing: &Standing<'_>,
    all: &'a [Experiment],
    options: &Options,
) -> Vec<&'a Experiment> {
    let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
    let mut rows: Vec<&Experiment> = all
        .iter()
        .filter(|e| options.statuses.is_empty() || options.statuses.contains(&e.record.status))
        .filter(|e| options.since.is_none_or(|since| e.record.started >= since))
        .filter(|e| options.proposer.as_ref().is_none_or(|name| has(&e.record.proposer, name)))
        .filter(|e| {
            options.text.as_ref().is_none_or(|part| {
                let texts = [&e.record.hypothesis, &e.record.reason].into_iter().chain(&e.notes);
                texts.into_iter().any(|text| has(text, part))
            })
        })
        .collect();
    let sign = match options.metric.direction {
        Direction::Minimize => 1.0,
        Direction::Maximize => -1.0,
    };
    // Each order as a key, the first of it the smallest.
    let key = |e: &Experiment| -> Option<f64> {
        let key = match options.sort {
            Sort::Number => return None,
            Sort::Value => e.record.value.filter(|_| counts(e, standing, options)).map(|value| sign * value),
            Sort::Delta => standing.to_parent(e).map(|delta| sign * delta),
            Sort::Seconds => Some(-e.record.seconds.0),
            Sort::Cost => Some(-e.record.cost.usd).filter(|cost| *cost < 0.0),
            Sort::Memory => memory_mb(&e.record).map(|memory| -memory),
            Sort::Newest => Some(-e.record.started.as_duration().as_secs_f64()),
        };
        key.filter(|key| key.is_finite())
    };
    if options.sort == Sort::Number {
        if options.reverse {
            rows.reverse();
        }
    } else {
        let turned = if options.reverse { -1.0 } else { 1.0 };
        rows.sort_by(|a, b| match (key(a), key(b)) {
            (Some(a), Some(b)) => (a * turned).total_cmp(&(b * turned)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }
    if let Some(top) = options.top {
        if options.sort == Sort::Value {
            rows.retain(|e| key(e).is_some());
        }
        rows.truncate(top);
    }
    rows
}

/// The rows of [`choose`] that the table shows at once.
pub fn shown<'a>(all: &'a [Experiment], options: &Options) -> Vec<&'a Experiment> {
    let rows = choose(all, options);
    let first = first(rows.len(), options);
    rows.into_iter().skip(first).take(options.limit).collect()
}

/// Where the page that is shown begins.
pub(super) fn first(found: usize, options: &Options) -> usize {
    match options.page {
        Some(page) => page.saturating_sub(1).saturating_mul(options.limit),
        None if options.sort == Sort::Number && options.top.is_none() && !options.reverse => {
            found.saturating_sub(options.limit)
        }
        None => 0,
    }
}

/// Whether a value may be ranked: it is comparable with the best, and nobody has found fault with it. Where statuses
/// are asked for by name, those are ranked.
fn counts(experiment: &Experiment, standing: &Standing, options: &Options) -> bool {
    let honest = match experiment.record.status {
        Status::Keep => true,
        // What a person has thrown out was good in the eyes of the judge alone.
        Status::Discard => experiment.judged.is_none_or(|judged| judged == Status::Discard),
        _ => false,
    };
    standing.is_current(experiment) && (honest || !options.statuses.is_empty())
}
