//! Branches that a person asks for.

use lab::CommitId;

use crate::{Ledger, LedgerError};

impl Ledger {
    /// Makes the branch `name` at a commit; one that is there already is an error.
    pub fn branch(&self, name: &str, commit: &CommitId) -> Result<(), LedgerError> {
        self.repo.branch(name, &self.commit(commit)?, false)?;
        Ok(())
    }
}
