//! The table of experiments.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab::{Experiment, Peers, Status};
use maud::{Markup, html};

use crate::{
    Bundle, Metric,
    bundle::HTML,
    grid::{Align, Grid},
    number::{count, duration, fixed, percent_change, signed},
    proposers::records,
    standing::{Standing, decimals, tally},
    style,
    text::{clip, one_line},
};

/// Which experiments the table shows, and in which order.
#[derive(Clone, Debug)]
pub struct Options {
    /// The metric that decides.
    pub metric: Metric,
    /// Only these statuses; all, where none is named.
    pub statuses: Vec<Status>,
    /// Only what began at this time or later.
    pub since: Option<Timestamp>,
    /// The order.
    pub sort: Sort,
    /// Only the first so many of that order.
    pub top: Option<usize>,
    /// At most so many rows, the last ones where they are sorted by number; what is cut is said.
    pub limit: usize,
    /// The writer whose experiments need no prefix: those of others are shown as `peer/17`.
    pub own: Option<String>,
    /// Columns of the terminal.
    pub width: usize,
}

impl Options {
    /// Everything in the order of numbers, the last 50 rows of it, for a terminal of 100 columns.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            statuses: Vec::new(),
            since: None,
            sort: Sort::Number,
            top: None,
            limit: 50,
            own: None,
            width: 100,
        }
    }
}

/// The order of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By number, the oldest first.
    #[default]
    Number,
    /// By the metric, the best first; what has no value comes last.
    Value,
    /// By duration, the longest first.
    Seconds,
    /// By time, the newest first.
    Newest,
}

/// The table of `all` experiments of a tag (in the order of their numbers; the options choose from them).
pub fn experiments(all: &[Experiment], options: &Options) -> Bundle {
    let standing = Standing::of(all);
    let mut rows = choose(all, options);
    let found = rows.len();
    if options.sort == Sort::Number && options.top.is_none() {
        rows.drain(..found.saturating_sub(options.limit));
    } else {
        rows.truncate(options.limit);
    }
    let own = options.own.as_deref();
    // Without a writer of one's own nobody is another's.
    let peers = own.map(|_| Peers::of(all.iter().map(|e| e.record.as_ref()), own)).unwrap_or_default();
    let view = View { standing, options, peers, decimals: decimals(all) };
    let cut = (rows.len() < found).then(|| {
        let end = if options.sort == Sort::Number && options.top.is_none() { "last" } else { "first" };
        format!("… the {end} {} of {}", rows.len(), count(found, "experiment", "experiments"))
    });
    let summary = view.summary(all);
    let records = records(all, &BTreeMap::new(), view.decimals);
    let notes: Vec<String> = cut.into_iter().chain(records).collect();
    Bundle::new(view.text(&rows, &summary, &notes))
        .with(HTML, view.html(&rows, &summary, &notes).into_string())
}

/// What the options choose from `all`, in their order; the limit of a table's rows does not matter here.
pub fn choose<'a>(all: &'a [Experiment], options: &Options) -> Vec<&'a Experiment> {
    let mut rows: Vec<&Experiment> = all
        .iter()
        .filter(|e| options.statuses.is_empty() || options.statuses.contains(&e.record.status))
        .filter(|e| options.since.is_none_or(|since| e.record.started >= since))
        .collect();
    match options.sort {
        Sort::Number => {}
        Sort::Value => rows.sort_by(|a, b| {
            let key = |e: &Experiment| match options.metric.direction {
                lab::Direction::Minimize => e.record.value.unwrap_or(f64::INFINITY),
                lab::Direction::Maximize => -e.record.value.unwrap_or(f64::NEG_INFINITY),
            };
            key(a).total_cmp(&key(b))
        }),
        Sort::Seconds => rows.sort_by(|a, b| b.record.seconds.0.total_cmp(&a.record.seconds.0)),
        Sort::Newest => rows.sort_by_key(|e| std::cmp::Reverse(e.record.started)),
    }
    if let Some(top) = options.top {
        rows.truncate(top);
    }
    rows
}

struct View<'a> {
    standing: Standing<'a>,
    options: &'a Options,
    peers: Peers,
    decimals: usize,
}

