//! The table `constants`, which is made where a query names it.

use std::collections::{BTreeMap, HashMap};

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
    let best = lab::experiment::best(&experiments);
    let ledger = frames.ledger();
    let space = match best {
        Some(best) => space(&ledger.editable_files(&best.record.candidate, &lab)?, &lab),
        None => Space::new(),
    };
    // Of one clone, for others may have the same numbers.
    let of = |one: &Experiment| (one.record.epoch.clone(), one.record.writer.clone());
    let current = best.or(experiments.last()).map(of);
    let mut current: Vec<&Experiment> = experiments.iter().filter(|one| Some(of(one)) == current).collect();
    let mut rows = Vec::new();
    for experiment in current.split_off(current.len().saturating_sub(LATEST)) {
        let files = ledger.editable_files(&experiment.record.candidate, &lab)?;
        rows.extend(found(&files, experiment.record.number, &space));
    }
    frames.lend(TABLE, frames::constants(&rows)?);
    Ok(())
}

/// The constants of one experiment's editable files.
pub(super) fn of(ledger: &Ledger, lab: &Lab, experiment: &Experiment) -> Result<Vec<Constant>, Failure> {
    let files = ledger.editable_files(&experiment.record.candidate, lab)?;
    Ok(found(&files, experiment.record.number, &Space::new()))
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
