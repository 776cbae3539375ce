//! Candidates: commits that differ from their parent in the editable files and nothing else, by
//! construction. And what is in a commit.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use git2::{DiffFormat, DiffOptions, Tree};
use lab::{CommitId, Lab};
use sha2::{Digest as _, Sha256};

use crate::{
    Ledger, LedgerError,
    advance::signature,
    error::on_file,
    message::one_line,
    open::commit_id,
    tree::{FILE, Leaf, PROGRAM, each_file, get},
};

/// The mode of a link to another repository's commit (a submodule).
pub(crate) const SUBMODULE: i32 = 0o160_000;
/// The researcher's instructions: no part of what makes numbers comparable.
const PROGRAM_FILE: &str = "program.md";

/// What a candidate has at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    /// The file's bytes as they are on disk (git's line-end settings are applied); `None` removes it.
    pub content: Option<Vec<u8>>,
}

/// Editable files larger than this are not searched for constants, nor shown to a proposer.
const LARGEST: usize = 1 << 20;

impl Ledger {
    /// Makes a commit on `parent` whose tree is the parent's with `edits` in it and nothing else.
    ///
    /// A program stays executable; a new file, or one that was a symbolic link, becomes a plain file.
    /// Nothing refers to the commit yet: [`hold`](Self::hold), a worktree on it, or an append keeps it from `git gc`.
    ///
    /// # Errors
    /// Where a path leaves the repository, or goes through something that is not a folder.
    pub fn candidate(
        &self,
        parent: &CommitId,
        edits: &[Edit],
        message: &str,
    ) -> Result<CommitId, LedgerError> {
        self.wait_for_collection();
        let parent = self.commit(parent)?;
        let mut tree = parent.tree()?;
        for edit in edits {
            tree = self.edited(&tree, edit)?;
        }
        let message = message.replace('\0', "");
        let message = if one_line(&message).is_empty() { "candidate".to_owned() } else { message };
        let message = git2::message_prettify(message, None)?;
        let us = signature()?;
        let commit =
            self.repo.commit(None, &us, &us, &message, &tree, &[&parent]).map_err(|e| self.on_write(e))?;
        Ok(commit_id(commit))
    }

