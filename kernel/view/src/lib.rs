//! Values to MIME bundles: tables, charts, diffs, the live view. Knows no sockets.
//!
//! Every output has a rich form and a plain one, made from one description, and nothing that is shown
//! can break or script the page: text from outside is cleaned ([`text::clean`]) and escaped.
//!
//! ```
//! let bundle = view::error("no experiment 17", Some("`overnight experiments` lists them"));
//! assert_eq!(bundle.text(), "error: no experiment 17\nhint: `overnight experiments` lists them");
//! assert!(bundle.html().is_some());
//! ```

pub mod bundle;
pub mod chart;
pub mod report;
pub mod text;

mod answer;
mod diff;
mod experiments;
mod grid;
mod live;
mod log;
mod metric;
mod morning;
mod notice;
mod number;
mod page;
mod plan;
mod proposers;
mod rehearsal;
mod space;
mod standing;
mod style;
mod table;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Finding, Part, Proposed, Step, findings};
pub use bundle::Bundle;
pub use diff::diff;
pub use experiments::{Options, Sort, choose, experiments, shown};
pub use live::{Curve, Live, Pictures, judged, live, state};
pub use log::log;
pub use metric::Metric;
pub use morning::{Gain, Morning, morning};
pub use notice::{error, json, markdown, plain};
pub use page::{Page, experiment};
pub use plan::{Plan, plan};
pub use rehearsal::{Rehearsal, Tried, Went, rehearsal};
pub use space::{Parameter, space};
pub use table::{excerpt, page, table};
