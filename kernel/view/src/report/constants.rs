//! What the constants did: which were changed, to how many settings, and what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lab::{CommitId, Experiment, ExperimentId};

use super::{
    View,
    document::{Block, Line, Side, code, figure, text},
};
use crate::{
    number::{count, signed},
    standing::improved,
    text::{clip, one_line},
};

/// Constants that are told.
const ROWS: usize = 30;
/// Columns of a value.
const VALUE: usize = 40;

/// One constant.
#[derive(Default)]
struct Row<'a> {
    settings: BTreeSet<&'a str>,
    tried: usize,
    kept: usize,
    /// What the kept ones gained, signed as the metric is.
    gain: f64,
    /// Whether some of what was kept changed more than this.
    together: bool,
}

type Values<'a> = BTreeMap<&'a str, &'a str>;

pub(super) fn section(view: &View<'_>) -> Vec<Block> {
    let mut of: HashMap<ExperimentId, Values<'_>> = HashMap::new();
    for setting in &view.source.settings {
        of.entry(setting.experiment).or_default().insert(&setting.name, &setting.setting);
    }
    let its: Vec<&Experiment> = view.own.iter().filter(|e| of.contains_key(&e.record.id)).collect();
    let by_commit: HashMap<&CommitId, &Values<'_>> =
        its.iter().filter_map(|e| Some((&e.record.candidate, of.get(&e.record.id)?))).collect();
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for experiment in its.iter().filter(|e| !e.record.baseline) {
        let parent = experiment.record.parent.as_ref().and_then(|parent| by_commit.get(parent));
        let (Some(before), Some(after)) = (parent, of.get(&experiment.record.id)) else { continue };
        let changed: Vec<&str> = after
            .iter()
            .filter(|(name, value)| before.get(*name).is_some_and(|old| old != *value))
            .map(|(name, _)| *name)
            .collect();
        for name in &changed {
            let row = rows.entry(name).or_default();
            row.settings.extend([before[name], after[name]]);
            row.tried += 1;
            if improved(experiment) {
                row.kept += 1;
                row.gain += experiment.record.delta.filter(|delta| delta.is_finite()).unwrap_or(0.0);
                row.together |= changed.len() > 1;
            }
        }
    }
    let mut blocks = vec![Block::Section("What the constants did")];
    if rows.is_empty() {
        blocks.push(Block::Words(vec![text(
            "No constant of the editable files was changed by itself, as far as can be told.",
        )]));
        return blocks;
    }
    let (all, together) = (rows.len(), rows.values().any(|row| row.together));
    let mut rows: Vec<(&str, Row<'_>)> = rows.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| b.gain.abs().total_cmp(&a.gain.abs()).then(b.tried.cmp(&a.tried)));
    rows.truncate(ROWS);
    let first = its.iter().rfind(|e| e.record.baseline).and_then(|e| of.get(&e.record.id));
    let best = view.standing.best.and_then(|e| of.get(&e.record.id));
    let head = |name: &str, side| (name.to_owned(), side);
    let heads = vec![
        head("constant", Side::Left),
        head("baseline", Side::Right),
        head("best", Side::Right),
        head("settings", Side::Right),
        head("tried", Side::Right),
        head("kept", Side::Right),
        head("gain of those kept", Side::Right),
    ];
    let rows =
        rows.iter().enumerate().map(|(i, (name, row))| cells(view, i, name, row, first, best)).collect();
    blocks.push(Block::Table { heads, rows });
    if all > ROWS {
        blocks.push(Block::Note(vec![text(format!(
            "… {} more, which brought less.",
            count(all - ROWS, "constant", "constants")
        ))]));
    }
    let mut note = "Of this epoch's latest experiments, each beside its parent.".to_owned();
    if together {
        note.push_str(
            " Some changed several constants at once, and then each has the whole gain: a hint, no proof.",
        );
    }
    blocks.push(Block::Note(vec![text(note)]));
    blocks
}

fn cells(
    view: &View<'_>,
    i: usize,
    name: &str,
    row: &Row<'_>,
    first: Option<&Values<'_>>,
    best: Option<&Values<'_>>,
) -> Vec<Line> {
    let id = |what: &str| format!("constant.{i}.{what}");
    let value = |what: &str, of: Option<&Values<'_>>| {
        let value = of.and_then(|values| values.get(name)).map(|value| clip(&one_line(value), VALUE));
        value.map(|value| figure(id(what), value)).into_iter().collect::<Line>()
    };
    let gain = if row.kept > 0 { signed(row.gain, view.decimals) } else { "–".to_owned() };
    vec![
        vec![code(clip(&one_line(name), 80))],
        value("baseline", first),
        value("best", best),
        vec![figure(id("settings"), row.settings.len().to_string())],
        vec![figure(id("tried"), row.tried.to_string())],
        vec![figure(id("kept"), row.kept.to_string())],
        vec![figure(id("gain"), gain)],
    ]
}
