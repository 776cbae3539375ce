//! Charts of any frame: two columns, a series for each value of a third.

use frames::{DataFrame, FramesError, numbers, words};
use view::chart::{Drawing, Kind, Part, Series};

use crate::failure::{ExitCode, Failure};

/// `sql --chart KIND X Y [COLOUR]`: a chart of two columns of a frame, a series for each value of a third.
pub(in crate::commands) fn columns(
    frame: &DataFrame,
    kind: &str,
    x: &str,
    y: &str,
    colour: Option<&str>,
) -> Result<view::chart::Chart, Failure> {
    let kind = match kind {
        "line" => Kind::Line,
        "steps" => Kind::Steps,
        "points" => Kind::Points,
        other => {
            return Err(Failure::new(format!("there is no chart `{other}`"))
                .hint("line, steps or points")
                .code(ExitCode::Usage));
        }
    };
    let layers = vec![part(frame, kind, x, y, colour)?];
    Ok(Drawing { title: String::new(), x: x.to_owned(), y: y.to_owned(), layers }.chart())
}

/// Two columns of a frame, a series for each value of a third.
pub(crate) fn part(
    frame: &DataFrame,
    kind: Kind,
    x: &str,
    y: &str,
    by: Option<&str>,
) -> Result<Part, FramesError> {
    let groups = by.map(|by| words(frame, by)).transpose()?;
    let mut series: Vec<Series> = Vec::new();
    for (row, (at_x, at_y)) in numbers(frame, x)?.into_iter().zip(numbers(frame, y)?).enumerate() {
        let (Some(at_x), Some(at_y)) = (at_x, at_y) else { continue };
        let name = groups.as_ref().map_or(y, |groups| groups[row].as_str());
        let known = series.iter().position(|one| one.name == name).unwrap_or_else(|| {
            series.push(Series { name: name.to_owned(), points: Vec::new() });
            series.len() - 1
        });
        series[known].points.push((at_x, at_y));
    }
    Ok(Part { kind, series })
}
