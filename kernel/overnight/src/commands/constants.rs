//! The table `constants`, which is made where a query names it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use frames::{Constant, Frames};
use lab::{Experiment, Lab, Tag};
use ledger::Ledger;
use runner::proposers::search::{Language, Parameter, Search, constants};

use crate::failure::Failure;
use crate::session::Session;

/// What queries call it.
pub(super) const TABLE: &str = "constants";
/// How many of the latest experiments it tells of: the files of each are read.
const LATEST: usize = 1_000;

/// What may become of a constant, by its file and name: whether it is fixed, and the words for it.
type Space = HashMap<(String, String), (bool, String)>;

/// Lends it, with the experiments of the current epoch, whose values can be compared.
pub(super) fn lend(frames: &mut Frames, session: &Session, tag: &Tag) -> Result<(), Failure> {
    let lab = session.lab(frames.ledger())?;
    let experiments = frames.list(tag)?;
    let rows = rows(frames.ledger(), &lab, &experiments)?;
    frames.lend(TABLE, frames::constants(&rows)?);
    Ok(())
}

/// The constants of one experiment's editable files.
pub(super) fn of(ledger: &Ledger, lab: &Lab, experiment: &Experiment) -> Result<Vec<Constant>, Failure> {
    let files = ledger.editable_files(&experiment.record.candidate, lab)?;
    Ok(found(&files, experiment.record.number, &Space::new()))
}

/// The rows of the table, for experiments in the order of the ledger.
pub(super) fn rows(ledger: &Ledger, lab: &Lab, experiments: &[Experiment]) -> Result<Vec<Constant>, Failure> {
    let space = match lab::experiment::best(experiments) {
        Some(best) => space(&ledger.editable_files(&best.record.candidate, lab)?, lab),
        None => Space::new(),
    };
    let mut rows = Vec::new();
    for experiment in current(experiments) {
        let files = ledger.editable_files(&experiment.record.candidate, lab)?;
        rows.extend(found(&files, experiment.record.number, &space));
    }
    Ok(rows)
}

/// The latest experiments of the best's epoch, of one clone, for others may have the same numbers.
pub(super) fn current(experiments: &[Experiment]) -> Vec<&Experiment> {
    let Some(last) = lab::experiment::best(experiments).or(experiments.last()) else { return Vec::new() };
    let beside =
        |one: &&Experiment| one.record.epoch == last.record.epoch && one.record.writer == last.record.writer;
    let mut current: Vec<&Experiment> = experiments.iter().filter(beside).collect();
    current.split_off(current.len().saturating_sub(LATEST))
}

/// The constants that two experiments set otherwise: name, and both values as they are written; `–` where one has none.
pub(super) fn differing(
    ledger: &Ledger,
    lab: &Lab,
    a: &Experiment,
    b: &Experiment,
) -> Result<Vec<(String, String, String)>, Failure> {
    let read = |experiment: &Experiment| -> Result<BTreeMap<(String, String), String>, Failure> {
        let rows = of(ledger, lab, experiment)?;
        Ok(rows.into_iter().map(|row| ((row.path, row.name), row.setting)).collect())
    };
    let (a, b) = (read(a)?, read(b)?);
    let names: BTreeSet<&(String, String)> = a.keys().chain(b.keys()).collect();
    let told = |setting: Option<&String>| setting.map_or_else(|| "–".to_owned(), String::clone);
    let differing = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    Ok(differing.map(|name| (name.1.clone(), told(a.get(name)), told(b.get(name)))).collect())
}

fn space(files: &BTreeMap<String, Vec<u8>>, lab: &Lab) -> Space {
    // Where there is nothing to search over, nothing in the table may change.
    let parameters = Search::space(files, &lab.space).unwrap_or_default();
    let told = |Parameter { path, constant }: Parameter| {
        let (domain, literal) = (&constant.domain, &constant.literal);
        ((path, constant.name.clone()), (domain.is_fixed(), domain.describe(literal)))
    };
    parameters.into_iter().map(told).collect()
}

fn found(files: &BTreeMap<String, Vec<u8>>, experiment: u64, space: &Space) -> Vec<Constant> {
    let mut rows = Vec::new();
    for (path, bytes) in files {
        let (Some(language), Ok(text)) = (Language::of(path), std::str::from_utf8(bytes)) else { continue };
        for constant in constants(text, language) {
            let known = space.get(&(path.clone(), constant.name.clone())).cloned();
            let (fixed, becomes) = known.unwrap_or((true, String::new()));
            rows.push(Constant {
                experiment,
                path: path.clone(),
                name: constant.name,
                numeric: constant.literal.value.number(),
                setting: constant.literal.source,
                fixed,
                becomes,
            });
        }
    }
    rows
}
