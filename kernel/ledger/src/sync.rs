//! Brings what was written to the disk, for the end of a batch.

use crate::{Ledger, LedgerError};

impl Ledger {
    /// Waits until everything that was appended is on the disk.
    ///
    /// Appends do not wait (73 ms instead of 25): after a power failure the journal repeats what the
    /// disk had not taken. Call it where the journal is about to forget.
    #[cfg(target_os = "linux")]
    pub fn sync(&self) -> Result<(), LedgerError> {
        let folder = self.state_dir();
        let synced = std::fs::File::open(folder).and_then(|file| Ok(nix::unistd::syncfs(file)?));
        synced.map_err(|e| crate::error::on_file(e, folder))
    }

    /// Waits until everything that was appended is on the disk.
    #[cfg(not(target_os = "linux"))]
    pub fn sync(&self) -> Result<(), LedgerError> {
        nix::unistd::sync();
        Ok(())
    }
}
