//! Columns with types of their own, and names that do not clash.

use std::collections::BTreeSet;

use jiff::Timestamp;
use polars::prelude::{Column, DataType, PolarsResult, TimeUnit};

/// `name`, with as many `_` after it as make it free; it is taken from now on.
pub(crate) fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.to_owned();
    while !taken.insert(free.clone()) {
        free.push('_');
    }
    free
}

/// Text that may be missing.
pub(crate) fn text<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<Option<&str>>>())
}

/// A number that may be missing.
pub(crate) fn float(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<Option<f64>>>())
}

/// A whole number that may be missing; signed, so that differences in SQL do not wrap.
pub(crate) fn whole(name: &str, values: impl Iterator<Item = Option<u64>>) -> Column {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Column::new(name.into(), values.map(|value| value.map(signed)).collect::<Vec<Option<i64>>>())
}

/// Yes or no.
pub(crate) fn flag(name: &str, values: impl Iterator<Item = bool>) -> Column {
    Column::new(name.into(), values.collect::<Vec<bool>>())
}

/// A time, in UTC, to the microsecond.
pub(crate) fn time(name: &str, values: impl Iterator<Item = Timestamp>) -> PolarsResult<Column> {
    let micros = values.map(Timestamp::as_microsecond).collect::<Vec<i64>>();
    Column::new(name.into(), micros).cast(&DataType::Datetime(TimeUnit::Microseconds, None))
}
