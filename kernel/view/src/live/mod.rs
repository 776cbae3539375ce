//! The live view of a loop: one display that is drawn again as things change.
//!
//! What it shows is complete: saved in a notebook, it is the last state with its date and time, readable
//! without a kernel.

mod facts;
mod news;
mod page;
mod pictures;
mod words;

use jiff::Zoned;
use lab::{Experiment, status::LoopStatus};

pub use news::{judged, state};
pub use pictures::Pictures;

use crate::{Bundle, Metric, bundle::HTML};

/// Everything that the live view shows.
#[derive(Clone, Debug)]
pub struct Live<'a> {
    /// What the runner says of itself.
    pub status: &'a LoopStatus,
    /// Every experiment of the tag so far, in the order of their numbers.
    pub experiments: &'a [Experiment],
    /// The metric that decides.
    pub metric: &'a Metric,
    /// The curves of the runs in progress that have printed any values.
    pub curves: &'a [Curve],
    /// The pictures, as they were last drawn.
    pub pictures: &'a Pictures,
    /// Why this view may not be of the present, where something keeps it from that.
    pub trouble: Option<&'a str>,
    /// The time of this view; times of day are shown in its zone.
    pub now: Zoned,
    /// Columns of the terminal.
    pub width: usize,
}

/// A curve of a run in progress beside the same curve of the best run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// The slot that the run has.
    pub slot: u32,
    /// The metric that is drawn, such as `loss`.
    pub name: String,
    /// The experiment whose run it is.
    pub experiment: Option<u64>,
    /// Its values so far, by step.
    pub current: Vec<(f64, f64)>,
    /// The best run's values, by step; empty where there is none.
    pub best: Vec<(f64, f64)>,
}

/// The live view, as HTML and as text for a terminal.
pub fn live(live: &Live) -> Bundle {
    let facts = facts::Facts::of(live);
    Bundle::new(words::text(&facts, live.width)).with(HTML, page::markup(live, &facts).into_string())
}
