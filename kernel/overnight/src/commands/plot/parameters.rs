//! `plot parameters`: what each constant did.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use frames::Constant as Row;
use lab::{Experiment, Status};
use ledger::Ledger;
use runner::proposers::Brief;
use runner::proposers::search::{Domain, Effect, Scale, Search, Value};
use view::chart::{AxisScale, Chart, Constant, Expected, Setting};

use super::Shelf;
use crate::commands::constants;
use crate::failure::Failure;
use crate::session::Session;

/// What each constant of the experiments on a shelf did.
pub(in crate::commands) fn chart(shelf: &Shelf, session: &Session) -> Result<Chart, Failure> {
    let ledger = shelf.ledger();
    let lab = session.lab(ledger)?;
    let metric = shelf.metric(session)?;
    let rows = constants::rows(ledger, &lab, &shelf.experiments)?;
    let (effects, unknown) = learned(session, shelf, &lab)?;
    let experiments: HashMap<u64, &Experiment> = constants::current(&shelf.experiments)
        .into_iter()
        .map(|experiment| (experiment.record.number, experiment))
        .collect();
    // By file and name, in the order of the files.
    let mut by_name: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        by_name.entry((&row.path, &row.name)).or_default().push(row);
    }
    let alone = |name: &str| by_name.keys().filter(|(_, other)| *other == name).count() == 1;
    let found = by_name.iter().map(|((path, name), rows)| {
        let effect = effects
            .iter()
            .find(|effect| effect.parameter.path == *path && effect.parameter.constant.name == *name);
        let name = if alone(name) { (*name).to_owned() } else { format!("{path}:{name}") };
        constant(name, rows, effect, &experiments)
    });
    let found: Vec<Constant> = found.collect();
    Ok(view::chart::parameters(&found, &metric, &unknown.into_iter().collect::<Vec<_>>()))
}

/// What the search has learned, or why nothing.
fn learned(
    session: &Session,
    shelf: &Shelf,
    lab: &lab::Lab,
) -> Result<(Vec<Effect>, Option<String>), Failure> {
    let brief = Brief::of(shelf.ledger(), lab, &shelf.tag)?;
    let reader: Mutex<Ledger> = Mutex::new(session.ledger()?);
    let search = Search::new(std::sync::Arc::new(move |commit, path| {
        reader.lock().unwrap_or_else(PoisonError::into_inner).read(commit, path).ok().flatten()
    }));
    Ok(match search.effects(&brief) {
        Ok(effects) if effects.iter().all(|effect| effect.expected.is_empty()) => {
            let why = "too few experiments have the best's code for an estimate of the effects";
            (effects, Some(why.to_owned()))
        }
        Ok(effects) => (effects, None),
        Err(_) => (
            Vec::new(),
            Some("nothing here may be changed by the search, so no effect is estimated".to_owned()),
        ),
    })
}

fn constant(
    name: String,
    rows: &[&Row],
    effect: Option<&Effect>,
    experiments: &HashMap<u64, &Experiment>,
) -> Constant {
    let literal =
        |value: &Value| effect.map_or_else(String::new, |e| e.parameter.constant.literal.write(value));
    let domain = effect.map(|effect| &effect.parameter.constant.domain);
    let positive = rows.iter().all(|row| row.numeric.is_some_and(|x| x > 0.0));
    let numeric = rows.iter().all(|row| row.numeric.is_some());
    let mut names: Vec<String> = match domain {
        Some(Domain::Choice(values)) => values.iter().map(literal).collect(),
        _ => Vec::new(),
    };
    let category = !names.is_empty() || !numeric;
    let scale = match domain {
        _ if category => AxisScale::Linear,
        Some(Domain::Range { scale: Scale::Log, .. }) if positive => AxisScale::Log,
        _ => AxisScale::Linear,
    };
    // A value that is no number, or one of a choice, has its place among the names.
    let mut place = |setting: &str, number: Option<f64>| {
        if !category {
            return number;
        }
        let same = |known: &String| {
            known == setting || number.is_some_and(|number| number_of(known) == Some(number))
        };
        let i = names.iter().position(same).unwrap_or_else(|| {
            names.push(setting.to_owned());
            names.len() - 1
        });
        Some(i as f64)
    };
    let settings = rows.iter().filter_map(|row| {
        let record = &experiments.get(&row.experiment)?.record;
        let value = record.value.filter(|value| value.is_finite())?;
        let at = place(&row.setting, row.numeric)?;
        Some(Setting { number: row.experiment, at, value, kept: record.status == Status::Keep })
    });
    let settings: Vec<Setting> = settings.collect();
    let now = effect.and_then(|effect| {
        let literal = &effect.parameter.constant.literal;
        Some((literal.source.clone(), place(&literal.source, literal.value.number())?))
    });
    let expected =
        effect.into_iter().flat_map(|effect| &effect.expected).enumerate().filter_map(|(i, one)| {
            let at = if category { i as f64 } else { one.value.number()? };
            Some(Expected { at, value: one.metric, spread: one.spread })
        });
    let expected: Vec<Expected> = expected.collect();
    let scale = if category { AxisScale::Category(names) } else { scale };
    Constant { name, scale, now, settings, expected }
}

fn number_of(text: &str) -> Option<f64> {
    runner::proposers::search::Literal::parse(text)?.value.number()
}
