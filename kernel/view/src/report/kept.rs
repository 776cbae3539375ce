//! What was kept: the ladder from the baseline to the best, and what each step changed.

use std::collections::HashSet;

use lab::{Claim, Experiment, ExperimentId, Status};

use super::{
    Diffs, View,
    document::{Block, Change, Line, Side, code, figure, quoted, text},
};
use crate::{
    number::{count, fixed, percent_change, signed},
    standing::improved,
    text::clip,
};

/// Steps that the table has at most, those that gained most; and where it has to be short.
const STEPS: [usize; 2] = [200, 40];
/// Steps whose changes are shown, those that gained most; and where it has to be short.
const CHANGES: [usize; 2] = [20, 8];
/// Lines and columns of a change that are shown.
const LINES: usize = 40;
const COLUMNS: usize = 200;
/// Columns of a hypothesis.
const HYPOTHESIS: usize = 120;

pub(super) fn section(view: &View<'_>, diffs: &Diffs<'_>) -> Vec<Block> {
    let steps: Vec<&Experiment> = view.own.iter().filter(|e| e.record.status == Status::Keep).collect();
    let gains: Vec<&Experiment> = steps.iter().copied().filter(|e| improved(e)).collect();
    let mut blocks = vec![Block::Section("What was kept")];
    if gains.is_empty() {
        blocks.push(Block::Words(vec![text("Nothing beside the baseline.")]));
        return blocks;
    }
    let [most, changes] = [STEPS, CHANGES].map(|limits| limits[usize::from(view.short())]);
    let mut largest = gains.clone();
    largest.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let mut shown = steps.clone();
    if steps.len() > most {
        // What the others are measured by, and where it ends, are always among them.
        let told: HashSet<ExperimentId> = largest.iter().take(most).map(|e| e.record.id).collect();
        let best = view.standing.best.map(|best| best.record.id);
        shown.retain(|e| e.record.baseline || told.contains(&e.record.id) || Some(e.record.id) == best);
        blocks.push(Block::Note(vec![
            text(format!("{} of {} steps, those that gained most; ", shown.len(), steps.len())),
            code("experiments --status keep"),
            text(" lists the others."),
        ]));
    }
    blocks.push(table(view, &shown));
    largest.truncate(changes);
    largest.sort_by_key(|e| e.record.number);
    if largest.len() < gains.len() {
        blocks.push(Block::Note(vec![
            text(format!("What the {} that gained most have changed; ", largest.len())),
            code("diff N"),
            text(" shows the others."),
        ]));
    }
    blocks.extend(largest.into_iter().map(|step| Block::Change(change(view, step, diffs))));
    blocks
}

/// How much a step gained on the one before it.
fn size(experiment: &Experiment) -> f64 {
    experiment.record.delta.filter(|delta| delta.is_finite()).map_or(0.0, f64::abs)
}

fn table(view: &View<'_>, steps: &[&Experiment]) -> Block {
    let head = |name: &str, side| (name.to_owned(), side);
    let heads = vec![
        head("#", Side::Right),
        head(&crate::text::one_line(&view.metric.name), Side::Right),
        head("step", Side::Right),
        head("step, %", Side::Right),
        head("to the baseline", Side::Right),
        head("claim", Side::Left),
        head("by", Side::Left),
        head("what", Side::Left),
    ];
    Block::Table { heads, rows: steps.iter().map(|step| row(view, step)).collect() }
}

fn row(view: &View<'_>, step: &Experiment) -> Vec<Line> {
    let record = &step.record;
    let id = format!("kept.{}", view.id(step));
    let number = |what: &str, words: Option<String>| {
        words.map(|words| figure(format!("{id}.{what}"), words)).into_iter().collect::<Line>()
    };
    let before = record.value.zip(record.delta).map(|(value, delta)| value - delta);
    let percent = record.value.zip(before).and_then(|(value, before)| percent_change(value, before));
    let delta = record.delta.filter(|_| !record.baseline).map(|delta| signed(delta, view.decimals));
    let claim = match record.claim {
        _ if record.baseline => String::new(),
        Some(Claim::Certified) => "certified".to_owned(),
        _ => "unproven".to_owned(),
    };
    let what = if record.baseline && record.hypothesis.is_empty() { "baseline" } else { &record.hypothesis };
    let mut told = vec![quoted(what, HYPOTHESIS)];
    if let Some(judged) = step.judged {
        told.push(text(format!(" (kept by hand; the judge had said {judged})")));
    }
    vec![
        vec![text(view.label(step))],
        number("value", record.value.map(|value| fixed(value, view.decimals))),
        number("step", delta),
        number("percent", percent.filter(|_| !record.baseline)),
        number("gain", view.standing.gain(step).map(|gain| signed(gain, view.decimals))),
        number("claim", (!claim.is_empty()).then_some(claim)),
        vec![quoted(&record.proposer, 40)],
        told,
    ]
}

fn change(view: &View<'_>, step: &Experiment, diffs: &Diffs<'_>) -> Change {
    let record = &step.record;
    let (label, tag) = (view.label(step), &view.source.tag);
    let command = format!("diff {label} --tag {tag}");
    let mut title = vec![text(format!("Experiment {label}"))];
    if let Some(delta) = record.delta {
        title.extend([
            text(", "),
            figure(format!("change.{}.step", view.id(step)), signed(delta, view.decimals)),
        ]);
    }
    title.extend([text(": "), quoted(&record.hypothesis, HYPOTHESIS)]);
    let found = record.parent.as_ref().and_then(|parent| diffs(parent, &record.candidate));
    let Some(whole) = found else {
        let note = Some(vec![text("What it changed is not in this clone.")]);
        return Change { title, unified: String::new(), note, command };
    };
    // What git says of the blobs tells nobody anything here.
    let lines: Vec<&str> = whole
        .lines()
        .filter(|line| !line.starts_with("index ") && !line.starts_with("diff --git "))
        .collect();
    let unified: Vec<String> = lines.iter().take(LINES).map(|line| clip(line, COLUMNS)).collect();
    let cut = lines.len() > LINES || lines.iter().take(LINES).any(|line| line.chars().count() > COLUMNS);
    let note = cut.then(|| {
        let more = lines.len().saturating_sub(LINES);
        let more = if more > 0 {
            format!("… {} more; ", count(more, "line", "lines"))
        } else {
            "Long lines are cut; ".to_owned()
        };
        vec![text(more), code(format!("overnight {command}")), text(" shows it whole.")]
    });
    Change { title, unified: unified.join("\n"), note, command }
}
