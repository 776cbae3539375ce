//! The values of a frame's column, for what draws them.

use polars::prelude::{Column, DataFrame, DataType, PolarsError};

use crate::{FramesError, metrics::KEYS};

/// A column as numbers, dates as their count of units; `None` where there is none, or no finite one.
pub fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, FramesError> {
    let cast = column(frame, name)?.cast(&DataType::Float64).map_err(unfit(name))?;
    let values = cast.f64().map_err(unfit(name))?;
    Ok(values.iter().map(|value| value.filter(|value| value.is_finite())).collect())
}

/// A metric of runs over their steps: the one that is `wanted`, else a loss, else the one with the most values.
/// Gives its name and its points, of which there are none where no run has it.
pub fn curve(frame: &DataFrame, wanted: Option<&str>) -> Result<(String, Vec<(f64, f64)>), FramesError> {
    let name = wanted.unwrap_or_else(|| shown(frame)).to_owned();
    if frame.column(&name).is_err() {
        return Ok((name, Vec::new()));
    }
    let points = numbers(frame, "step")?.into_iter().zip(numbers(frame, &name)?);
    Ok((name, points.filter_map(|(step, value)| step.zip(value)).collect()))
}

fn shown(frame: &DataFrame) -> &str {
    let metrics = || frame.columns().iter().filter(|column| !KEYS.contains(&column.name().as_str()));
    let has = |name: &&str| metrics().any(|column| column.name() == name);
    let most = || metrics().min_by_key(|column| column.null_count()).map(|column| column.name().as_str());
    ["loss", "train_loss", "train/loss"].into_iter().find(has).or_else(most).unwrap_or("loss")
}

/// A column as words.
pub fn words(frame: &DataFrame, name: &str) -> Result<Vec<String>, FramesError> {
    let cast = column(frame, name)?.cast(&DataType::String).map_err(unfit(name))?;
    let values = cast.str().map_err(unfit(name))?;
    Ok(values.iter().map(|value| value.unwrap_or("null").to_owned()).collect())
}

fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Column, FramesError> {
    frame.column(name).map_err(|_| FramesError::UnknownColumn {
        name: name.to_owned(),
        known: frame.get_column_names().into_iter().map(ToString::to_string).collect(),
    })
}

fn unfit(name: &str) -> impl Fn(PolarsError) -> FramesError {
    move |source| FramesError::Unfit { name: name.to_owned(), source }
}
