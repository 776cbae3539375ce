//! The values of a frame's column, for what draws them.

use polars::prelude::{Column, DataFrame, DataType, PolarsError};

use crate::{FramesError, metrics::KEYS};

/// A column as numbers, dates as their count of units; `None` where there is none, or no finite one.
pub fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>, FramesError> {
    let cast = column(frame, name)?.cast(&DataType::Float64).map_err(unfit(name))?;
    let values = cast.f64().map_err(unfit(name))?;
    Ok(values.iter().map(|value| value.filter(|value| value.is_finite())).collect())
}

/// A metric of runs over their steps: the one that is `wanted`, else the one that people look at first. Gives its name
/// and its points, of which there are none where no run has it.
///
/// A value that is not a number stays one, and between two runs stands a point that is none: what draws them is
/// interrupted there.
pub fn curve(frame: &DataFrame, wanted: Option<&str>) -> Result<(String, Vec<(f64, f64)>), FramesError> {
    let name = wanted.unwrap_or_else(|| shown(frame)).to_owned();
    if frame.column(&name).is_err() {
        return Ok((name, Vec::new()));
    }
    let values = column(frame, &name)?.cast(&DataType::Float64).map_err(unfit(&name))?;
    let values = values.f64().map_err(unfit(&name))?;
    let runs = numbers(frame, "run")?;
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut before = None;
    for ((step, run), value) in numbers(frame, "step")?.into_iter().zip(runs).zip(values.iter()) {
        let Some((step, value)) = step.zip(value) else { continue };
        if before.is_some_and(|before| before != run) {
            points.push((f64::NAN, f64::NAN));
        }
        before = Some(run);
        points.push((step, value));
    }
    Ok((name, points))
}

/// Names that a loss goes by, the one that people look at first at the beginning.
const LOSSES: [&str; 5] = ["loss", "train_loss", "train/loss", "val_loss", "val/loss"];
/// How the names of what a machine says of itself begin: no metric of the work.
const TELEMETRY: [&str; 7] = ["gpu", "cpu", "mem", "ram", "power", "temp", "disk"];

/// The metric that is drawn where none is named: a loss, else the one with the most values; what only tells of time and
/// machine comes last.
fn shown(frame: &DataFrame) -> &str {
    let metrics = || frame.columns().iter().filter(|column| !KEYS.contains(&column.name().as_str()));
    let has = |name: &&str| metrics().any(|column| column.name() == name);
    let aside = |name: &str| {
        let name = name.to_lowercase();
        let first = name.split(['_', '/', '.']).next().unwrap_or_default();
        TELEMETRY.contains(&first) || ["dt", "lr", "lrm", "mfu", "epoch", "tok/sec"].contains(&name.as_str())
    };
    let most = metrics().min_by_key(|column| (aside(column.name()), column.null_count()));
    LOSSES.into_iter().find(has).or(most.map(|column| column.name().as_str())).unwrap_or("loss")
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn frame(columns: Vec<(&str, Vec<Option<f64>>)>) -> DataFrame {
        let height = columns[0].1.len();
        let columns = columns.into_iter().map(|(name, values)| Column::new(name.into(), values)).collect();
        DataFrame::new(height, columns).unwrap()
    }

    #[test]
    fn a_curve_is_interrupted_by_what_is_no_number_and_between_runs() {
        let some = |values: [f64; 5]| values.map(Some).to_vec();
        let loss = vec![Some(3.0), Some(f64::NAN), None, Some(2.5), Some(2.0)];
        let frame = frame(vec![
            ("experiment", some([1.0; 5])),
            ("run", some([0.0, 0.0, 0.0, 1.0, 1.0])),
            ("step", some([0.0, 1.0, 2.0, 0.0, 1.0])),
            ("time", some([0.0; 5])),
            ("loss", loss),
        ]);
        let (name, points) = curve(&frame, None).unwrap();
        let told: Vec<String> = points.iter().map(|(x, y)| format!("{x} {y}")).collect();
        assert_eq!((name.as_str(), told.join(", ").as_str()), ("loss", "0 3, 1 NaN, NaN NaN, 0 2.5, 1 2"));
        assert!(curve(&frame, Some("nothing")).unwrap().1.is_empty());
    }

    #[test]
    fn what_a_machine_says_of_itself_is_drawn_last() {
        let one = || vec![Some(1.0)];
        let keys = || KEYS.map(|key| (key, one())).to_vec();
        let with = |more: &[(&'static str, Option<f64>)]| {
            let more = more.iter().map(|(name, value)| (*name, vec![*value]));
            shown(&frame(keys().into_iter().chain(more).collect())).to_owned()
        };
        assert_eq!(with(&[("gpu_util", Some(1.0)), ("accuracy", None)]), "accuracy");
        assert_eq!(with(&[("accuracy", Some(1.0)), ("train_loss", None)]), "train_loss");
        assert_eq!(with(&[("gpu_util", Some(1.0))]), "gpu_util");
        assert_eq!(with(&[]), "loss");
    }
}
