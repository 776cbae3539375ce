//! The table `constants`: what each experiment set the constants of its files to. Whoever can read them lends it
//! ([`Frames::lend`](crate::Frames::lend)), for files are read and parsed for it.

use polars::prelude::DataFrame;

use crate::columns::{flag, float, text, whole};
use crate::{FramesError, error::making};

/// A constant of one experiment's files.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// The experiment's number.
    pub experiment: u64,
    /// The file.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Its value, as it is written.
    pub setting: String,
    /// Its value, where it is a number.
    pub numeric: Option<f64>,
    /// Whether it is never changed.
    pub fixed: bool,
    /// What it may become, in words.
    pub becomes: String,
}

/// The table, a row for each.
pub fn constants(rows: &[Constant]) -> Result<DataFrame, FramesError> {
    let columns = vec![
        whole("experiment", rows.iter().map(|row| Some(row.experiment))),
        text("path", rows.iter().map(|row| Some(row.path.as_str()))),
        text("name", rows.iter().map(|row| Some(row.name.as_str()))),
        text("setting", rows.iter().map(|row| Some(row.setting.as_str()))),
        float("numeric", rows.iter().map(|row| row.numeric)),
        flag("fixed", rows.iter().map(|row| row.fixed)),
        text("becomes", rows.iter().map(|row| Some(row.becomes.as_str()))),
    ];
    DataFrame::new(rows.len(), columns).map_err(making("constants"))
}
