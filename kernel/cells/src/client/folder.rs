//! The worker's folder: evcxr's crate and target folder, and the named pipe.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::CellsError;
use crate::prelude::Prelude;

const OWNER: &str = "owner.lock";

/// A folder that is deleted with its owner, or where the owner was killed, by the next one that makes a folder
/// beside it.
pub struct OwnedFolder {
    folder: TempDir,
    /// Locked as long as we live.
    _owner: File,
}

impl OwnedFolder {
    /// Makes a folder in `parent` whose name begins with `prefix`, and deletes those that dead owners have left.
    pub fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        let parent = std::path::absolute(parent)?;
        fs::create_dir_all(&parent)?;
        sweep(&parent, prefix);
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(&parent)?;
        // Locked before it has its name, so that nobody can take it for a dead owner's.
        let unnamed = folder.path().join("owner.new");
        let owner = File::create(&unnamed)?;
        owner.lock()?;
        fs::rename(&unnamed, folder.path().join(OWNER))?;
        Ok(Self { folder, _owner: owner })
    }

    /// Where it is; absolute.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn sweep(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix);
        let dead =
            is_ours && File::open(entry.path().join(OWNER)).is_ok_and(|owner| owner.try_lock().is_ok());
        if dead && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(folder = %entry.path().display(), %error, "a dead owner's folder stays");
        }
    }
}

pub(super) struct Folder {
    folder: OwnedFolder,
    /// The prelude stays as long as we do.
    _prelude: Option<File>,
}

impl Folder {
    /// Makes a folder in `parent`, with the prelude in it.
    pub(super) fn create(parent: &Path, prelude: Option<&Prelude>) -> Result<Self, CellsError> {
        let failed = |source| CellsError::Folder { path: parent.to_owned(), source };
        let held = prelude.map(Prelude::hold).transpose().map_err(failed)?;
        let folder = OwnedFolder::create(parent, "cells-").map_err(failed)?;
        let folder = Self { folder, _prelude: held };
        let evcxr = folder.evcxr();
        fs::create_dir(&evcxr).map_err(failed)?;
        if let Some(prelude) = prelude {
            prelude.seed(&evcxr).map_err(failed)?;
        }
        Ok(folder)
    }

    /// For `EVCXR_TMPDIR`, which evcxr wants to be absolute.
    pub(super) fn evcxr(&self) -> PathBuf {
        self.folder.path().join("evcxr")
    }

    /// The named pipe.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.path().join("output.fifo")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_living_keep_their_folders_and_the_dead_do_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Folder::create(parent.path(), None).unwrap();
        let dead = parent.path().join("cells-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(OWNER), "").unwrap();
        let other = parent.path().join("cells-unknown");
        fs::create_dir(&other).unwrap();

        let second = Folder::create(parent.path(), None).unwrap();
        assert!(living.evcxr().is_dir() && second.evcxr().is_dir() && other.is_dir());
        assert!(!dead.exists());
        let path = second.evcxr();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::create(parent.path(), None).map(drop).unwrap_err();
        assert!(error.to_string().contains(&parent.path().display().to_string()));
    }
}
