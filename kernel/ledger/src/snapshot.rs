//! The researcher's checkout as a commit, uncommitted changes included, made beside the index.

use std::{collections::BTreeMap, fs};

use git2::{Oid, Tree};
use lab::CommitId;

use crate::{
    Ledger, LedgerError,
    advance::signature_at,
    candidate::SUBMODULE,
    error::on_file,
    open::commit_id,
    tree::{Leaf, each_file},
};

/// The researcher's checkout as a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// HEAD, or a commit on HEAD that has the uncommitted changes of tracked files.
    pub commit: CommitId,
    /// Whether there were any.
    pub dirty: bool,
}

impl Ledger {
    /// The researcher's checkout as a commit: HEAD, or HEAD with the tracked files as they are now.
    ///
    /// Index, working tree, HEAD and stash are not written: git works on a copy of the index. What is
    /// untracked is left out; submodules stay as in HEAD. The same checkout gives the same commit.
    pub fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        self.wait_for_collection();
        let head = self.repo.head()?.peel_to_commit()?;
        let clean = Snapshot { commit: commit_id(head.id()), dirty: false };
        let Some(tree) = self.tracked_tree()? else { return Ok(clean) };
        let committed = head.tree()?;
        let tree = self.with_submodules_of(&committed, self.repo.find_tree(tree)?)?;
        if tree.id() == committed.id() {
            return Ok(clean);
        }
        let us = signature_at(&head)?;
        let message =
            "Uncommitted changes\n\nThe tracked files of the checkout when the baseline was made.\n";
        let commit =
            self.repo.commit(None, &us, &us, message, &tree, &[&head]).map_err(|e| self.on_write(e))?;
        Ok(Snapshot { commit: commit_id(commit), dirty: true })
    }

    /// The tree that `git add -u` and `git write-tree` make, on a copy of the index.
    fn tracked_tree(&self) -> Result<Option<Oid>, LedgerError> {
        let index = self.repo.path().join("index");
        if !index.exists() {
            return Ok(None);
        }
        let folder = tempfile::tempdir_in(self.state_dir()).map_err(|e| on_file(e, self.state_dir()))?;
        let copy = folder.path().join("index");
        // With the time of the original: by it git tells which files may have changed within a tick.
        let time = fs::metadata(&index).and_then(|of| of.modified()).map_err(|e| on_file(e, &index))?;
        fs::copy(&index, &copy).map_err(|e| on_file(e, &copy))?;
        let open = fs::File::options().write(true).open(&copy);
        open.and_then(|file| file.set_modified(time)).map_err(|e| on_file(e, &copy))?;

        let git = self.git().with_index(&copy);
        git.run(["add", "--update", "--", "."])?;
        let tree = git.run(["write-tree"])?;
        Ok(Some(Oid::from_str(&tree)?))
    }

    /// `tree` with the submodules of `committed` in place of its own.
    fn with_submodules_of<'a>(
        &'a self,
        committed: &Tree<'_>,
        tree: Tree<'a>,
    ) -> Result<Tree<'a>, LedgerError> {
        let (before, after) = (self.submodules(committed)?, self.submodules(&tree)?);
        let mut tree = tree;
        for path in after.keys().filter(|path| !before.contains_key(*path)) {
            tree = self.put_in(&tree, &path.split('/').collect::<Vec<_>>(), None)?;
        }
        for (path, leaf) in before.iter().filter(|(path, leaf)| after.get(*path) != Some(leaf)) {
            tree = self.put_in(&tree, &path.split('/').collect::<Vec<_>>(), Some(*leaf))?;
        }
        Ok(tree)
    }

    fn submodules(&self, tree: &Tree<'_>) -> Result<BTreeMap<String, Leaf>, LedgerError> {
        let mut found = BTreeMap::new();
        each_file(&self.repo, tree, &mut |path, leaf| {
            if leaf.mode == SUBMODULE {
                found.insert(path.to_owned(), leaf);
            }
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::testing::{Lab, git};

    #[test]
    fn a_clean_checkout_is_head() {
        let lab = Lab::new();
        lab.write("untracked", "x");
        let ledger = lab.ledger();
        let taken = ledger.snapshot().unwrap();
        assert_eq!(taken, Snapshot { commit: ledger.head().unwrap(), dirty: false });
    }

    #[test]
    fn uncommitted_changes_of_tracked_files_are_in_it_and_nothing_else_is() {
        let lab = Lab::new();
        for (path, text) in [("gone", "x"), ("run.sh", "x"), ("link", "x"), ("unstaged", "x"), ("dir/a", "x")]
        {
            lab.write(path, text);
        }
        lab.git("add .");
        lab.git("commit -q -m more");
        lab.write("stashed", "x");
        lab.git("add stashed");
        lab.git("stash -q");

        let root = lab.root();
        lab.write("train.py", "DEPTH = 9\n");
        lab.write("staged", "staged");
        lab.git("add staged train.py");
        lab.write("staged", "and changed");
        lab.write("untracked", "x");
        lab.write("ignored", "x");
        lab.write("dir/untracked", "x");
        fs::remove_file(root.join("gone")).unwrap();
        fs::remove_file(root.join("link")).unwrap();
        symlink("train.py", root.join("link")).unwrap();
        fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        lab.git("rm -q --cached unstaged");
        let before = lab.state();

        let ledger = lab.ledger();
        let taken = ledger.snapshot().unwrap();
        assert!(taken.dirty);
        let changed = lab.git(&format!("diff-tree -r --no-commit-id --abbrev=4 {}", taken.commit));
        let changed: Vec<_> =
            changed.lines().map(|l| format!("{} {}", &l[1..14], l.rsplit(' ').next().unwrap())).collect();
        insta::assert_snapshot!(changed.join("\n").replace('\t', " "), @r"
        100644 000000 D gone
        100644 120000 T link
        100644 100755 M run.sh
        000000 100644 A staged
        100644 100644 M train.py
        100644 000000 D unstaged
        ");
        assert_eq!(ledger.read(&taken.commit, "staged").unwrap().unwrap(), b"and changed");
        assert_eq!(ledger.read(&taken.commit, "link").unwrap().unwrap(), b"train.py");
        assert_eq!(lab.git(&format!("rev-parse {}^", taken.commit)).trim(), ledger.head().unwrap().as_str());
        assert_eq!(ledger.snapshot().unwrap(), taken, "the same checkout is the same commit");
        assert_eq!(lab.state(), before);
        let left: Vec<_> =
            fs::read_dir(ledger.state_dir()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(left.iter().all(|name| name == "writer"), "{left:?}");
    }

    #[test]
    fn a_change_within_the_tick_of_the_index_is_seen() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        for depth in 0..10 {
            lab.write("train.py", &format!("DEPTH = {depth}\n"));
            lab.git("add train.py");
            lab.write("train.py", &format!("WIDTH = {depth}\n"));
            let taken = ledger.snapshot().unwrap();
            let text = ledger.read(&taken.commit, "train.py").unwrap().unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), format!("WIDTH = {depth}\n"));
        }
    }

    #[test]
    fn line_ends_are_as_git_wants_them() {
        let lab = Lab::new();
        lab.git("config core.autocrlf true");
        lab.write("train.py", "DEPTH = 9\r\n");
        let ledger = lab.ledger();
        let taken = ledger.snapshot().unwrap();
        assert_eq!(ledger.read(&taken.commit, "train.py").unwrap().unwrap(), b"DEPTH = 9\n");
    }

    #[test]
    fn submodules_stay_as_in_head() {
        let lab = Lab::new();
        let module = lab.root().join("module");
        git(&lab.root(), "init -q module");
        git(&module, "-c user.name=a -c user.email=a@b commit -q --allow-empty -m one");
        lab.git("add module");
        lab.git("commit -q -m module");
        let head = lab.git("rev-parse HEAD:module");
        git(&module, "-c user.name=a -c user.email=a@b commit -q --allow-empty -m two");
        let ledger = lab.ledger();
        assert!(!ledger.snapshot().unwrap().dirty);
        lab.git("add module");
        lab.write("train.py", "DEPTH = 9\n");
        let taken = ledger.snapshot().unwrap();
        assert_eq!(lab.git(&format!("rev-parse {}:module", taken.commit)), head);
        assert!(taken.dirty);
    }
}
