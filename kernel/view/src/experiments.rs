//! The table of experiments: which rows of it, in which order, and how it is drawn.

mod choose;
mod table;

use std::collections::HashMap;

use jiff::Timestamp;
use lab::{Experiment, ExperimentId, Peers, Record, Status};

pub use choose::{choose, shown};
pub use table::experiments;

use crate::{
    Metric,
    number::{fixed, percent_change},
    standing::Standing,
    text::one_line,
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
    /// Only those of a proposer whose name has this in it, whatever the case.
    pub proposer: Option<String>,
    /// Only those that have this in their hypothesis, reason or notes, whatever the case.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Whether it is turned round.
    pub reverse: bool,
    /// Only the first so many of that order.
    pub top: Option<usize>,
    /// At most so many rows at once; what is cut is said.
    pub limit: usize,
    /// Which of the pages of so many rows, from 1. Without one it is the first, where they are sorted by number the
    /// last.
    pub page: Option<usize>,
    /// Whose experiments are whose: those of others are shown as `peer/17`.
    pub peers: Peers,
    /// Losses of the rows that are [`shown`], for a column of small curves.
    pub losses: HashMap<ExperimentId, Vec<f64>>,
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
            proposer: None,
            text: None,
            sort: Sort::Number,
            reverse: false,
            top: None,
            limit: 50,
            page: None,
            peers: Peers::default(),
            losses: HashMap::new(),
            width: 100,
        }
    }
}

/// The order of the table. What has no value of that kind comes last, also where the order is turned round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By number, the oldest first.
    #[default]
    Number,
    /// By the metric, the best first: of those whose value counts.
    Value,
    /// By the difference to the parent, the greatest gain first.
    Delta,
    /// By duration, the longest first.
    Seconds,
    /// By what proposing cost, the dearest first.
    Cost,
    /// By peak memory, the most first.
    Memory,
    /// By time, the newest first.
    Newest,
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

/// Names under which runs report their peak memory, and how many megabytes one of their unit has.
const MEMORY: [(&str, f64); 8] = [
    ("peak_vram_mb", 1.0),
    ("peak_memory_mb", 1.0),
    ("peak_mem_mb", 1.0),
    ("max_memory_mb", 1.0),
    ("peak_rss_mb", 1.0),
    ("peak_vram_gb", 1000.0),
    ("peak_memory_gb", 1000.0),
    ("gpu_memory_mb", 1.0),
];

/// The peak memory that a run reported, in megabytes.
pub(crate) fn memory_mb(record: &Record) -> Option<f64> {
    let of = |(name, size): &(&str, f64)| Some(record.summary.get(*name)? * size);
    MEMORY.iter().find_map(of).filter(|memory| memory.is_finite() && *memory > 0.0)
}

/// `45.1 GB`, `812 MB`.
pub(crate) fn memory(megabytes: f64) -> String {
    if megabytes >= 999.5 {
        format!("{} GB", fixed(megabytes / 1000.0, 1))
    } else {
        format!("{} MB", fixed(megabytes, 0))
    }
}
