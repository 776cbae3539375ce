//! Worktrees of our own, where candidates run: made by `git worktree add --detach`, outside the
//! researcher's checkout, and used again and again.
//!
//! They are filled by `git read-tree`: a `git checkout` deletes refs such as `AUTO_MERGE` too, locks the packed refs of
//! the whole repository for that, and leaves them locked where it is killed.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use git2::{Oid, Repository};
use lab::CommitId;

use crate::{Ledger, LedgerError, error::on_file, git::Git};

impl Ledger {
    /// Makes `path` a worktree at `commit`, or brings the one that is there to `commit`, whatever
    /// state it was left in.
    ///
    /// Untracked files are removed, all but those of `preserve` (relative to the worktree: links such
    /// as `data`, folders such as `target/`). Of the tracked files only those that differ are written,
    /// so that the others keep their times. One process at a time may use a worktree.
    ///
    /// # Errors
    /// Where `path` holds the researcher's checkout, or cannot be written.
    pub fn worktree(&self, path: &Path, commit: &CommitId, preserve: &[String]) -> Result<(), LedgerError> {
        let commit = self.commit(commit)?.id();
        let path = &self.not_the_checkout(path)?;
        if let Some(git_dir) = self.worktree_git_dir(path) {
            match reset(&self.git_in(path), &git_dir, commit, preserve) {
                Ok(()) => return Ok(()),
                Err(e @ LedgerError::NoGit(_)) => return Err(e),
                Err(e) => tracing::warn!(path = %path.display(), reason = %e, "making the worktree anew"),
            }
        }
        self.forget(path)?;
        remove_all(path).map_err(|e| on_file(e, path))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| on_file(e, parent))?;
        }
        let options = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--force", "--force", "--"];
        let operands = [path.clone().into_os_string(), commit.to_string().into()];
        self.git().run(options.map(OsString::from).into_iter().chain(operands))?;
        fill(&self.git_in(path), commit)
    }

    /// Removes a worktree with everything in it; one that is not there is no error.
    pub fn remove_worktree(&self, path: &Path) -> Result<(), LedgerError> {
        let path = self.not_the_checkout(path)?;
        self.forget(&path)?;
        remove_all(&path).map_err(|e| on_file(e, &path))
    }

    /// The absolute path, with links resolved as far as it exists; refuses one that holds the
    /// researcher's files.
    fn not_the_checkout(&self, path: &Path) -> Result<PathBuf, LedgerError> {
        let path = resolved(path).map_err(|e| on_file(e, path))?;
        let common = resolved(self.repo.commondir()).map_err(|e| on_file(e, self.repo.commondir()))?;
        if self.root().starts_with(&path) || common.starts_with(&path) {
            let reason = "it holds the repository".to_owned();
            return Err(LedgerError::Malformed { what: format!("the worktree {}", path.display()), reason });
        }
        Ok(path)
    }

    /// The git directory of the worktree at `path`, if both know each other.
    fn worktree_git_dir(&self, path: &Path) -> Option<PathBuf> {
        let link = fs::read_to_string(path.join(".git")).ok()?;
        let git_dir = path.join(link.strip_prefix("gitdir:")?.trim());
        let git_dir = fs::canonicalize(git_dir).ok()?;
        let ours =
            self.registered(path).any(|known| fs::canonicalize(known).is_ok_and(|known| known == git_dir));
        let whole = ["HEAD", "commondir", "index"].iter().all(|file| git_dir.join(file).is_file());
        (ours && whole).then_some(git_dir)
    }

    /// The entries of the repository's list of worktrees that are of `path`.
    fn registered(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let wanted = path.join(".git");
        let listed = fs::read_dir(self.repo.commondir().join("worktrees"));
        listed.into_iter().flatten().flatten().map(|entry| entry.path()).filter(move |entry| {
            let Ok(text) = fs::read_to_string(entry.join("gitdir")) else { return false };
            let file = entry.join(text.trim_end());
            file == wanted || resolved(&file).is_ok_and(|file| file == wanted)
        })
    }

    /// Takes a worktree off the repository's list, be it locked or missing. No other is touched, as
    /// `git worktree prune` would.
    fn forget(&self, path: &Path) -> Result<(), LedgerError> {
        let entries: Vec<_> = self.registered(path).collect();
        entries.iter().try_for_each(|entry| remove_all(entry).map_err(|e| on_file(e, entry)))
    }
}

/// Has the tracked files of a worktree be those of a commit.
fn fill(git: &Git, commit: Oid) -> Result<(), LedgerError> {
    git.run(["read-tree", "--reset", "-u", &commit.to_string()]).map(drop)
}

