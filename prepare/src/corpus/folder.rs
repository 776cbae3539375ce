//! A folder of the researcher's own text.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{files, has_extension};
use crate::error::PrepareError;
use crate::manifest::Source;

/// Names and contents, hashed.
pub(super) fn source(folder: &Path) -> Result<Source, PrepareError> {
    let mut hash = Sha256::new();
    for path in listed(folder)? {
        let bytes = std::fs::read(&path).map_err(PrepareError::read(&path))?;
        let name = path.strip_prefix(folder).unwrap_or(&path);
        hash.update(name.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(Source::Folder { path: folder.display().to_string(), sha256: hex::encode(hash.finalize()) })
}

/// One document for each file.
pub(super) fn documents(folder: &Path) -> Result<Vec<String>, PrepareError> {
    listed(folder)?
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).map_err(PrepareError::read(path))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    files(folder, &|path| has_extension(path, &["md", "txt", "rs"]), &|name| {
        !name.starts_with('.') && name != "target"
    })
}