    fn edited(&self, tree: &Tree<'_>, edit: &Edit) -> Result<Tree<'_>, LedgerError> {
        let parts = parts(&edit.path)?;
        let there = get(tree, &parts).ok().flatten();
        if there.is_some_and(|leaf| leaf.mode == crate::tree::FOLDER || leaf.mode == SUBMODULE) {
            return Err(LedgerError::Path { path: edit.path.clone(), reason: "it is a folder".to_owned() });
        }
        let leaf = match &edit.content {
            None => None,
            Some(content) => {
                let mode = if there.is_some_and(|leaf| leaf.mode == PROGRAM) { PROGRAM } else { FILE };
                Some(Leaf { mode, ..self.filtered(&edit.path, content)? })
            }
        };
        self.put_in(tree, &parts, leaf).map_err(|e| match e {
            LedgerError::Path { reason, path } => {
                LedgerError::Path { path: edit.path.clone(), reason: format!("`{path}`: {reason}") }
            }
            other => other,
        })
    }

    /// Writes a blob as `git add` would, with the line ends that `.gitattributes` asks for.
    fn filtered(&self, path: &str, content: &[u8]) -> Result<Leaf, LedgerError> {
        let mut writer = self.repo.blob_writer(Some(Path::new(path)))?;
        writer.write_all(content).map_err(|e| on_file(e, self.repo.commondir()))?;
        Ok(Leaf { oid: writer.commit().map_err(|e| self.on_write(e))?, mode: FILE })
    }

    /// The bytes of a file in a commit; `None` where there is no file.
    pub fn read(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let tree = self.commit(commit)?.tree()?;
        let Some(leaf) = get(&tree, &parts(path)?)? else { return Ok(None) };
        if leaf.mode == crate::tree::FOLDER || leaf.mode == SUBMODULE {
            return Ok(None);
        }
        Ok(Some(self.repo.find_blob(leaf.oid)?.content().to_vec()))
    }

    /// What a commit has of the files that a candidate may change, by path; those of more than a megabyte are left out.
    pub fn editable_files(
        &self,
        commit: &CommitId,
        lab: &Lab,
    ) -> Result<BTreeMap<String, Vec<u8>>, LedgerError> {
        let editable = lab.editable();
        let mut files = BTreeMap::new();
        for path in self.paths(commit)?.into_iter().filter(|path| editable.contains(path)) {
            if let Some(content) = self.read(commit, &path)?.filter(|content| content.len() <= LARGEST) {
                files.insert(path, content);
            }
        }
        Ok(files)
    }

    /// The paths of every file in a commit, in git's order.
    pub fn paths(&self, commit: &CommitId) -> Result<Vec<String>, LedgerError> {
        let mut paths = Vec::new();
        let tree = self.commit(commit)?.tree()?;
        each_file(&self.repo, &tree, &mut |path, leaf| {
            if leaf.mode != SUBMODULE {
                paths.push(path.to_owned());
            }
        })?;
        Ok(paths)
    }

    /// The hash of everything in a commit that a candidate may not change: all but the editable files
    /// and the program. Equal for two commits whose numbers may be compared.
    pub fn locked_hash(&self, commit: &CommitId, lab: &Lab) -> Result<String, LedgerError> {
        let mut hash = Sha256::new();
        let (tree, editable) = (self.commit(commit)?.tree()?, lab.editable());
        each_file(&self.repo, &tree, &mut |path, leaf| {
            if path != PROGRAM_FILE && !editable.contains(path) {
                hash.update(format!("{path}\0{:o} {}\n", leaf.mode, leaf.oid));
            }
        })?;
        Ok(hex::encode(hash.finalize()))
    }

    /// What `b` changed in `a`, as a unified diff.
    pub fn diff(&self, a: &CommitId, b: &CommitId) -> Result<String, LedgerError> {
        let (a, b) = (self.commit(a)?.tree()?, self.commit(b)?.tree()?);
        let mut diff = self.repo.diff_tree_to_tree(
            Some(&a),
            Some(&b),
            Some(DiffOptions::new().indent_heuristic(true)),
        )?;
        diff.find_similar(None)?;
        let mut text = Vec::new();
        diff.print(DiffFormat::Patch, |_, _, line| {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(line.origin() as u8);
            }
            text.extend_from_slice(line.content());
            true
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The parts of a path, if it stays in the repository.
fn parts(path: &str) -> Result<Vec<&str>, LedgerError> {
    let parts: Vec<_> = path.split('/').collect();
    let refused = |reason: &str| LedgerError::Path { path: path.to_owned(), reason: reason.to_owned() };
    if path.contains('\0') {
        return Err(refused("it has a zero byte"));
    }
    for part in &parts {
        match *part {
            "" => return Err(refused("it is absolute, empty, or has an empty part")),
            "." | ".." => return Err(refused("it has a part `.` or `..`")),
            _ if part.eq_ignore_ascii_case(".git") => return Err(refused("it is in git's own folder")),
            _ => {}
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{CommitId, Edit, LedgerError};
    use crate::testing::Lab;

    fn edit(path: &str, content: Option<&str>) -> Edit {
        Edit { path: path.to_owned(), content: content.map(|text| text.as_bytes().to_vec()) }
    }

    #[test]
    fn a_candidate_differs_in_its_edits_only() {
        let lab = Lab::new();
        lab.write("run.sh", "#!/bin/sh\n");
        lab.write("kernels/a.cu", "1");
        lab.git("add .");
        lab.git("update-index --chmod=+x run.sh");
        lab.git("commit -q -m more");
        let before = lab.state();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let edits = [
            edit("train.py", Some("DEPTH = 9\n")),
            edit("run.sh", Some("#!/bin/bash\n")),
            edit("kernels/a.cu", None),
            edit("nets/deep/b.py", Some("x\n")),
            edit("never/was", None),
        ];
        let candidate = ledger.candidate(&head, &edits, "deeper\n").unwrap();
        let changes = lab.git(&format!("diff-tree -r --abbrev=4 --format=%an:%s --root {candidate}"));
        insta::assert_snapshot!(changes.replace('\t', " ").trim_end(), @r"
        overnight:deeper

        :100644 000000 56a6 0000 D kernels/a.cu
        :000000 100644 0000 587b A nets/deep/b.py
        :100755 100755 1a24 a9bf M run.sh
        :100644 100644 df06 9e90 M train.py
        ");
        assert_eq!(ledger.read(&candidate, "train.py").unwrap().unwrap(), b"DEPTH = 9\n");
        assert_eq!(ledger.read(&candidate, "kernels/a.cu").unwrap(), None);
        assert_eq!(ledger.read(&candidate, "nets").unwrap(), None);
        assert_eq!(
            ledger.paths(&candidate).unwrap(),
            [".gitignore", "nets/deep/b.py", "prepare.py", "program.md", "run.sh", "train.py"]
        );
        assert!(ledger.is_ancestor(&head, &candidate).unwrap());
        assert!(!ledger.is_ancestor(&candidate, &head).unwrap());
        assert_eq!(lab.state(), before);
    }

    #[test]
    fn paths_outside_are_refused() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        for path in
            ["/etc/passwd", "../x", "a/../../x", ".git/config", "a/.GIT/config", "", "a//b", "train.py/x"]
        {
            let made = ledger.candidate(&head, &[edit(path, Some("x"))], "m");
            assert!(
                matches!(&made, Err(LedgerError::Path { path: told, .. }) if told == path),
                "{path}: {made:?}"
            );
        }
    }

    #[test]
    fn a_link_becomes_a_file_and_line_ends_are_as_git_wants_them() {
        let lab = Lab::new();
        std::os::unix::fs::symlink("train.py", lab.root().join("link.py")).unwrap();
        lab.write(".gitattributes", "*.py text eol=crlf\n");
        lab.git("add .");
        lab.git("commit -q -m link");
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let edits = [edit("link.py", Some("DEPTH = 9\r\n")), edit("x.bin", Some("a\r\n"))];
        let candidate = ledger.candidate(&head, &edits, "m").unwrap();
        assert_eq!(ledger.read(&candidate, "link.py").unwrap().unwrap(), b"DEPTH = 9\n");
        assert_eq!(ledger.read(&candidate, "x.bin").unwrap().unwrap(), b"a\r\n");
        assert!(lab.git(&format!("ls-tree {candidate} link.py")).starts_with("100644 blob"));
    }

    #[test]
    fn the_locked_files_are_all_but_the_editable_and_the_program() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let settings =
            ::lab::Lab::parse("---\nrun: ./run\nmetric: ms\neditable: train.py\n---\nGo.\n").unwrap();
        let head = ledger.head().unwrap();
        let hash = |edits: &[Edit]| {
            let commit = ledger.candidate(&head, edits, "m").unwrap();
            ledger.locked_hash(&commit, &settings).unwrap()
        };
        let same = hash(&[]);
        assert_eq!(hash(&[edit("train.py", Some("x"))]), same);
        assert_eq!(hash(&[edit("program.md", Some("x"))]), same);
        assert_ne!(hash(&[edit("prepare.py", Some("x"))]), same);
        assert_ne!(hash(&[edit("new.py", Some("x"))]), same);
    }

    #[test]
    fn a_diff_is_unified() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let candidate = ledger.candidate(&head, &[edit("train.py", Some("DEPTH = 9\n"))], "m").unwrap();
        insta::assert_snapshot!(ledger.diff(&head, &candidate).unwrap().trim_end(), @r"
        diff --git a/train.py b/train.py
        index df0625c..9e90deb 100644
        --- a/train.py
        +++ b/train.py
        @@ -1 +1 @@
        -DEPTH = 8
        +DEPTH = 9
        ");
        assert_eq!(ledger.diff(&head, &head).unwrap(), "");
        let unknown = CommitId::new("0".repeat(40));
        assert!(matches!(ledger.diff(&head, &unknown), Err(LedgerError::UnknownCommit(_))));
    }
}
