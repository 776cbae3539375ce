//! What Rust cells leave for this process to draw: frames, charts, diffs and errors.

use std::path::{Path, PathBuf};

use cells::Bundle;
use serde::Deserialize;
use serde_json::Value;
use view::chart::{Drawing, Kind};

use crate::commands::plot;
use crate::failure::Failure;

/// The beginning and the end of the MIME types that the prelude writes.
const OURS: (&str, &str) = ("application/vnd.overnight.", "+json");

/// A frame of which the rows to show lie in a file.
#[derive(Deserialize)]
struct Shown {
    path: PathBuf,
    rows: usize,
}

/// Columns of a frame to draw; the frame lies in a file.
#[derive(Deserialize)]
struct Plot {
    path: PathBuf,
    title: String,
    x: String,
    y: String,
    by: Option<String>,
    layers: Vec<Layer>,
}

/// Two columns.
#[derive(Deserialize)]
struct Layer {
    kind: Kind,
    x: String,
    y: String,
}

/// A difference, as git writes it.
#[derive(Deserialize)]
struct Diff {
    unified: String,
}

/// What went wrong with what was to be shown.
#[derive(Deserialize)]
struct Problem {
    message: String,
}

/// A value as clients can show it.
pub(super) fn drawn(bundle: Bundle) -> Bundle {
    let found = bundle.iter().find_map(|(mime, value)| {
        let kind = mime.strip_prefix(OURS.0)?.strip_suffix(OURS.1)?;
        draw(kind, value)
    });
    found.map_or(bundle, view::Bundle::into_map)
}

fn draw(kind: &str, value: &Value) -> Option<view::Bundle> {
    fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Option<T> {
        T::deserialize(value)
            .inspect_err(|error| tracing::warn!(%error, "cannot draw what a cell shows"))
            .ok()
    }
    Some(match kind {
        "frame" => {
            let shown: Shown = read(value)?;
            match taken(&shown.path) {
                Ok(ends) => view::excerpt(&ends, shown.rows),
                Err(error) => view::error(&format!("the frame cannot be shown: {error}"), None),
            }
        }
        "chart" => match chart(read(value)?) {
            Ok(drawing) => drawing.chart().bundle(),
            Err(failure) => view::error(&failure.message, failure.hint.as_deref()),
        },
        "diff" => match read::<Diff>(value)?.unified {
            same if same.is_empty() => view::plain("no difference"),
            unified => view::diff(&unified),
        },
        "error" => view::error(&read::<Problem>(value)?.message, None),
        _ => return None,
    })
}

/// The frame in a file, which goes.
fn taken(path: &Path) -> frames::PolarsResult<frames::DataFrame> {
    let frame = frames::read_arrow(path);
    let _ = std::fs::remove_file(path);
    frame
}

fn chart(plot: Plot) -> Result<Drawing, Failure> {
    let frame =
        taken(&plot.path).map_err(|error| Failure::new(format!("the frame cannot be drawn: {error}")))?;
    let by = plot.by.as_deref();
    let part = |layer: &Layer| plot::part(&frame, layer.kind, &layer.x, &layer.y, by);
    let layers = plot.layers.iter().map(part).collect::<Result<_, _>>()?;
    Ok(Drawing { title: plot.title, x: plot.x, y: plot.y, layers })
}
