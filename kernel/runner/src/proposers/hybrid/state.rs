//! What the optimizer knows, as a model reads it.

use lab::Direction;
use lab::value::format_value;

use crate::proposers::prompt::{BYTES, data, fit};
use crate::proposers::search::{Known, Optimizer, Parameter, Told, Value};
use crate::proposers::{Brief, prompt};

const INTRODUCTION: &str = include_str!("state.md");
/// What the lengths of parameters mean.
const LENGTH: &str = "The length is how far one goes, as a share of the range, until the optimizer expects another \
    value: the shorter, the more the parameter matters.";
/// How many of the best trials are told.
const BEST: usize = 5;
/// How many of the latest.
const LATEST: usize = 20;
/// What share of a brief it may take.
const SHARE: usize = 3;

/// Writes it down. `next` is what the optimizer would try itself: values, and where they are for it.
pub(super) fn render(
    brief: &Brief,
    known: &Known<'_>,
    optimizer: &Optimizer<'_>,
    next: Option<&(Vec<Value>, Vec<f64>)>,
) -> String {
    let room = prompt::TOKENS * BYTES / SHARE / 3;
    let latest = known.told.iter().rev().take(LATEST);
    [
        format!("# What the optimizer knows\n\n{INTRODUCTION}"),
        format!("## Parameters\n\n{LENGTH}\n\n{}", parameters(known, optimizer, room)),
        format!("## What it would try itself\n\n{}", suggestion(known, optimizer, next)),
        format!("## The best trials, best first\n\n{}", trials(brief, known, best(brief, known), room)),
        format!("## The latest trials, latest first\n\n{}", trials(brief, known, latest, room)),
        String::new(),
    ]
    .join("\n")
}

fn parameters(known: &Known<'_>, optimizer: &Optimizer<'_>, room: usize) -> String {
    let lengths = optimizer.lengths();
    let rows = known.names().into_iter().zip(&known.parameters).enumerate().map(|(index, (name, p))| {
        let (literal, domain) = (&p.constant.literal, &p.constant.domain);
        let length = lengths.map_or_else(|| "not known".to_owned(), |all| format!("{:.2}", all[index]));
        vec![name, literal.source.clone(), domain.describe(literal), length]
    });
    data(&fit(&table(["parameter", "in the best", "may be", "length"].map(str::to_owned), rows), room))
}

fn suggestion(known: &Known<'_>, optimizer: &Optimizer<'_>, next: Option<&(Vec<Value>, Vec<f64>)>) -> String {
    let Some((values, point)) = next else {
        return "Nothing: every combination of values has been tried.\n".to_owned();
    };
    let expected = match optimizer.expects(point) {
        Some((mean, sigma)) => format!("It expects {} ± {} of it.", format_value(mean), format_value(sigma)),
        None => "It does not know yet what to expect of it.".to_owned(),
    };
    format!("{expected}\n{}", data(&known.written(values).hypothesis))
}

/// The trials with the best values, best first.
fn best<'a>(brief: &Brief, known: &'a Known<'_>) -> impl Iterator<Item = &'a Told> {
    let mut best: Vec<(f64, &Told)> =
        known.told.iter().filter_map(|told| Some((told.value?, told))).collect();
    best.sort_by(|(a, _), (b, _)| match brief.direction {
        Direction::Minimize => a.total_cmp(b),
        Direction::Maximize => b.total_cmp(a),
    });
    best.into_iter().take(BEST).map(|(_, told)| told)
}

fn trials<'a>(brief: &Brief, known: &Known<'_>, told: impl Iterator<Item = &'a Told>, room: usize) -> String {
    let head = [vec!["experiment".to_owned()], known.names(), vec![brief.metric.to_string()]].concat();
    let rows = told.map(|told| {
        let value = |(value, p): (&Option<Value>, &Parameter)| {
            value.as_ref().map_or_else(|| "-".to_owned(), |value| p.constant.literal.write(value))
        };
        let values = told.point.iter().zip(&known.parameters).map(value).collect();
        let metric = told.value.map_or_else(|| "failed".to_owned(), format_value);
        let metric =
            if told.moved == 0.0 { metric } else { format!("{metric} (with the code of an earlier best)") };
        [vec![told.number.to_string()], values, vec![metric]].concat()
    });
    data(&fit(&table(head, rows), room))
}

/// A table, with the least marks that say what is a cell.
fn table(head: impl IntoIterator<Item = String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| cells.join(" | ");
    let head = line(head.into_iter().collect());
    [head].into_iter().chain(rows.map(line)).collect::<Vec<_>>().join("\n")
}
