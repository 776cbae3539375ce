//! Metrics as a Parquet file, compressed with zstd: `step` (u64), `time` (f64, seconds), then one
//! nullable f64 column per name.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use lab::{Metrics, Seconds, metrics::Row};
use polars::prelude::{Column, DataFrame, PolarsError, PolarsResult};
use polars_io::{
    SerReader as _,
    parquet::{
        read::ParquetReader,
        write::{ParquetCompression, ParquetWriter},
    },
};

use crate::LedgerError;

/// Most names that are kept, those with the most values: a run that makes up names as it goes would
/// otherwise make a column of each.
const NAMES: usize = 512;

/// Writes the steps as a Parquet file. A name that is taken (`step`, `time`) gets the suffix `_`.
///
/// # Errors
/// Where polars cannot write it.
pub fn encode(metrics: &Metrics) -> Result<Vec<u8>, LedgerError> {
    write(metrics).map_err(malformed)
}

/// Reads the steps back. The summary is empty: it is in the record.
///
/// # Errors
/// Where `file` is not one that [`encode`] wrote.
pub fn decode(file: Vec<u8>) -> Result<Metrics, LedgerError> {
    read(file).map_err(malformed)
}

fn write(metrics: &Metrics) -> PolarsResult<Vec<u8>> {
    let rows = &metrics.rows;
    let mut columns = vec![
        Column::new("step".into(), rows.iter().map(|row| row.step).collect::<Vec<_>>()),
        Column::new("time".into(), rows.iter().map(|row| row.time.0).collect::<Vec<_>>()),
    ];
    let mut taken: BTreeSet<String> = ["step", "time"].map(str::to_owned).into();
    for name in names(rows) {
        let mut free = name.to_owned();
        while !taken.insert(free.clone()) {
            free.push('_');
        }
        let values: Vec<Option<f64>> = rows.iter().map(|row| row.values.get(name).copied()).collect();
        columns.push(Column::new(free.into(), values));
    }
    let mut frame = DataFrame::new(rows.len(), columns)?;
    let mut file = Vec::new();
    ParquetWriter::new(&mut file)
        .with_compression(ParquetCompression::Zstd(None))
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(file)
}

/// The names that become columns, in order.
fn names(rows: &[Row]) -> Vec<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in rows.iter().flat_map(|row| row.values.keys()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<_> = counts.into_iter().collect();
    if names.len() > NAMES {
        tracing::warn!(names = names.len(), kept = NAMES, "too many metrics");
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        names.truncate(NAMES);
        names.sort_unstable();
    }
    names.into_iter().map(|(name, _)| name).collect()
}

fn read(file: Vec<u8>) -> PolarsResult<Metrics> {
    let frame = ParquetReader::new(Cursor::new(file)).finish()?;
    let steps = frame.column("step")?.u64()?;
    let times = frame.column("time")?.f64()?;
    let mut rows: Vec<Row> = steps
        .iter()
        .zip(times.iter())
        .map(|(step, time)| Row {
            step: step.unwrap_or_default(),
            time: Seconds(time.unwrap_or(f64::NAN)),
            values: BTreeMap::new(),
        })
        .collect();
    for column in frame.columns().iter().filter(|column| !["step", "time"].contains(&column.name().as_str()))
    {
        for (row, value) in rows.iter_mut().zip(column.f64()?.iter()) {
            if let Some(value) = value {
                row.values.insert(column.name().to_string(), value);
            }
        }
    }
    Ok(Metrics { rows, summary: BTreeMap::new() })
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn malformed(error: PolarsError) -> LedgerError {
    LedgerError::Malformed { what: "metrics.parquet".to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn row(step: u64, values: &[(&str, f64)]) -> Row {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Row { step, time: Seconds(step as f64 / 2.0), values }
    }

    fn there_and_back(rows: Vec<Row>) -> Vec<Row> {
        let metrics = Metrics { rows, summary: BTreeMap::new() };
        decode(encode(&metrics).unwrap()).unwrap().rows
    }

    #[test]
    fn a_run_without_metrics_has_a_file_without_rows() {
        assert_eq!(there_and_back(Vec::new()), []);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_suffix() {
        let rows = there_and_back(vec![row(1, &[("step", 1.0), ("step_", 2.0), ("time", 3.0)])]);
        let names: Vec<_> = rows[0].values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["step_=1", "step__=2", "time_=3"]);
    }

    #[test]
    fn what_is_not_a_number_stays_so_and_what_is_missing_stays_missing() {
        let rows = there_and_back(vec![row(1, &[("loss", f64::NAN)]), row(2, &[("lr", f64::INFINITY)])]);
        assert!(rows[0].values["loss"].is_nan());
        assert_eq!(rows[0].values.len(), 1);
        assert_eq!(rows[1], row(2, &[("lr", f64::INFINITY)]));
    }

    #[test]
    fn made_up_names_do_not_become_columns_without_end() {
        let mut rows: Vec<Row> =
            (0..1_000).map(|i| row(i, &[(&format!("n{i}"), 1.0), ("loss", 2.0)])).collect();
        rows = there_and_back(rows);
        let names: BTreeSet<_> = rows.iter().flat_map(|row| row.values.keys().cloned()).collect();
        assert_eq!(names.len(), NAMES);
        assert!(names.contains("loss"));
    }

    #[test]
    fn a_broken_file_is_an_error() {
        assert!(matches!(decode(b"PAR1".to_vec()), Err(LedgerError::Malformed { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_metrics_come_back(
            rows in prop::collection::vec(
                (any::<u64>(), 0.0..1e6_f64, prop::collection::btree_map("[a-z_/]{1,8}", -1e300..1e300_f64, 0..5)),
                0..40,
            )
        ) {
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|(step, time, mut values)| {
                    values.retain(|name, _| !name.starts_with("step") && !name.starts_with("time"));
                    Row { step, time: Seconds(time), values }
                })
                .collect();
            prop_assert_eq!(there_and_back(rows.clone()), rows);
        }
    }
}
