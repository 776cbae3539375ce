//! The table `constants`, which is made where a query names it.

use std::collections::{BTreeMap, HashMap};

use frames::{Constant, Frames};
use lab::{Experiment, Lab, Tag};
use ledger::Ledger;
use runner::proposers::search::{Language, Search, constants};

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
    let ledger = frames.ledger();
    let epoch = lab::experiment::best(&experiments).or(experiments.last()).map(|one| &one.record.epoch);
    let current: Vec<&Experiment> =
        experiments.iter().filter(|one| Some(&one.record.epoch) == epoch).collect();
    let space = space(ledger, &lab, lab::experiment::best(&experiments))?;
    let mut rows = Vec::new();
    for experiment in &current[current.len().saturating_sub(LATEST)..] {
        let files = ledger.editable_files(&experiment.record.candidate, &lab)?;
        rows.extend(found(&files, experiment.record.number, &space));
    }
    frames.lend(TABLE, frames::constants(&rows)?);
    Ok(())
}

fn space(ledger: &Ledger, lab: &Lab, best: Option<&Experiment>) -> Result<Space, Failure> {
    let Some(best) = best else { return Ok(Space::new()) };
    let files = ledger.editable_files(&best.record.candidate, lab)?;
    // Where there is none, nothing is in the table that may change.
    let parameters = Search::space(&files, &lab.space).unwrap_or_default();
    let told = |domain: &runner::proposers::search::Domain, literal: &_| {
        (domain.is_fixed(), domain.describe(literal))
    };
    Ok(parameters
        .into_iter()
        .map(|it| ((it.path, it.constant.name), told(&it.constant.domain, &it.constant.literal)))
        .collect())
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
