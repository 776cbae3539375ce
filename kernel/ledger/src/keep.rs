//! Keeps a candidate: the best, and the branch that follows it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use git2::Oid;
use lab::{CommitId, Tag};

use crate::{
    Ledger, LedgerError,
    open::commit_id,
    refs::{best_ref, branch_ref},
};

/// What became of the branch `autoresearch/<tag>` at a keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchMoved {
    /// It is at the candidate.
    Moved,
    /// A worktree has it checked out, and would be dirty if it moved.
    CheckedOut {
        /// The branch.
        branch: String,
        /// The worktree.
        worktree: PathBuf,
    },
    /// Somebody moved it to a commit that the candidate does not build on.
    Diverged {
        /// The branch.
        branch: String,
        /// Where it is.
        at: CommitId,
    },
    /// Git refused.
    Refused {
        /// The branch.
        branch: String,
        /// Why.
        reason: String,
    },
}

impl BranchMoved {
    /// Whether the branch is at the candidate.
    pub fn moved(&self) -> bool {
        *self == Self::Moved
    }
}

impl fmt::Display for BranchMoved {
    /// What happened and how to catch up, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("the branch is at the best candidate"),
            Self::CheckedOut { branch, worktree } => write!(
                f,
                "`{branch}` is checked out in {path} and was not moved; to catch up: git -C {path} merge --ff-only {best}",
                path = worktree.display(),
                best = best_of(branch),
            ),
            Self::Diverged { branch, at } => write!(
                f,
                "`{branch}` is at {}, which the best candidate does not build on, and was not moved; to move it: git branch -f {branch} {}",
                at.short(),
                best_of(branch),
            ),
            Self::Refused { branch, reason } => write!(f, "`{branch}` was not moved: {reason}"),
        }
    }
}

/// The ref of the best candidate, for the branch that follows it.
fn best_of(branch: &str) -> String {
    branch.replacen("autoresearch/", "refs/overnight/best/", 1)
}

impl Ledger {
    /// Makes `candidate` the best of `tag`, and moves the branch `autoresearch/<tag>` along if nobody
    /// has it checked out or moved it elsewhere.
    pub fn keep(&self, tag: &Tag, candidate: &CommitId) -> Result<BranchMoved, LedgerError> {
        let new = self.commit(candidate)?.id();
        // The branch first: by where the best is, it is known whether the branch is where we left it, also after
        // a crash between the two.
        let before = self.target(&best_ref(tag))?;
        let branch = self.move_branch(tag, before, new)?;
        self.move_ref(&best_ref(tag), "overnight: keep", |_| Ok(Some(new)))?;
        Ok(branch)
    }

    fn move_branch(&self, tag: &Tag, before: Option<Oid>, new: Oid) -> Result<BranchMoved, LedgerError> {
        let name = branch_ref(tag);
        let branch = name.trim_start_matches("refs/heads/").to_owned();
        if self.target(&name)? == Some(new) {
            return Ok(BranchMoved::Moved);
        }
        if let Some(worktree) = self.checked_out(&name) {
            return Ok(BranchMoved::CheckedOut { branch, worktree });
        }
        let mut diverged = None;
        let moved = self.move_ref(&name, "overnight: keep", |now| {
            diverged = now.filter(|now| !self.may_leave(*now, before, new));
            Ok(diverged.is_none().then_some(new))
        });
        Ok(match (moved, diverged) {
            (Ok(_), None) => BranchMoved::Moved,
            (Ok(_), Some(at)) => BranchMoved::Diverged { branch, at: commit_id(at) },
            (Err(e), _) => BranchMoved::Refused { branch, reason: e.to_string() },
        })
    }

    /// Whether `candidate` is the best of `tag`, and the branch is at it too.
    ///
    /// Not so where a process was killed between the two, somebody deleted one of them, or the branch is checked out.
    pub fn is_kept(&self, tag: &Tag, candidate: &CommitId) -> Result<bool, LedgerError> {
        let at =
            |name: &str| Ok::<_, LedgerError>(self.target(name)?.map(commit_id).as_ref() == Some(candidate));
        Ok(at(&best_ref(tag))? && at(&branch_ref(tag))?)
    }

    /// Whether the branch may go from `now` to `new`: nobody moved it from where the last keep left it,
    /// or `new` builds on it.
    fn may_leave(&self, now: Oid, before: Option<Oid>, new: Oid) -> bool {
        before == Some(now) || now == new || self.repo.graph_descendant_of(new, now).unwrap_or(false)
    }

