//! A folder of the researcher's own text.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{files, has_extension};
use crate::error::PrepareError;
use crate::manifest::Source;

const PROSE: [&str; 3] = ["md", "txt", "rs"];

/// Names and contents, hashed.
pub(super) fn source(folder: &Path) -> Result<Source, PrepareError> {
    let mut hash = Sha256::new();
    for path in listed(folder, &["md", "txt", "rs", "parquet"])? {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        let length = std::fs::metadata(&path).map_err(PrepareError::read(&path))?.len();
        hash.update(name.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(length.to_le_bytes());
        add_file(&mut hash, &path)?;
    }
    Ok(Source::Folder { path: folder.display().to_string(), sha256: hex::encode(hash.finalize()) })
}

/// The SHA-256 of a file, which may be larger than the memory.
pub(crate) fn sha256_of(path: &Path) -> Result<String, PrepareError> {
    let mut hash = Sha256::new();
    add_file(&mut hash, path)?;
    Ok(hex::encode(hash.finalize()))
}

/// One document for each file of prose.
pub(super) fn documents(folder: &Path) -> Result<Vec<String>, PrepareError> {
    listed(folder, &PROSE)?
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).map_err(PrepareError::read(path))?;
            Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
        })
        .collect()
}

/// The Parquet files.
pub(super) fn parquet(folder: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    listed(folder, &["parquet"])
}

fn add_file(hash: &mut Sha256, path: &Path) -> Result<(), PrepareError> {
    let file = File::open(path).map_err(PrepareError::read(path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    loop {
        let bytes = reader.fill_buf().map_err(PrepareError::read(path))?;
        if bytes.is_empty() {
            return Ok(());
        }
        hash.update(bytes);
        let length = bytes.len();
        reader.consume(length);
    }
}

fn listed(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, PrepareError> {
    files(folder, &|path| has_extension(path, extensions), &|name| !name.starts_with('.') && name != "target")
}
