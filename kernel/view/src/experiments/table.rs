//! The table, as text and as HTML.

use std::collections::BTreeMap;

use lab::Experiment;
use maud::{Markup, html};

use super::{Options, Sort, choose::choose_by, choose::first, headline, hypothesis, memory, memory_mb};
use crate::{
    Bundle,
    bundle::HTML,
    chart::spark,
    grid::{Align, Grid},
    number::{count, duration, fixed, signed},
    proposers::records,
    standing::{Standing, decimals, tally},
    style,
    text::{clip, columns, one_line, outside},
};

/// Columns of a small curve.
const SPARK: usize = 10;
/// So many columns are left for the hypothesis before others are left out.
const PROSE: usize = 30;

/// A proposer without the folder that its program is in.
fn by(proposer: &str) -> String {
    let name = one_line(proposer);
    match name.split_once(':') {
        Some(("command", command)) => {
            let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
            let program = program.rsplit('/').next().unwrap_or(program);
            format!("command:{program} {rest}").trim_end().to_owned()
        }
        _ => name,
    }
}

/// The table of `all` experiments of a tag (in the order of their numbers; the options choose from them).
pub fn experiments(all: &[Experiment], options: &Options) -> Bundle {
    let standing = Standing::of(all);
    let mut rows = choose_by(&standing, all, options);
    let found = rows.len();
    let begin = first(found, options);
    rows = rows.into_iter().skip(begin).take(options.limit).collect();
    let view = View { standing, options, decimals: decimals(all) };
    let cut = cut(begin, rows.len(), found, options);
    let summary = view.summary(all);
    let records = records(all, &BTreeMap::new(), view.decimals);
    let notes: Vec<String> = cut.into_iter().chain(records).collect();
    Bundle::new(view.text(&rows, &summary, &notes))
        .with(HTML, view.html(&rows, &summary, &notes).into_string())
}

/// What is said where not all rows are shown.
fn cut(begin: usize, shown: usize, found: usize, options: &Options) -> Option<String> {
    if shown == found {
        return None;
    }
    let all = count(found, "experiment", "experiments");
    let pages = found.div_ceil(options.limit.max(1));
    if shown == 0 {
        return Some(format!("no page {}: there are {pages} of {all}", options.page.unwrap_or(1)));
    }
    let of = |words: String| Some(format!("… {words} of {all}; `--page N` shows one of {pages} pages"));
    match options.page {
        Some(_) => of(format!("rows {} to {}", begin + 1, begin + shown)),
        None if options.sort == Sort::Number && options.top.is_none() && !options.reverse => {
            of(format!("the last {shown}"))
        }
        None => of(format!("the first {shown}")),
    }
}

struct View<'a> {
    standing: Standing<'a>,
    options: &'a Options,
    decimals: usize,
}

/// A column that is there where a row has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Sure,
    Time,
    Memory,
    Cost,
    Loss,
    Proposer,
}

impl Column {
    const ALL: [Self; 6] = [Self::Sure, Self::Time, Self::Memory, Self::Cost, Self::Loss, Self::Proposer];

    /// Its name, and what is said of it under the mouse.
    fn head(self) -> (&'static str, &'static str) {
        match self {
            Self::Sure => ("sure", "probability that the difference is real"),
            Self::Time => ("time", "build and runs together"),
            Self::Memory => ("memory", "the most that a run has reported"),
            Self::Cost => ("cost", "what proposing cost"),
            Self::Loss => ("loss", "the loss from the first step to the last"),
            Self::Proposer => ("proposer", "what made the candidate"),
        }
    }

    fn align(self) -> Align {
        if matches!(self, Self::Loss | Self::Proposer) { Align::Left } else { Align::Right }
    }
}

