//! The worker's folder: evcxr's crate and target folder, and the named pipe.
//!
//! It is deleted with its owner. Where the owner was killed, the next one deletes it: each folder
//! holds a file that its owner keeps locked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::CellsError;

const PREFIX: &str = "cells-";
const OWNER: &str = "owner.lock";

pub(super) struct Folder {
    folder: TempDir,
    /// Locked as long as we live.
    _owner: File,
}

impl Folder {
    /// Makes a folder in `parent`, and deletes there what dead owners have left.
    pub(super) fn create(parent: &Path) -> Result<Self, CellsError> {
        let failed = |source| CellsError::Folder { path: parent.to_owned(), source };
        // evcxr insists on an absolute path.
        let parent = std::path::absolute(parent).map_err(failed)?;
        fs::create_dir_all(&parent).map_err(failed)?;
        sweep(&parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(failed)?;
        fs::create_dir(folder.path().join("evcxr")).map_err(failed)?;
        // Locked before it has its name, so that nobody can take it for a dead owner's.
        let unnamed = folder.path().join("owner.new");
        let owner = File::create(&unnamed).map_err(failed)?;
        owner.lock().map_err(failed)?;
        fs::rename(&unnamed, folder.path().join(OWNER)).map_err(failed)?;
        Ok(Self { folder, _owner: owner })
    }

    /// For `EVCXR_TMPDIR`.
    pub(super) fn evcxr(&self) -> PathBuf {
        self.folder.path().join("evcxr")
    }

    /// The named pipe.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("output.fifo")
    }
}

fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let dead =
            is_ours && File::open(entry.path().join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok());
        if dead && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(folder = %entry.path().display(), %error, "a dead worker's folder stays");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_living_keep_their_folders_and_the_dead_do_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Folder::create(parent.path()).unwrap();
        let dead = parent.path().join("cells-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(OWNER), "").unwrap();
        let other = parent.path().join("cells-unknown");
        fs::create_dir(&other).unwrap();

        let second = Folder::create(parent.path()).unwrap();
        assert!(living.evcxr().is_dir() && second.evcxr().is_dir() && other.is_dir());
        assert!(!dead.exists());
        let path = second.evcxr();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::create(parent.path()).map(drop).unwrap_err();
        assert!(error.to_string().contains(&parent.path().display().to_string()));
    }
}