impl View<'_> {
    /// `val_bpb 1.0230 → 0.9932 (−2.9%, experiment 12) · 5 kept of 16 tried (31%), 2 crashed`.
    fn summary(&self, all: &[Experiment]) -> String {
        if all.is_empty() {
            return "No experiments yet: `loop start` begins.".to_owned();
        }
        let headline = headline(&self.standing, &self.options.metric, self.decimals, &self.peers);
        [headline, Some(tally(all))].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn number(&self, experiment: &Experiment) -> String {
        self.peers.label(&experiment.record)
    }

    fn text(&self, rows: &[&Experiment], summary: &str, notes: &[String]) -> String {
        if rows.is_empty() {
            return if summary.starts_with("No ") {
                summary.to_owned()
            } else {
                format!("No experiment matches.\n{summary}")
            };
        }
        let confident = rows.iter().any(|e| e.record.confidence.is_some());
        let mut heads = vec![("", Align::Left), ("#", Align::Right), ("status", Align::Left)];
        heads.extend([("value", Align::Right), ("Δ best", Align::Right), ("Δ base", Align::Right)]);
        heads.extend(confident.then_some(("sure", Align::Right)));
        heads.extend([("time", Align::Right), ("proposer", Align::Left), ("hypothesis", Align::Left)]);
        let mut grid = Grid::new(heads);
        for e in rows {
            let mut cells = vec![
                if self.standing.is_best(e) { "★" } else { "" }.to_owned(),
                self.number(e),
                e.record.status.word().to_owned(),
                self.value(e.record.value),
                self.delta(e.record.delta),
                self.delta(self.standing.gain(e)),
            ];
            cells.extend(
                confident
                    .then(|| e.record.confidence.map_or(String::new(), |c| format!("{:.0}%", c * 100.0))),
            );
            cells.extend([
                duration(e.record.seconds),
                clip(&one_line(&e.record.proposer), 12),
                hypothesis(e),
            ]);
            grid.row(cells);
        }
        let mut lines = vec![summary.to_owned(), String::new()];
        lines.extend(grid.lines(self.options.width));
        lines.extend(notes.iter().cloned());
        lines.join("\n")
    }

    fn value(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "–".to_owned(), |value| fixed(value, self.decimals))
    }

    fn delta(&self, delta: Option<f64>) -> String {
        delta.map_or_else(String::new, |delta| signed(delta, self.decimals))
    }

    fn html(&self, rows: &[&Experiment], summary: &str, notes: &[String]) -> Markup {
        let confident = rows.iter().any(|e| e.record.confidence.is_some());
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
                            th style=(style::NUMBER) title="difference to the best that it was compared with" { "Δ best" }
                            th style=(style::NUMBER) title="difference to the baseline" { "Δ baseline" }
                            @if confident { th style=(style::NUMBER) title="probability that the difference is real" { "sure" } }
                            th style=(style::NUMBER) { "time" }
                            th style=(style::CELL) { "proposer" }
                            th style=(style::CELL) { "hypothesis" }
                        } }
                        tbody { @for e in rows { (self.html_row(e, confident)) } }
                    }
                }
                @for note in notes { div style=(style::MUTED) { (note) } }
            }
        }
    }

    fn html_row(&self, e: &Experiment, confident: bool) -> Markup {
        let best = self.standing.is_best(e);
        let row =
            if best { format!("background-color:{}26;font-weight:600", style::GREEN) } else { String::new() };
        html! {
            tr style=[(!row.is_empty()).then_some(row)] {
                td style=(style::NUMBER) { @if best { span title="best" { "★ " } } (self.number(e)) }
                td style=(style::CELL) title=(one_line(&e.record.reason)) { (style::badge(e.record.status)) }
                td style=(style::NUMBER) { (self.value(e.record.value)) }
                td style=(style::NUMBER) { (self.html_delta(e.record.delta)) }
                td style=(style::NUMBER) { (self.html_delta(self.standing.gain(e))) }
                @if confident {
                    td style=(style::NUMBER) { @if let Some(c) = e.record.confidence { (format!("{:.0}%", c * 100.0)) } }
                }
                td style=(style::NUMBER) { (duration(e.record.seconds)) }
                td style=(style::CELL) { (clip(&one_line(&e.record.proposer), 24)) }
                td style=(style::PROSE) { (clip(&hypothesis(e), 300)) }
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

/// `val_bpb 1.0230 → 0.9932 (−2.9%, experiment 12)`.
pub(crate) fn headline(
    standing: &Standing,
    metric: &Metric,
    decimals: usize,
    peers: &Peers,
) -> Option<String> {
    let best = standing.best?;
    let value = best.record.value?;
    let name = one_line(&metric.name);
    let unit = metric.unit.as_deref().map(|unit| format!(" {}", one_line(unit))).unwrap_or_default();
    let first = standing.baseline_of(best).filter(|_| !best.record.baseline);
    Some(match first {
        Some(first) => {
            let change = percent_change(value, first).map(|change| format!("{change}, ")).unwrap_or_default();
            let (first, value) = (fixed(first, decimals), fixed(value, decimals));
            format!("{name} {first} → {value}{unit} ({change}experiment {})", peers.label(&best.record))
        }
        None => format!("{name} {}{unit} (experiment {})", fixed(value, decimals), peers.label(&best.record)),
    })
}

/// What was expected; a baseline says that it is one, and a person's override is told.
pub(crate) fn hypothesis(experiment: &Experiment) -> String {
    let record = &experiment.record;
    let mut text = one_line(&record.hypothesis);
    if text.is_empty() {
        (if record.baseline { "baseline" } else { "–" }).clone_into(&mut text);
    } else if record.baseline && !text.to_lowercase().contains("baseline") {
        text = format!("baseline: {text}");
    }
    if let Some(judged) = experiment.judged {
        text = format!("{text} (judged {judged}, {} by hand)", record.status);
    }
    text
}
