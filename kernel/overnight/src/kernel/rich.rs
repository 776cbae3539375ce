//! What Rust cells leave for this process to draw: frames, charts, diffs and errors.

use std::path::PathBuf;

use cells::Bundle;
use serde::Deserialize;
use serde_json::Value;
use view::chart::Drawing;

/// The beginning and the end of the MIME types that the prelude writes.
const OURS: (&str, &str) = ("application/vnd.overnight.", "+json");

/// A frame of which the rows to show lie in a file.
#[derive(Deserialize)]
struct Shown {
    path: PathBuf,
    rows: usize,
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
            let ends = frames::read_arrow(&shown.path);
            let _ = std::fs::remove_file(&shown.path);
            match ends {
                Ok(ends) => view::excerpt(&ends, shown.rows),
                Err(error) => view::error(&format!("the frame cannot be shown: {error}"), None),
            }
        }
        "chart" => read::<Drawing>(value)?.chart().bundle(),
        "diff" => match read::<Diff>(value)?.unified {
            same if same.is_empty() => view::plain("no difference"),
            unified => view::diff(&unified),
        },
        "error" => view::error(&read::<Problem>(value)?.message, None),
        _ => return None,
    })
}
