//! What it took, and how it is done again: loops, time, money, machines, commits and commands.

use std::collections::BTreeMap;

use lab::{Cost, Environment, Event, Experiment, Seconds};

use super::{
    View,
    document::{Block, Line, Side, code, figure, quoted, text},
};
use crate::{
    number::{count, duration, fixed},
    text::{clip, one_line},
};

/// Loops that are told: the latest.
const LOOPS: usize = 20;
/// Machines, lock files, inputs and seeds that are told.
const MACHINES: usize = 8;
const FILES: usize = 12;
/// Columns of a name or a version.
const NAME: usize = 200;
/// Digits of a blob's name or a fingerprint.
const DIGITS: usize = 16;

/// What proposing the recorded experiments cost.
pub(super) fn cost(experiments: &[Experiment]) -> Cost {
    let mut all = Cost::default();
    for experiment in experiments {
        all += experiment.record.cost;
    }
    all
}

pub(super) fn spent(view: &View<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Section("Time, cost and machines")];
    blocks.extend(loops(view));
    let seconds: f64 = view.own.iter().map(|e| e.record.seconds.0).sum();
    let runs: usize = view.own.iter().map(|e| e.record.runs.len()).sum();
    let mut points = vec![vec![
        text("Building and running took "),
        figure("time.seconds", duration(Seconds(seconds))),
        text(" in all, for "),
        figure("time.experiments", count(view.own.len(), "experiment", "experiments")),
        text(" with "),
        figure("time.runs", count(runs, "run", "runs")),
        text("."),
    ]];
    let cost = cost(view.own);
    points.push(if cost == Cost::default() {
        vec![text("No recorded experiment cost money or tokens to propose.")]
    } else {
        vec![
            text("Proposing the recorded experiments cost "),
            figure("cost.usd", format!("${}", fixed(cost.usd, 2))),
            text(", "),
            figure("cost.input", count(cost.input_tokens as usize, "token", "tokens")),
            text(" read and "),
            figure("cost.output", count(cost.output_tokens as usize, "token", "tokens")),
            text(" written. What proposals cost that led to no experiment is in the journal of the machine only."),
        ]
    });
    points.extend(machines(view));
    blocks.push(Block::List(points));
    blocks
}

/// When loops ran, and why each ended.
fn loops(view: &View<'_>) -> Vec<Block> {
    let mut found = Vec::new();
    let mut elsewhere = 0;
    for entry in &view.source.events {
        let own = entry.writer.as_ref().is_none_or(|writer| *writer == view.source.writer);
        match &entry.event {
            Event::LoopStarted { .. } if !own => elsewhere += 1,
            Event::LoopEnded { .. } if !own => {}
            Event::LoopStarted { proposer, slots, seed, .. } => {
                found.push((entry.at, proposer, *slots, *seed, None));
            }
            Event::LoopEnded { reason, failed } => {
                if let Some(last) = found.last_mut().filter(|last| last.4.is_none()) {
                    last.4 = Some((entry.at, reason, *failed));
                }
            }
            _ => {}
        }
    }
    let mut blocks = Vec::new();
    if elsewhere > 0 {
        let loops = count(elsewhere, "loop", "loops");
        blocks.push(Block::Note(vec![text(format!("The reports of other clones tell of {loops} more."))]));
    }
    if found.is_empty() {
        let none = "No loop of this clone is in the ledger: all of this was run by hand.";
        blocks.push(Block::Words(vec![text(none)]));
        return blocks;
    }
    let all = found.len();
    if all > LOOPS {
        found.drain(..all - LOOPS);
        blocks.push(Block::Note(vec![text(format!("The last {LOOPS} of {}.", count(all, "loop", "loops")))]));
    }
    let head = |name: &str, side| (name.to_owned(), side);
    let heads = vec![
        head("loop began", Side::Left),
        head("took", Side::Right),
        head("proposer", Side::Left),
        head("slots", Side::Right),
        head("seed", Side::Right),
        head("why it ended", Side::Left),
    ];
    let rows = found.into_iter().enumerate().map(|(i, (at, proposer, slots, seed, end))| {
        let took = end.map(|(ended, _, _)| duration(Seconds(ended.duration_since(at).as_secs_f64())));
        let why = match end {
            Some((_, reason, failed)) => {
                let mut why: Line = vec![quoted(reason, NAME)];
                why.extend(failed.then(|| text(" (something was broken)")));
                why
            }
            None => vec![text("it was still on, or cut off")],
        };
        vec![
            vec![figure(format!("loop.{i}.began"), view.time(at))],
            took.map(|took| figure(format!("loop.{i}.took"), took)).into_iter().collect(),
            vec![quoted(proposer, 60)],
            vec![text(slots.to_string())],
            vec![figure(format!("loop.{i}.seed"), seed.to_string())],
            why,
        ]
    });
    blocks.push(Block::Table { heads, rows: rows.collect() });
    blocks
}

