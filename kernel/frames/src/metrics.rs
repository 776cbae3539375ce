//! The table `metrics`: one row for each step that a run reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use lab::metrics::Row;
use polars::{
    functions::concat_df_diagonal,
    prelude::{Column, DataFrame, DataType, PolarsResult},
};
use polars_io::{SerReader, parquet::read::ParquetReader};

use crate::columns::{float, free, whole};

/// The columns that every row has; a metric of that name gets the suffix `_`.
const KEYS: [&str; 4] = ["experiment", "run", "step", "time"];

/// No rows, with the columns that every row has.
pub(crate) fn empty() -> PolarsResult<DataFrame> {
    from_rows(None, 0, &[])
}

/// What a run in progress has reported so far.
pub(crate) fn from_rows(number: Option<u64>, run: u64, rows: &[Row]) -> PolarsResult<DataFrame> {
    let mut columns = vec![
        whole("experiment", rows.iter().map(|_| number)),
        whole("run", rows.iter().map(|_| Some(run))),
        whole("step", rows.iter().map(|row| Some(row.step))),
        float("time", rows.iter().map(|row| Some(row.time.0))),
    ];
    let mut names: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        for (name, value) in &row.values {
            names.entry(name).or_insert_with(|| vec![None; rows.len()])[i] = Some(*value);
        }
    }
    let mut taken: BTreeSet<String> = KEYS.map(str::to_owned).into();
    for (name, values) in names {
        columns.push(float(&free(name, &mut taken), values.into_iter()));
    }
    DataFrame::new(rows.len(), columns)
}

/// What a recorded experiment reported, from its Parquet file.
pub(crate) fn from_parquet(number: u64, file: Vec<u8>) -> PolarsResult<DataFrame> {
    let read = ParquetReader::new(Cursor::new(file)).finish()?;
    let height = read.height();
    let mut columns: Vec<Column> = vec![
        whole("experiment", (0..height).map(|_| Some(number))),
        whole("run", (0..height).map(|_| Some(0))),
        read.column("step")?.cast(&DataType::Int64)?,
        read.column("time")?.cast(&DataType::Float64)?,
    ];
    let mut taken: BTreeSet<String> = KEYS.map(str::to_owned).into();
    for column in read.columns().iter().filter(|column| !["step", "time"].contains(&column.name().as_str())) {
        let mut column = column.cast(&DataType::Float64)?;
        column.rename(free(column.name(), &mut taken).into());
        columns.push(column);
    }
    DataFrame::new(height, columns)
}

/// One frame below the other; a metric that a run lacks is null there.
pub(crate) fn stack(mut frames: Vec<DataFrame>) -> PolarsResult<DataFrame> {
    frames.retain(|frame| frame.height() > 0);
    match frames.len() {
        0 => empty(),
        1 => Ok(frames.remove(0)),
        _ => {
            let mut all = concat_df_diagonal(&frames)?;
            all.rechunk_mut();
            Ok(all)
        }
    }
}