/// Brings a worktree to a commit and removes what is untracked.
fn reset(git: &Git, git_dir: &Path, commit: Oid, preserve: &[String]) -> Result<(), LedgerError> {
    // Left by a process that was killed: nobody else uses this worktree.
    for lock in locks(git_dir) {
        let removed = fs::remove_file(&lock);
        tracing::debug!(lock = %lock.display(), ?removed, "left behind by a git that was killed");
    }
    // A merge or a rebase that a run has begun.
    let worktree = Repository::open(git_dir)?;
    worktree.cleanup_state()?;
    fill(git, commit)?;
    worktree.set_head_detached(commit)?;
    let mut clean = ["clean", "--quiet", "-ffdx"].map(str::to_owned).to_vec();
    for kept in preserve {
        clean.extend(["-e".to_owned(), pattern(kept)]);
    }
    git.run(clean).map(drop)
}

/// The locks in the folder that a repository keeps of a worktree.
pub(crate) fn locks(git_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(git_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension() == Some(OsStr::new("lock")))
}

/// The pattern, as in `.gitignore`, that matches this path of the worktree only.
fn pattern(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    let mut pattern = String::from("/");
    for c in path.chars() {
        if "\\*?[ ".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// The absolute path with its links resolved as far as it exists; the last part may be missing or a
/// link of its own.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        match fs::canonicalize(there) {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, part| path.join(part))),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return Err(e) };
                missing.push(name.to_owned());
                there = parent;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Removes a folder or file, also one in which a run has left folders that may not be written.
fn remove_all(path: &Path) -> std::io::Result<()> {
    let remove = || match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(of) if of.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    match remove() {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            make_writable(path)?;
            remove()
        }
        other => other,
    }
}

fn make_writable(folder: &Path) -> std::io::Result<()> {
    let of = fs::symlink_metadata(folder)?;
    if !of.is_dir() {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(of.permissions().mode() | 0o700))?;
    fs::read_dir(folder)?.try_for_each(|entry| make_writable(&entry?.path()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{os::unix::fs::symlink, time::SystemTime};

    use super::*;
    use crate::{Edit, testing::Lab, testing::git};

    fn deeper(ledger: &Ledger) -> CommitId {
        let edit = Edit { path: "train.py".to_owned(), content: Some(b"DEPTH = 9\n".to_vec()) };
        ledger.candidate(&ledger.head().unwrap(), &[edit], "deeper").unwrap()
    }

    /// The worktree is exactly the commit, detached.
    fn assert_at(path: &Path, commit: &CommitId) {
        assert_eq!(git(path, "rev-parse HEAD").trim(), commit.as_str());
        assert_eq!(git(path, "status --porcelain --ignored"), "");
        assert_eq!(git(path, "branch --show-current"), "");
    }

    #[test]
    fn a_worktree_is_made_and_used_again() {
        let lab = Lab::new();
        let before = lab.state();
        let ledger = lab.ledger();
        let (head, candidate) = (ledger.head().unwrap(), deeper(&ledger));
        let path = lab.beside("cache/slots/0");
        ledger.worktree(&path, &head, &[]).unwrap();
        assert_at(&path, &head);

        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        for file in ["train.py", "prepare.py"] {
            fs::File::options().write(true).open(path.join(file)).unwrap().set_modified(old).unwrap();
        }
        git(&path, "update-index -q --refresh");
        fs::create_dir(path.join("made")).unwrap();
        fs::write(path.join("made/up"), "x").unwrap();
        fs::write(path.join("ignored"), "x").unwrap();
        fs::write(path.join("program.md"), "changed").unwrap();
        ledger.worktree(&path, &candidate, &[]).unwrap();
        assert_at(&path, &candidate);
        let modified = |file: &str| fs::metadata(path.join(file)).unwrap().modified().unwrap();
        assert_eq!(modified("prepare.py"), old, "what did not change is not written");
        assert_ne!(modified("train.py"), old);
        assert_eq!(fs::read_to_string(path.join("program.md")).unwrap(), "Make it better.\n");
        assert_eq!(lab.state(), before);
    }

    #[test]
    fn preserved_paths_stay_and_only_they() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let path = lab.beside("slot");
        ledger.worktree(&path, &head, &[]).unwrap();
        let data = lab.beside("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("shard"), "x").unwrap();
        symlink(&data, path.join("data")).unwrap();
        for folder in ["target/release", "a/cache", "a/other", "target2", "sub/target", "odd [x]"] {
            fs::create_dir_all(path.join(folder)).unwrap();
            fs::write(path.join(folder).join("file"), "x").unwrap();
        }
        let preserve = ["data", "target/", "a/cache", "odd [x]", "never/was"].map(str::to_owned);
        ledger.worktree(&path, &deeper(&ledger), &preserve).unwrap();
        let has = |p: &str| path.join(p).exists();
        assert!(
            has("data/shard") && has("target/release/file") && has("a/cache/file") && has("odd [x]/file")
        );
        assert!(!has("a/other") && !has("target2") && !has("sub"));
        ledger.worktree(&path, &head, &[]).unwrap();
        assert_at(&path, &head);
        assert!(data.join("shard").exists(), "what a link points to is not touched");
    }

    #[test]
    fn a_worktree_repairs_itself() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let path = lab.beside("slot");
        let entry = lab.root().join(".git/worktrees/slot");
        let breakages: [(&str, &dyn Fn()); 10] = [
            ("never there", &|| ()),
            ("deleted", &|| fs::remove_dir_all(&path).unwrap()),
            ("locked and deleted", &|| {
                lab.git(&format!("worktree lock {}", path.display()));
                fs::remove_dir_all(&path).unwrap();
            }),
            ("locked", &|| drop(lab.git(&format!("worktree lock {}", path.display())))),
            ("forgotten by git", &|| fs::remove_dir_all(&entry).unwrap()),
            ("half made", &|| fs::remove_file(entry.join("HEAD")).unwrap()),
            ("an index cut short", &|| fs::write(entry.join("index"), "DIRC").unwrap()),
            ("killed in the middle", &|| fs::write(entry.join("index.lock"), "").unwrap()),
            ("killed while it moved its head", &|| fs::write(entry.join("HEAD.lock"), "").unwrap()),
            ("a file", &|| {
                fs::remove_dir_all(&path).unwrap();
                fs::write(&path, "x").unwrap();
            }),
        ];
        for (what, breakage) in breakages {
            breakage();
            ledger.worktree(&path, &head, &[]).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_at(&path, &head);
            assert_eq!(lab.git("worktree list").lines().count(), 2, "{what}");
        }
    }

    #[test]
    fn a_worktree_that_is_in_the_middle_of_a_merge_is_reset() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let (head, candidate) = (ledger.head().unwrap(), deeper(&ledger));
        let path = lab.beside("slot");
        ledger.worktree(&path, &candidate, &[]).unwrap();
        git(&path, "merge -q --no-commit --no-ff -s ours HEAD~0");
        fs::write(path.join("train.py"), "<<<<<<<").unwrap();
        ledger.worktree(&path, &head, &[]).unwrap();
        assert_at(&path, &head);
        assert!(!git(&path, "status").contains("merg"), "{}", git(&path, "status"));
    }

    #[test]
    fn worktrees_of_others_are_left_and_ours_are_removed() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let theirs = lab.beside("theirs");
        lab.git(&format!("worktree add -q {}", theirs.display()));
        fs::rename(&theirs, lab.beside("unplugged")).unwrap();
        let path = lab.beside("slot");
        ledger.worktree(&path, &ledger.head().unwrap(), &[]).unwrap();
        ledger.remove_worktree(&path).unwrap();
        ledger.remove_worktree(&path).unwrap();
        assert!(!path.exists());
        fs::rename(lab.beside("unplugged"), &theirs).unwrap();
        assert_eq!(git(&theirs, "status --porcelain"), "");
        assert_eq!(lab.git("worktree list").lines().count(), 2);
    }

    #[test]
    fn the_researchers_checkout_is_never_a_worktree_of_ours() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        for path in [lab.root(), lab.root().join(".."), lab.root().join(".git")] {
            assert!(
                matches!(ledger.worktree(&path, &head, &[]), Err(LedgerError::Malformed { .. })),
                "{path:?}"
            );
            assert!(ledger.remove_worktree(&path).is_err());
        }
        assert_eq!(lab.git("status --porcelain"), "");
    }

    #[test]
    fn hooks_of_the_researcher_do_not_run() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        lab.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch \"$(git rev-parse --git-common-dir)/ran\"\n");
        let hook = lab.root().join(".git/hooks/post-checkout");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let path = lab.beside("slot");
        ledger.worktree(&path, &ledger.head().unwrap(), &[]).unwrap();
        ledger.worktree(&path, &deeper(&ledger), &[]).unwrap();
        assert!(!lab.root().join(".git/ran").exists());
    }
}
