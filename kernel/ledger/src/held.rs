//! Keeps commits that nothing refers to yet from `git gc`: candidates that wait for their run.

use git2::Oid;
use lab::CommitId;

use crate::{Ledger, LedgerError, advance::signature};

/// The one ref that holds them all: moved, and never deleted, so that no lock of `packed-refs` is ever taken.
const HELD: &str = "refs/overnight/held";

impl Ledger {
    /// Holds these commits, and only these, from now on. One that the repository does not have is passed over.
    ///
    /// They are parents of one commit on `refs/overnight/held`, which is written only where they change.
    ///
    /// # Errors
    /// Where the repository cannot be written.
    pub fn hold(&self, commits: &[CommitId]) -> Result<(), LedgerError> {
        let mut wanted: Vec<Oid> =
            commits.iter().filter_map(|id| self.commit(id).ok()).map(|commit| commit.id()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        self.move_ref(HELD, "overnight: hold", |now| {
            let held = now.and_then(|now| self.repo.find_commit(now).ok());
            if held.is_some_and(|held| held.parent_ids().eq(wanted.iter().copied())) {
                return Ok(now);
            }
            let parents: Vec<_> =
                wanted.iter().map(|oid| self.repo.find_commit(*oid)).collect::<Result<_, _>>()?;
            let empty = self.repo.treebuilder(None)?.write().map_err(|e| self.on_write(e))?;
            let us = signature()?;
            let message = "Candidates on their way\n\nHeld for the loop, so that `git gc` leaves them.\n";
            let tree = self.repo.find_tree(empty)?;
            let parents: Vec<_> = parents.iter().collect();
            let commit =
                self.repo.commit(None, &us, &us, message, &tree, &parents).map_err(|e| self.on_write(e))?;
            Ok(Some(commit))
        })
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Edit, testing::Lab};

    #[test]
    fn what_is_held_outlives_a_collection_and_what_is_not_does_not() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let candidate = |depth: u32| {
            let content = Some(format!("DEPTH = {depth}\n").into_bytes());
            let edit = Edit { path: "train.py".to_owned(), content };
            ledger.candidate(&ledger.head().unwrap(), &[edit], "deeper").unwrap()
        };
        let (one, two, three) = (candidate(9), candidate(10), candidate(11));
        ledger.hold(&[one.clone(), two.clone()]).unwrap();
        ledger.hold(&[two.clone(), one.clone(), CommitId::new("0".repeat(40))]).unwrap();
        lab.git("gc --quiet --prune=now");
        let there = |commit: &CommitId| lab.ledger().read(commit, "train.py").is_ok();
        assert!(there(&one) && there(&two) && !there(&three));
        ledger.hold(&[two.clone()]).unwrap();
        lab.git("gc --quiet --prune=now");
        assert!(!there(&one) && there(&two));
        assert_eq!(lab.git("log --format=%s refs/overnight/held -1"), "Candidates on their way\n");
    }
}
