//! The values of a frame's column, for what draws them.

use polars::prelude::{Column, DataFrame, DataType, PolarsError};

use crate::FramesError;

/// A column as numbers, dates as their count of units; `None` where there is none, or no finite one.
pub fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, FramesError> {
    let cast = column(frame, name)?.cast(&DataType::Float64).map_err(unfit(name))?;
    let values = cast.f64().map_err(unfit(name))?;
    Ok(values.iter().map(|value| value.filter(|value| value.is_finite())).collect())
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
