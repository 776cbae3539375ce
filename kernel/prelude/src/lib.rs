//! What Rust cells of Overnight have in scope: polars, the lab's frames, charts and rich output.
//!
//! ```ignore
//! let e = experiments()?;                                     // one row per experiment
//! let m = metrics("running")?;                                // one row per step, up to this moment
//! plot(&m).line("step", "loss").title("the run in progress")  // a chart, drawn in place
//! ```
//!
//! A cell begins with `use overnight::prelude::*;` by itself. All that this crate asks of the lab it asks the
//! `overnight` program for, so a cell sees what a terminal sees.

mod chart;
mod display;
mod error;
mod frames;
mod input;
pub mod interrupt;

pub use chart::{Plot, plot};
pub use display::{Show, display, html, markdown, png, show, vega_lite};
pub use error::{Error, Result};
pub use frames::{Diff, diff, events, experiments, export, frame, metrics, runs};
pub use input::{input, password};
pub use polars;

/// How values at the end of a cell are written; `:fmt` and `:types` set it.
#[doc(hidden)]
pub use display::set_format;

/// What a cell has in scope.
pub mod prelude {
    pub use polars::prelude::*;

    pub use crate::chart::plot;
    pub use crate::display::{Show as _, display, html, markdown, png, show, vega_lite};
    pub use crate::frames::{diff, events, experiments, export, frame, metrics, runs};
    pub use crate::input::{input, password};
}
