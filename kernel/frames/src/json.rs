//! Frames and experiments as JSON, for scripts and agents (schema 1).

use lab::{Direction, Experiment, Tag};
use polars::prelude::{AnyValue, DataFrame};
use serde_json::{Map, Value, json};

/// What `experiments --json` prints: every field of every record, in the order of numbers.
///
/// `lab` is the lab's name or path as people know it, `metric` its name, direction and unit.
pub fn experiments_json(
    lab: &str,
    tag: &Tag,
    metric: (&str, Direction, Option<&str>),
    experiments: &[&Experiment],
) -> Value {
    let (name, direction, unit) = metric;
    let rows: Vec<Value> = experiments.iter().map(|e| serde_json::to_value(e).unwrap_or_default()).collect();
    json!({
        "schema": lab::SCHEMA,
        "lab": lab,
        "tag": tag,
        "metric": {"name": name, "direction": direction, "unit": unit},
        "experiments": rows,
    })
}

/// What `metrics N --json` prints: `{"schema": 1, "columns": {"step": […], "loss": […]}}`.
///
/// `experiment` and `run` are left out where every row has the same. What JSON cannot hold is null.
pub fn metrics_json(frame: &DataFrame) -> Value {
    let mut columns = Map::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        let values: Vec<Value> =
            (0..frame.height()).map(|row| column.get(row).map_or(Value::Null, |v| scalar(&v))).collect();
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        if !(same && ["experiment", "run"].contains(&name)) {
            columns.insert(name.to_owned(), Value::Array(values));
        }
    }
    json!({"schema": lab::SCHEMA, "columns": columns})
}

/// Any frame as a list of rows, each an object: what a query answers to a script.
pub fn rows_json(frame: &DataFrame) -> Value {
    let row = |i: usize| {
        let cell =
            |column: &polars::prelude::Column| column.get(i).map_or(Value::Null, |value| scalar(&value));
        frame.columns().iter().map(|column| (column.name().to_string(), cell(column))).collect::<Map<_, _>>()
    };
    (0..frame.height()).map(|i| Value::Object(row(i))).collect()
}

fn scalar(value: &AnyValue) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => json!(value),
        AnyValue::Int64(value) => json!(value),
        AnyValue::Int32(value) => json!(value),
        AnyValue::UInt64(value) => json!(value),
        AnyValue::UInt32(value) => json!(value),
        AnyValue::Float64(value) => json!(value),
        AnyValue::Float32(value) => json!(value),
        AnyValue::String(value) => json!(value),
        AnyValue::StringOwned(value) => json!(value.as_str()),
        value => json!(value.to_string()),
    }
}