impl View<'_> {
    /// `val_bpb 1.0230 → 0.9932 (−2.9%, experiment 12) · 5 kept of 16 tried (31%), 2 crashed`.
    fn summary(&self, all: &[Experiment]) -> String {
        if all.is_empty() {
            return "No experiments yet: `loop start` begins.".to_owned();
        }
        let headline = headline(&self.standing, &self.options.metric, self.decimals, &self.options.peers);
        [headline, Some(tally(all))].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn number(&self, experiment: &Experiment) -> String {
        self.options.peers.label(&experiment.record)
    }

    /// The columns that any of these rows has something in.
    fn columns(&self, rows: &[&Experiment]) -> Vec<Column> {
        let usual = |column| matches!(column, Column::Time | Column::Proposer);
        let there = |column| usual(column) || rows.iter().any(|e| !self.cell(e, column).is_empty());
        Column::ALL.into_iter().filter(|column| there(*column)).collect()
    }

    fn cell(&self, e: &Experiment, column: Column) -> String {
        let record = &e.record;
        match column {
            Column::Sure => record.confidence.map_or(String::new(), |sure| format!("{:.0}%", sure * 100.0)),
            Column::Time => duration(record.seconds),
            Column::Memory => memory_mb(record).map(memory).unwrap_or_default(),
            Column::Cost if record.cost.usd > 0.0 => format!("${}", fixed(record.cost.usd, 2)),
            Column::Cost => String::new(),
            Column::Loss => {
                self.options.losses.get(&record.id).map_or(String::new(), |loss| spark(loss, SPARK))
            }
            Column::Proposer => by(&record.proposer),
        }
    }

    fn text(&self, rows: &[&Experiment], summary: &str, notes: &[String]) -> String {
        if rows.is_empty() {
            return if summary.starts_with("No ") {
                summary.to_owned()
            } else {
                let notes: Vec<String> = notes.iter().map(|note| format!("\n{note}")).collect();
                format!("No experiment matches.\n{summary}{}", notes.concat())
            };
        }
        let mut more = self.columns(rows);
        let mut lines = self.grid(rows, &more);
        // What a terminal has no room for, the least important first.
        for column in [Column::Memory, Column::Cost, Column::Loss] {
            let left =
                |lines: &[String]| lines[0].rfind("hypothesis").map_or(0, |at| columns(&lines[0][..at]));
            if left(&lines) + PROSE <= self.options.width {
                break;
            }
            more.retain(|other| *other != column);
            lines = self.grid(rows, &more);
        }
        let mut all = vec![summary.to_owned(), String::new()];
        all.extend(lines);
        all.extend(notes.iter().cloned());
        all.join("\n")
    }

    fn grid(&self, rows: &[&Experiment], more: &[Column]) -> Vec<String> {
        let mut heads = vec![("", Align::Left), ("#", Align::Right), ("status", Align::Left)];
        heads.extend([("value", Align::Right), ("Δ parent", Align::Right), ("Δ base", Align::Right)]);
        heads.extend(more.iter().map(|column| (column.head().0, column.align())));
        heads.push(("hypothesis", Align::Left));
        let mut grid = Grid::new(heads);
        for e in rows {
            let mut cells = vec![
                if self.standing.is_best(e) { "★" } else { "" }.to_owned(),
                self.number(e),
                format!("{} {}", style::status_letter(e.record.status), e.record.status.word()),
                self.value(e.record.value),
                self.delta(self.standing.to_parent(e)),
                self.delta(self.standing.gain(e)),
            ];
            cells.extend(more.iter().map(|column| clip(&self.cell(e, *column), 12)));
            cells.push(hypothesis(e));
            grid.row(cells);
        }
        grid.lines(self.options.width)
    }

    fn value(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "–".to_owned(), |value| fixed(value, self.decimals))
    }

    fn delta(&self, delta: Option<f64>) -> String {
        delta.map_or_else(String::new, |delta| signed(delta, self.decimals))
    }

    fn html(&self, rows: &[&Experiment], summary: &str, notes: &[String]) -> Markup {
        let mut more = self.columns(rows);
        // After the hypothesis: where there is no room for both, that is the one to be seen.
        more.retain(|column| *column != Column::Proposer);
        let side = |column: Column| if column.align() == Align::Right { style::NUMBER } else { style::CELL };
        html! {
            div {
                div style="margin:2px 0 6px 0" { (summary) }
                @if rows.is_empty() && !summary.starts_with("No ") { div { "No experiment matches." } }
                @if !rows.is_empty() {
                    table style=(style::TABLE) {
                        thead { tr {
                            th style=(style::NUMBER) { "#" }
                            th style=(style::CELL) { "status" }
                            th style=(style::NUMBER) title=(self.options.metric.axis()) { (one_line(&self.options.metric.name)) }
                            th style=(style::NUMBER) title="difference to the experiment that it builds on" { "Δ parent" }
                            th style=(style::NUMBER) title="difference to the baseline" { "Δ baseline" }
                            @for column in &more { th style=(side(*column)) title=(column.head().1) { (column.head().0) } }
                            th style=(style::CELL) { "hypothesis" }
                            th style=(style::CELL) title=(Column::Proposer.head().1) { "proposer" }
                        } }
                        tbody { @for e in rows { (self.html_row(e, &more)) } }
                    }
                }
                @for note in notes { div style=(style::MUTED) { (note) } }
            }
        }
    }

    fn html_row(&self, e: &Experiment, more: &[Column]) -> Markup {
        let best = self.standing.is_best(e);
        let row =
            if best { format!("background-color:{}26;font-weight:600", style::GREEN) } else { String::new() };
        html! {
            tr style=[(!row.is_empty()).then_some(row)] {
                td style=(style::NUMBER) { @if best { span title="best" { "★ " } } (self.number(e)) }
                td style=(style::CELL) title=(clip(&one_line(&e.record.reason), 300)) { (style::badge(e.record.status)) }
                td style=(style::NUMBER) { (self.value(e.record.value)) }
                td style=(style::NUMBER) { (self.html_delta(self.standing.to_parent(e))) }
                td style=(style::NUMBER) { (self.html_delta(self.standing.gain(e))) }
                @for column in more { (self.html_cell(e, *column)) }
                td style=(style::PROSE) { (outside(&clip(&hypothesis(e), 300))) }
                td style=(style::CELL) title=(clip(&one_line(&e.record.proposer), 300)) {
                    (outside(&clip(&self.cell(e, Column::Proposer), 24)))
                }
            }
        }
    }

    fn html_cell(&self, e: &Experiment, column: Column) -> Markup {
        let cell = self.cell(e, column);
        html! {
            @match column {
                Column::Loss => td style=(format!("{};font-family:monospace;font-size:11px", style::CELL)) { (cell) },
                _ => td style=(style::NUMBER) { (cell) },
            }
        }
    }

    /// Better is bold, worse is pale: to be read in any theme and without colour.
    fn html_delta(&self, delta: Option<f64>) -> Markup {
        let better = delta.is_some_and(|delta| self.options.metric.direction.better(delta, 0.0));
        html! {
            @if better { b { (self.delta(delta)) } }
            @else { span style=(style::MUTED) { (self.delta(delta)) } }
        }
    }
}
