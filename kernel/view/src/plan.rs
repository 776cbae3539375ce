//! What the proposer intends next: what is on its way, the ideas that wait, what is ruled out.

use lab::Idea;
use lab::status::LoopStatus;
use maud::html;

use crate::{
    Bundle,
    bundle::HTML,
    grid::{Align, Grid},
    style,
    text::{clip, one_line},
};

/// What a plan is made of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What the runner is doing.
    pub status: &'a LoopStatus,
    /// Ideas that wait, the next one first.
    pub ideas: &'a [Idea],
    /// What is ruled out: regular expressions.
    pub vetoes: &'a [String],
    /// What a proposer that is stuck is told.
    pub advice: Option<String>,
}

/// Columns of a terminal line.
const WIDTH: usize = 120;
/// Columns of a hypothesis or an idea.
const TEXT: usize = 300;
const HEADS: [&str; 3] = ["", "what", "of"];
const HINT: &str = "`plan first N` has an idea tried next, `plan strike N` strikes it out, `hypothesis TEXT` adds one; \
                    `loop veto N` rules out experiment N, `loop veto PATTERN` whatever matches.";

/// What comes next, and how to change it.
pub fn plan(plan: &Plan<'_>) -> Bundle {
    let rows = rows(plan);
    let mut grid = Grid::new(HEADS.map(|head| (head, Align::Left)).to_vec());
    for row in &rows {
        grid.row(row.to_vec());
    }
    let vetoes: Vec<String> = plan.vetoes.iter().map(|pattern| clip(&one_line(pattern), TEXT)).collect();
    let mut text = if rows.is_empty() {
        "Nothing is planned: the proposer goes by the program and the ledger alone.".to_owned()
    } else {
        grid.lines(WIDTH).join("\n")
    };
    if !vetoes.is_empty() {
        text = format!("{text}\n\nruled out: {}", vetoes.join(" · "));
    }
    for line in plan.advice.as_deref().into_iter().chain([HINT]) {
        text = format!("{text}\n\n{line}");
    }
    let html = html! {
        @if rows.is_empty() {
            div { "Nothing is planned: the proposer goes by the program and the ledger alone." }
        } @else {
            table style=(style::TABLE) {
                thead { tr { @for head in HEADS { th style=(style::CELL) { (head) } } } }
                tbody { @for row in &rows { tr { @for cell in row { td style=(style::PROSE) { (cell) } } } } }
            }
        }
        @if !vetoes.is_empty() { div { "ruled out: " @for pattern in &vetoes { code { (pattern) } " " } } }
        @if let Some(advice) = &plan.advice { div { (advice) } }
        div style=(style::MUTED) { (HINT) }
    };
    Bundle::new(text).with(HTML, html.into_string())
}

fn rows(plan: &Plan<'_>) -> Vec<[String; 3]> {
    let status = plan.status;
    let proposer = status.proposer.clone().unwrap_or_default();
    let slots = status.slots.iter().filter_map(|slot| {
        let what = slot.hypothesis.clone().unwrap_or_default();
        Some([format!("{} {}", slot.phase, slot.experiment?), what, proposer.clone()])
    });
    let queued = status.queued.iter().map(|queued| {
        [format!("waiting {}", queued.experiment), queued.hypothesis.clone(), queued.proposer.clone()]
    });
    let ahead = status
        .ahead
        .iter()
        .map(|ahead| [format!("proposing {}", ahead.experiment), String::new(), proposer.clone()]);
    let ideas = plan.ideas.iter().enumerate().map(|(index, idea)| {
        let now = if idea.now { ", next" } else { "" };
        [format!("idea {}", index + 1), idea.text.clone(), format!("{}{now}", idea.from)]
    });
    let all = slots.chain(queued).chain(ahead).chain(ideas);
    all.map(|row| row.map(|cell| clip(&one_line(&cell), TEXT))).collect()
}
