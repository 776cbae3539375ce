//! What people did: what they said to the proposer, what they decided, what they tried themselves, and elsewhere.

use jiff::Timestamp;
use lab::{Entry, Event, Experiment, IdeaPlace};

use super::{
    Other, View,
    document::{Block, Line, Side, code, figure, quoted, text},
};
use crate::{
    Metric,
    number::{count, fixed},
    standing::{self, Standing, improved},
};

/// What is told at most, the latest; and where it has to be short.
const ROWS: [usize; 2] = [100, 30];
/// Columns of what was said.
const WORDS: usize = 240;
/// The name that the loop's own words have.
const LOOP: &str = "overnight";
/// What makes the candidates of people.
const HUMAN: &str = "human";

/// One thing that somebody did.
struct Deed<'a> {
    at: Timestamp,
    who: &'a str,
    what: Line,
}

pub(super) fn section(view: &View<'_>) -> Vec<Block> {
    let said = view
        .source
        .events
        .iter()
        .filter_map(|entry| Some(Deed { at: entry.at, who: &entry.author, what: deed(view, entry)? }));
    let tried = view.own.iter().filter(|e| e.record.proposer == HUMAN && !e.record.baseline).map(|e| {
        let what = vec![
            text(format!("tried experiment {} by hand: ", view.label(e))),
            quoted(&e.record.hypothesis, WORDS),
            text(format!(" ({})", e.record.status)),
        ];
        Deed { at: e.record.started, who: &e.record.author, what }
    });
    let mut deeds: Vec<Deed<'_>> = said.chain(tried).collect();
    deeds.sort_by_key(|deed| deed.at);
    let mut blocks = vec![Block::Section("What people did")];
    let all = deeds.len();
    if deeds.is_empty() {
        blocks.push(Block::Words(vec![text(
            "Nobody steered, vetoed, decided or noted anything, and nothing was run by hand.",
        )]));
    } else {
        let most = ROWS[usize::from(view.short())];
        if all > most {
            deeds.drain(..all - most);
            blocks.push(Block::Note(vec![text(format!(
                "The last {most} of {}.",
                count(all, "deed", "deeds")
            ))]));
        }
        let heads = ["when", "who", "what"].map(|name| (name.to_owned(), Side::Left)).to_vec();
        let rows = deeds.into_iter().enumerate().map(|(i, deed)| {
            let when = figure(format!("people.{i}.when"), view.time(deed.at));
            vec![vec![when], vec![quoted(deed.who, 40)], deed.what]
        });
        blocks.push(Block::Table { heads, rows: rows.collect() });
    }
    blocks.extend(ideas(view));
    blocks.extend(elsewhere(view));
    blocks
}

/// What a person did, in words; `None` where it was no person.
fn deed(view: &View<'_>, entry: &Entry) -> Option<Line> {
    let of = |id| {
        view.experiment(id)
            .map_or_else(|| "an experiment".to_owned(), |e| format!("experiment {}", view.label(e)))
    };
    let of_person = entry.author != LOOP;
    let line = match &entry.event {
        Event::Steered { text: said, .. } => vec![text("told the proposer: "), quoted(said, WORDS)],
        Event::Idea { text: said, proposer: None, now, .. } => {
            vec![text(if *now { "wanted this tried next: " } else { "noted an idea: " }), quoted(said, WORDS)]
        }
        Event::IdeaMoved { text: said, to, .. } if of_person => match to {
            IdeaPlace::First => vec![text("moved an idea to the front: "), quoted(said, WORDS)],
            IdeaPlace::Struck => vec![text("struck out an idea: "), quoted(said, WORDS)],
            IdeaPlace::Tried => return None,
        },
        Event::Vetoed { pattern, lifted, .. } => vec![
            text(if *lifted { "allowed again what matches " } else { "ruled out what matches " }),
            code(crate::text::clip(&crate::text::one_line(pattern), WORDS)),
        ],
        Event::Noted { experiment, text: said } => {
            vec![text(format!("noted on {}: ", of(*experiment))), quoted(said, WORDS)]
        }
        Event::Overridden { experiment, status, reason } => {
            let judged = view.experiment(*experiment).and_then(|e| e.judged);
            let judged = judged.map(|judged| format!(" (the judge had said {judged})")).unwrap_or_default();
            vec![text(format!("set {} to {status}{judged}: ", of(*experiment))), quoted(reason, WORDS)]
        }
        Event::Claimed { experiment, claim } if of_person => {
            vec![text(format!("had {} repeated: it is {claim}", of(*experiment)))]
        }
        _ => return None,
    };
    Some(line)
}

/// Ideas that proposers left, and what this version cannot read.
fn ideas(view: &View<'_>) -> Option<Block> {
    let events = &view.source.events;
    let left = events.iter().filter(|e| matches!(e.event, Event::Idea { proposer: Some(_), .. })).count();
    let unknown = events.iter().filter(|e| matches!(e.event, Event::Unknown(_))).count();
    let mut line = Vec::new();
    if left > 0 {
        line.extend([
            text("Proposers left "),
            figure("people.ideas", count(left, "idea", "ideas")),
            text(" of their own for later. "),
        ]);
    }
    if unknown > 0 {
        line.extend([
            figure("people.unknown", count(unknown, "event", "events")),
            text(" of a newer version cannot be told by this one."),
        ]);
    }
    (!line.is_empty()).then_some(Block::Note(line))
}

/// Experiments of other clones, and other lines of research.
fn elsewhere(view: &View<'_>) -> Vec<Block> {
    let mut lines = Vec::new();
    let peers = view.peers.names();
    for name in peers {
        let its = view.source.experiments.iter().filter(|e| view.peers.name(&e.record.writer) == Some(name));
        let its: Vec<&Experiment> = its.collect();
        let kept = its.iter().filter(|e| improved(e)).count();
        lines.push(vec![
            text("The ledger also has "),
            figure(format!("peer.{name}.experiments"), count(its.len(), "experiment", "experiments")),
            text(" of "),
            code(name),
            text(", of which "),
            figure(format!("peer.{name}.kept"), kept.to_string()),
            text(" were kept there. They are not told here: a claim of another clone counts once it was run again."),
        ]);
    }
    lines.extend(view.source.others.iter().map(other));
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Block::Words(vec![text("Beside this:")]), Block::List(lines)]
}

fn other(other: &Other) -> Line {
    let tag = other.tag.as_str();
    let tried = other.experiments.iter().filter(|e| !e.record.baseline).count();
    let kept = other.experiments.iter().filter(|e| improved(e)).count();
    let mut line = vec![
        text("Line of research "),
        code(tag),
        text(": "),
        figure(format!("tag.{tag}.kept"), format!("{kept} of {tried}")),
        text(" kept"),
    ];
    let standing = Standing::of(&other.experiments);
    if let Some((best, value)) = standing.best.and_then(|best| Some((best, best.record.value?))) {
        let decimals = standing::decimals(&other.experiments);
        line.push(text(format!(", {} ", crate::text::one_line(&Metric::of(best).name))));
        if let Some(first) = standing.baseline_of(best).filter(|_| !best.record.baseline) {
            line.extend([figure(format!("tag.{tag}.baseline"), fixed(first, decimals)), text(" → ")]);
        }
        line.push(figure(format!("tag.{tag}.best"), fixed(value, decimals)));
    }
    line.push(text("."));
    line
}
