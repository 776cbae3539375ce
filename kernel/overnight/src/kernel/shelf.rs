//! The frames that SQL and Rust cells of one kernel share by name: Arrow files in a folder of its own.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::session;

/// The folder; it goes with the kernel, and where the kernel was killed, with the next one.
pub(super) struct Shelf {
    folder: cells::OwnedFolder,
}

impl Shelf {
    /// An empty one for cells that are about the lab that holds `lab`.
    pub(super) fn new(lab: &Path) -> Result<Self, Failure> {
        let parent = session::cache_home()?.join("frames");
        let folder = cells::OwnedFolder::create(&parent, "kernel-")
            .map_err(|error| Failure::io("make a folder in", &parent, &error))?;
        let shelf = Self { folder };
        shelf.is_about(lab)?;
        Ok(shelf)
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells Rust cells, which ask for their frames by themselves, which lab they are about from now on.
    pub(super) fn is_about(&self, lab: &Path) -> Result<(), Failure> {
        let path: PathBuf = self.folder().join(".lab");
        std::fs::write(&path, lab.as_os_str().as_encoded_bytes())
            .map_err(|error| Failure::io("write", &path, &error))
    }
}
