//! The table `metrics`: one row for each step that a run reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use lab::metrics::Row;
use polars::{
    functions::concat_df_diagonal,
    prelude::{Column, DataFrame, DataType, PolarsResult, Scalar},
};
use polars_io::{SerReader, parquet::read::ParquetReader};

use crate::columns::{float, free, whole};

/// The columns that every row has; a metric of that name gets the suffix `_`.
pub(crate) const KEYS: [&str; 4] = ["experiment", "run", "step", "time"];
/// So many rows become columns together. A row by itself takes about 400 bytes, in columns 8 for each metric.
const TOGETHER: usize = 16_384;

/// No rows, with the columns that every row has.
pub(crate) fn empty() -> PolarsResult<DataFrame> {
    keyed(None, 0, &columns_of(&[])?)
}

/// The steps of a run in progress, as they come.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// `step`, `time` and the metrics of most of them.
    settled: DataFrame,
    /// The newest ones.
    rows: Vec<Row>,
}

impl Steps {
    /// What the run has reported so far.
    pub(crate) fn frame(&self, number: Option<u64>, run: u64) -> PolarsResult<DataFrame> {
        keyed(number, run, &below(&self.settled, columns_of(&self.rows)?)?)
    }

    fn settle(&mut self) -> PolarsResult<()> {
        let rows = std::mem::take(&mut self.rows);
        self.settled = below(&self.settled, columns_of(&rows)?)?;
        Ok(())
    }
}

impl Extend<Row> for Steps {
    fn extend<I: IntoIterator<Item = Row>>(&mut self, rows: I) {
        for row in rows {
            self.rows.push(row);
            if self.rows.len() == TOGETHER
                && let Err(error) = self.settle()
            {
                tracing::warn!(%error, "passed over {TOGETHER} steps");
            }
        }
    }
}

/// One frame below the other; where they have different columns, null.
fn below(above: &DataFrame, frame: DataFrame) -> PolarsResult<DataFrame> {
    match (above.height(), frame.height()) {
        (0, _) => Ok(frame),
        (_, 0) => Ok(above.clone()),
        _ => concat_df_diagonal(&[above.clone(), frame]),
    }
}

/// `step`, `time`, and a column for each metric.
fn columns_of(rows: &[Row]) -> PolarsResult<DataFrame> {
    let mut columns = vec![
        whole("step", rows.iter().map(|row| Some(row.step))),
        float("time", rows.iter().map(|row| Some(row.time.0))),
    ];
    let mut names: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        for (name, value) in &row.values {
            names.entry(name).or_insert_with(|| vec![None; rows.len()])[i] = Some(*value);
        }
    }
    columns.extend(names.into_iter().map(|(name, values)| float(name, values.into_iter())));
    DataFrame::new(rows.len(), columns)
}

/// Steps with the columns that say whose they are.
fn keyed(number: Option<u64>, run: u64, steps: &DataFrame) -> PolarsResult<DataFrame> {
    let height = steps.height();
    let same = |name: &str, value: Option<u64>| {
        let value = value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        let value = value.map_or_else(|| Scalar::null(DataType::Int64), Scalar::from);
        Column::new_scalar(name.into(), value, height)
    };
    let mut columns = vec![
        same("experiment", number),
        same("run", Some(run)),
        steps.column("step")?.cast(&DataType::Int64)?,
        steps.column("time")?.cast(&DataType::Float64)?,
    ];
    let mut taken: BTreeSet<String> = KEYS.map(str::to_owned).into();
    for column in steps.columns().iter().filter(|column| !["step", "time"].contains(&column.name().as_str()))
    {
        let mut column = column.cast(&DataType::Float64)?;
        column.rename(free(column.name(), &mut taken).into());
        columns.push(column);
    }
    DataFrame::new(height, columns)
}

/// What a recorded experiment reported, from its Parquet file.
pub(crate) fn from_parquet(number: u64, file: Vec<u8>) -> PolarsResult<DataFrame> {
    keyed(Some(number), 0, &ParquetReader::new(Cursor::new(file)).finish()?)
}

/// The same with the clone that it is from. It stands only where it is another: metrics have many rows.
pub(crate) fn of_peer(frame: DataFrame, peer: &str) -> PolarsResult<DataFrame> {
    let mut columns = frame.columns().to_vec();
    let name = free("peer", &mut columns.iter().map(|column| column.name().to_string()).collect());
    columns.insert(
        2,
        Column::new_scalar(
            name.into(),
            Scalar::from(polars::prelude::PlSmallStr::from(peer)),
            frame.height(),
        ),
    );
    DataFrame::new(frame.height(), columns)
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
