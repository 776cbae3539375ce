//! Text for a machine that has nothing but Rust: the doc comments and Markdown of crates that cargo has
//! unpacked anyway, or a folder of the researcher's.

mod folder;
mod registry;
mod text;

use std::path::{Path, PathBuf};

use crate::error::PrepareError;
use crate::manifest::Source;

/// Where to take text from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The crates of this crate's own list, from `cargo_home` (usually `~/.cargo`).
    Registry {
        /// Cargo's folder.
        cargo_home: PathBuf,
    },
    /// Every `.md`, `.txt` and `.rs` file in a folder.
    Folder(PathBuf),
}

/// Text, cut into pieces of a few kilobytes; no paragraph of any length occurs twice.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The pieces in a fixed order.
    pub pieces: Vec<String>,
    /// Bytes of text before repeated paragraphs were dropped.
    pub bytes_read: usize,
}

impl Origin {
    /// Identifies the text without reading all of it where that is possible.
    pub fn source(&self) -> Result<Source, PrepareError> {
        match self {
            Self::Registry { .. } => Ok(Source::Registry { crates: registry::locked()? }),
            Self::Folder(path) => folder::source(path),
        }
    }

    /// Reads the text.
    pub fn read(&self) -> Result<Corpus, PrepareError> {
        let documents = match self {
            Self::Registry { cargo_home } => registry::documents(cargo_home, &registry::locked()?)?,
            Self::Folder(path) => folder::documents(path)?,
        };
        Ok(text::pieces(&documents))
    }
}

/// The files under `folder` whose names `wanted` accepts, sorted by path; links are not followed.
fn files(
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    enter: &dyn Fn(&str) -> bool,
) -> Result<Vec<PathBuf>, PrepareError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(PrepareError::read(&folder))? {
            let entry = entry.map_err(PrepareError::read(&folder))?;
            let kind = entry.file_type().map_err(PrepareError::read(&folder))?;
            if kind.is_dir() && enter(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() && wanted(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| extensions.contains(&extension))
}
