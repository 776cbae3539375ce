//! What the optimizer knows, as a model reads it.

use lab::Direction;
use lab::value::format_value;

use crate::proposers::prompt::{BYTES, data, fit};
use crate::proposers::search::{Known, Optimizer, Parameter, Told, Value};
use crate::proposers::{Brief, prompt};

const INTRODUCTION: &str = include_str!("state.md");
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
    let lengths = optimizer.lengths();
    let parameters =
        known.names().into_iter().zip(&known.parameters).enumerate().map(|(index, (name, p))| {
            let length =
                lengths.map_or_else(|| "not known".to_owned(), |lengths| format!("{:.2}", lengths[index]));
            let (literal, domain) = (&p.constant.literal, &p.constant.domain);
            vec![name, literal.source.clone(), domain.describe(literal), length]
        });
    let parameters = table(["parameter", "in the best", "may be", "length"].map(str::to_owned), parameters);
    let suggestion = match next {
        Some((values, point)) => {
            let expected = optimizer.expects(point).map_or_else(
                || "It does not know yet what to expect of it.".to_owned(),
                |(mean, sigma)| format!("It expects {} ± {} of it.", format_value(mean), format_value(sigma)),
            );
            format!("{expected}\n{}", data(&known.written(values).hypothesis))
        }
        None => "Nothing: every combination of values has been tried.\n".to_owned(),
    };
    let mut best: Vec<&Told> = known.told.iter().filter(|told| told.value.is_some()).collect();
    best.sort_by(|a, b| {
        let order = a.value.unwrap_or(f64::NAN).total_cmp(&b.value.unwrap_or(f64::NAN));
        if brief.direction == Direction::Maximize { order.reverse() } else { order }
    });
    best.truncate(BEST);
    let room = prompt::TOKENS * BYTES / SHARE;
    let section = |title: &str, text: &str| format!("## {title}\n\n{text}\n");
    [
        format!("# What the optimizer knows\n\n{INTRODUCTION}\n"),
        section(
            "Parameters",
            &format!(
                "The length is how far one goes, as a share of the range, until the optimizer expects another value: the \
                 shorter, the more the parameter matters.\n\n{}",
                data(&fit(&parameters, room / 3))
            ),
        ),
        section("What it would try itself", &suggestion),
        section("The best trials, best first", &trials(brief, known, best.into_iter(), room / 3)),
        section(
            "The latest trials, latest first",
            &trials(brief, known, known.told.iter().rev().take(LATEST), room / 3),
        ),
    ]
    .concat()
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
