//! A lab's inputs: untracked paths that a run needs, linked into every tree and fingerprinted.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use lab::Lab;
use sha2::{Digest, Sha256};

use super::exists;
use crate::RunnerError;

/// How many files of an input are looked at; a data set of a million files is known by its first ones.
const FILES: usize = 10_000;

/// A fingerprint of each input by path: of the names, sizes and times of its files, not of their
/// content, which would take minutes for a data set. An input that is not there has none.
pub fn fingerprints(root: &Path, lab: &Lab) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for input in &lab.inputs {
        let path = root.join(input);
        if exists(&path) {
            let mut hash = Sha256::new();
            let mut left = FILES;
            add(&path, &path, &mut hash, &mut left);
            found.insert(input.clone(), hex::encode(&hash.finalize()[..8]));
        }
    }
    found
}

fn add(top: &Path, path: &Path, hash: &mut Sha256, left: &mut usize) {
    let Ok(file) = std::fs::metadata(path) else { return };
    if file.is_dir() {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            // A link inside a folder could lead round in a circle.
            if *left == 0 || (entry.is_symlink() && entry.is_dir()) {
                continue;
            }
            add(top, &entry, hash, left);
        }
    } else {
        *left = left.saturating_sub(1);
        hash.update(path.strip_prefix(top).unwrap_or(path).as_os_str().as_bytes());
        hash.update([0]);
        hash.update(file.len().to_le_bytes());
        hash.update(file.mtime().to_le_bytes());
        hash.update(file.mtime_nsec().to_le_bytes());
    }
}

/// The first input that is not there.
pub fn missing<'a>(root: &Path, lab: &'a Lab) -> Option<&'a str> {
    lab.inputs.iter().map(String::as_str).find(|input| !root.join(input).exists())
}

/// Links every input of the researcher's checkout into a tree.
///
/// # Errors
/// [`RunnerError::MissingInput`], and where a link cannot be made.
pub fn link(root: &Path, tree: &Path, lab: &Lab) -> Result<(), RunnerError> {
    for input in &lab.inputs {
        let name = input.trim_end_matches('/');
        let source = root.join(name);
        if !source.exists() {
            return Err(RunnerError::MissingInput {
                input: input.clone(),
                root: root.to_owned(),
                setup: lab.setup.is_some(),
            });
        }
        link_one(&source, &tree.join(name))?;
    }
    Ok(())
}

fn link_one(source: &Path, target: &Path) -> Result<(), RunnerError> {
    if let Ok(there) = target.read_link() {
        if there == source {
            return Ok(());
        }
        std::fs::remove_file(target).map_err(RunnerError::io("replace", target))?;
    } else if target.is_dir() && source.is_dir() {
        // The folder holds tracked files too: link what stands beside them.
        for entry in std::fs::read_dir(source).map_err(RunnerError::io("read", source))?.flatten() {
            let target = target.join(entry.file_name());
            if !exists(&target) || target.is_symlink() || target.is_dir() {
                link_one(&entry.path(), &target)?;
            }
        }
        return Ok(());
    } else if exists(target) {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(RunnerError::io("create", folder))?;
    }
    symlink(source, target).map_err(RunnerError::io("link", target))
}