    /// The worktree that has a branch checked out, or is in the middle of rebasing it.
    pub(crate) fn checked_out(&self, branch: &str) -> Option<PathBuf> {
        let common = self.repo.commondir();
        let main = common.parent().map_or_else(|| common.to_owned(), Path::to_owned);
        let linked = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten().map(|entry| {
            let folder = entry.path();
            let git_file = fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
            let worktree = Path::new(git_file.trim_end()).parent().map(Path::to_owned).unwrap_or_default();
            (folder, worktree)
        });
        std::iter::once((common.to_owned(), main))
            .chain(linked)
            .find(|(git_dir, _)| {
                let is = |file: &str, prefix: &str| {
                    let text = fs::read_to_string(git_dir.join(file)).unwrap_or_default();
                    text.trim_end().strip_prefix(prefix) == Some(branch)
                };
                is("HEAD", "ref: ") || is("rebase-merge/head-name", "") || is("rebase-apply/head-name", "")
            })
            .map(|(_, worktree)| worktree)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Edit, testing::Lab};

    fn candidate(ledger: &Ledger, parent: &CommitId, depth: u32) -> CommitId {
        let edit =
            Edit { path: "train.py".to_owned(), content: Some(format!("DEPTH = {depth}\n").into_bytes()) };
        ledger.candidate(parent, &[edit], &format!("depth {depth}")).unwrap()
    }

    #[test]
    fn best_and_branch_follow_the_keeps() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::new("mar5"));
        let before = lab.state();
        assert_eq!(ledger.best(&tag).unwrap(), None);
        let mut parent = ledger.head().unwrap();
        for depth in 9..12 {
            parent = candidate(&ledger, &parent, depth);
            assert!(ledger.keep(&tag, &parent).unwrap().moved());
            assert_eq!(ledger.best(&tag).unwrap().as_ref(), Some(&parent));
            assert_eq!(lab.git("rev-parse autoresearch/mar5").trim(), parent.as_str());
        }
        assert!(ledger.keep(&tag, &parent).unwrap().moved());
        assert_eq!(lab.git("log --format=%s autoresearch/mar5"), "depth 11\ndepth 10\ndepth 9\nstart\n");
        assert_eq!(lab.state(), before);
    }

    #[test]
    fn a_new_epoch_may_begin_on_another_line() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::new("mar5"));
        ledger.keep(&tag, &candidate(&ledger, &ledger.head().unwrap(), 9)).unwrap();
        lab.git("commit -q --allow-empty -m changed");
        let baseline = ledger.head().unwrap();
        assert!(ledger.keep(&tag, &baseline).unwrap().moved());
        assert_eq!(lab.git("rev-parse autoresearch/mar5").trim(), baseline.as_str());
    }

    #[test]
    fn a_branch_that_is_checked_out_is_not_moved() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::new("mar5"));
        let one = candidate(&ledger, &ledger.head().unwrap(), 9);
        ledger.keep(&tag, &one).unwrap();
        let two = candidate(&ledger, &one, 10);

        lab.git("checkout -q autoresearch/mar5");
        let before = lab.state();
        let told = ledger.keep(&tag, &two).unwrap();
        assert_eq!(lab.state(), before);
        assert!(
            matches!(&told, BranchMoved::CheckedOut { worktree, .. } if *worktree == ledger.root()),
            "{told:?}"
        );
        let command = told.to_string().split("git ").last().unwrap().to_owned();
        lab.git(&command);
        assert_eq!(lab.git("rev-parse autoresearch/mar5").trim(), two.as_str());

        lab.git("checkout -q main");
        let linked = lab.beside("linked");
        lab.git(&format!("worktree add -q {} autoresearch/mar5", linked.display()));
        let told = ledger.keep(&tag, &candidate(&ledger, &two, 11)).unwrap();
        let resolved = std::fs::canonicalize(&linked).unwrap();
        assert!(
            matches!(&told, BranchMoved::CheckedOut { worktree, .. } if *worktree == resolved),
            "{told:?}"
        );
    }

    #[test]
    fn a_branch_that_a_person_moved_is_left_where_it_is() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::new("mar5"));
        let start = ledger.head().unwrap();
        let one = candidate(&ledger, &start, 9);
        ledger.keep(&tag, &one).unwrap();
        let other = candidate(&ledger, &start, 20);
        lab.git(&format!("branch -f autoresearch/mar5 {other}"));
        let told = ledger.keep(&tag, &candidate(&ledger, &one, 10)).unwrap();
        assert_eq!(told, BranchMoved::Diverged { branch: "autoresearch/mar5".to_owned(), at: other.clone() });
        assert_eq!(lab.git("rev-parse autoresearch/mar5").trim(), other.as_str());
    }

    #[test]
    fn a_branch_that_cannot_be_is_told() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        lab.git("branch autoresearch");
        let told = ledger.keep(&Tag::new("mar5"), &candidate(&ledger, &ledger.head().unwrap(), 9)).unwrap();
        assert!(matches!(told, BranchMoved::Refused { .. }), "{told:?}");
        assert!(ledger.best(&Tag::new("mar5")).unwrap().is_some());
    }
}
