//! Frames that a person has given names: Arrow files in one folder, shared with Rust cells.

use std::{
    fs,
    path::{Path, PathBuf},
};

use polars::prelude::DataFrame;

use crate::{Format, FramesError, TABLES};

/// The names and the files.
pub(crate) fn list(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_suffix(".arrow")?.to_owned();
        is_name(&name).then(|| (name, entry.path()))
    });
    let mut named: Vec<_> = named.collect();
    named.sort();
    named
}

pub(crate) fn save(folder: &Path, name: &str, frame: &DataFrame) -> Result<(), FramesError> {
    if !is_name(name) || TABLES.contains(&name) {
        return Err(FramesError::Name { name: name.to_owned() });
    }
    Format::Arrow.write(frame, &folder.join(format!("{name}.arrow")))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
