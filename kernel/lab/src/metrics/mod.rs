//! Metrics out of a run's output, as it comes.
//!
//! ```
//! use lab::{Seconds, metrics::Reader};
//!
//! let mut reader = Reader::new();
//! reader.push(b"step 7 | loss: 3.2 | tok/sec: 1,690,000 | dt: 31", Seconds(1.0));
//! reader.push(b"0ms\nAll done.\n---\nval_bpb:   0.9979\n", Seconds(2.0));
//!
//! let rows = reader.take_rows();
//! assert_eq!((rows[0].step, rows[0].values["tok/sec"], rows[0].values["dt"]), (7, 1_690_000.0, 310.0));
//! assert_eq!(reader.metric("val_bpb"), Some(0.9979));
//! assert_eq!(reader.metric("loss"), Some(3.2));
//! ```
//!
//! What is read:
//!
//! - **Rows**, one per step: a line that names a step or an epoch (`step 7`, `step=7`, `iter 7:`,
//!   `Epoch [1/10]`), one whose `name: value` pairs are joined by `|`, `, ` or ` - `, and a JSON object or
//!   Python dict with several numbers.
//! - **The summary**, the last value of each name: any other line of `name: value` or `name=value`,
//!   `METRIC name=value`, and everything without a step after a line `---`.
//!
//! A value keeps its number as printed: `310ms` is 310, `39.8%` is 39.8, `1,690,000` is 1690000. All
//! else is log, and never an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Seconds;

mod counter;
mod line;
mod number;
mod object;
mod pairs;
mod reader;
#[cfg(test)]
mod tests;

pub use reader::Reader;

/// Whether `name` can name a metric: up to 64 letters, digits and `_ / . % @ -`, of which the first is
/// a letter or `_`.
pub fn is_name(name: &str) -> bool {
    name.chars().count() <= 64
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '%' | '@' | '-')
}

/// One step that a run reported: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The step that the run named, or the row's index where it named none.
    pub step: u64,
    /// Time since the run began.
    pub time: Seconds,
    /// What it reported, by name; a metric that is itself called `step` or `time` has the name `step_` or
    /// `time_`. Never NaN nor infinite in a file: those are `null`, read back as NaN.
    #[serde(flatten, with = "values")]
    pub values: BTreeMap<String, f64>,
}

/// Everything that a run reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// The steps, in the order in which they were printed.
    pub rows: Vec<Row>,
    /// The summary: what was printed once, after `---` or by name; the last value of each name.
    pub summary: BTreeMap<String, f64>,
}

impl Metrics {
    /// The value of the metric `name`: the summary's, or else the last one that a row has.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let in_rows = || self.rows.iter().rev().find_map(|row| row.values.get(name));
        self.summary.get(name).or_else(in_rows).copied()
    }
}

/// Writes values that JSON cannot hold as `null`, and reads `null` as NaN.
pub(crate) mod values {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &BTreeMap<String, f64>, to: S) -> Result<S::Ok, S::Error> {
        let shown: BTreeMap<&String, Option<f64>> =
            values.iter().map(|(name, value)| (name, value.is_finite().then_some(*value))).collect();
        shown.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let read = BTreeMap::<String, Option<f64>>::deserialize(from)?;
        Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
    }
}