/// Where experiments ran: each machine once.
fn machines(view: &View<'_>) -> Vec<Line> {
    let mut machines: Vec<(Vec<&str>, usize)> = Vec::new();
    for experiment in view.own {
        let at = &experiment.record.environment;
        let it = [Some(at.host.as_str()), Some(at.cpu.as_str()), at.gpu.as_deref(), at.toolchain.as_deref()];
        let it: Vec<&str> = it.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        match machines.iter_mut().find(|(known, _)| *known == it) {
            Some((_, n)) => *n += 1,
            None => machines.push((it, 1)),
        }
    }
    machines.truncate(MACHINES);
    let told = machines.into_iter().enumerate().map(|(i, (parts, n))| {
        let parts: Vec<String> = parts.into_iter().map(|part| clip(&one_line(part), NAME)).collect();
        let parts =
            if parts.is_empty() { "a machine that was not recorded".to_owned() } else { parts.join("; ") };
        vec![
            text(format!("{parts}: ")),
            figure(format!("machine.{i}.experiments"), count(n, "experiment", "experiments")),
            text("."),
        ]
    });
    told.collect()
}

pub(super) fn again(view: &View<'_>) -> Vec<Block> {
    let source = view.source;
    let tag = &source.tag;
    let mut blocks = vec![Block::Section("Do it again")];
    let Some(commit) = &source.commit else {
        blocks.push(Block::Commands(vec!["overnight loop start".to_owned()]));
        return blocks;
    };
    let mut points = vec![vec![
        text("Ledger "),
        code(format!("refs/overnight/ledger/{tag}")),
        text(" at "),
        code(commit.as_str()),
        text("."),
    ]];
    let shown = view.standing.best.or(view.own.last());
    if let Some(best) = shown {
        let parent = best.record.parent.as_ref().map(|parent| format!(", on its parent {}", parent.short()));
        points.push(vec![
            text(format!("Experiment {} is commit ", view.label(best))),
            code(best.record.candidate.as_str()),
            text(format!(
                "{}. Judged by rule {}.",
                parent.unwrap_or_default(),
                clip(&one_line(&best.record.rule), 40)
            )),
        ]);
        points.extend(versions(&best.record.environment));
        let seeds: Vec<String> =
            best.record.runs.iter().take(FILES).map(|run| run.seed.to_string()).collect();
        if !seeds.is_empty() {
            points.push(vec![
                text("Seeds of its runs: "),
                figure("again.seeds", seeds.join(", ")),
                text("."),
            ]);
        }
    }
    points.push(vec![text(format!("Overnight {}.", source.version))]);
    blocks.push(Block::List(points));
    // With the name of the clone, by which every clone knows it.
    let records = source.experiments.iter().map(|e| e.record.as_ref());
    let everywhere = lab::Peers::of(records, None);
    let label = shown.map_or_else(|| "0".to_owned(), |best| everywhere.label(&best.record));
    blocks.push(Block::Commands(vec![
        format!("overnight merge REMOTE --tag {tag}"),
        format!("overnight run --from {label} --tag {tag}"),
        "overnight report --check FILE".to_owned(),
    ]));
    blocks.push(Block::Note(vec![text(
        "The first fetches the ledger with every candidate, metric and log; the second runs the best again; the third works out \
         every figure of this report again from that commit and says which differ.",
    )]));
    blocks
}

/// Toolchain, lock files and inputs of what is to be run again.
fn versions(environment: &Environment) -> Vec<Line> {
    let mut points = Vec::new();
    if let Some(toolchain) = &environment.toolchain {
        points.push(vec![text("Toolchain: "), quoted(toolchain, NAME), text(".")]);
    }
    let files = |what: &str, found: &BTreeMap<String, String>| {
        let shown = found
            .iter()
            .take(FILES)
            .map(|(path, hash)| format!("{} {}", clip(&one_line(path), 80), clip(&one_line(hash), DIGITS)));
        let shown: Vec<String> = shown.collect();
        let more = found.len() - shown.len();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        (!shown.is_empty()).then(|| vec![text(format!("{what}: {}{more}.", shown.join(", ")))])
    };
    points.extend(files("Lock files, by git blob", &environment.locks));
    points.extend(files("Inputs, by fingerprint", &environment.inputs));
    points
}
