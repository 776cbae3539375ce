//! Removes what processes that were killed have left in a repository.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{Ledger, worktree::locks};

/// A lock of a ref and a half written object live for milliseconds: what is older is nobody's any more.
const BRIEF: Duration = Duration::from_secs(5);
/// A folder in which a checkout's index is copied lives while `git add` reads what has changed.
const LONG: Duration = Duration::from_secs(600);

impl Ledger {
    /// Removes what processes that were killed have left: locks of our refs and of the branches that follow them,
    /// objects and packs half written, temporary files of our own state. What could still be somebody's stays.
    ///
    /// So are the locks of worktrees below `worktrees`. Returns what was removed.
    pub fn tidy(&self, worktrees: &Path) -> Vec<PathBuf> {
        let mut left = self.half_packs();
        let common = self.repo.commondir();
        for refs in ["refs/overnight", "refs/heads/autoresearch"] {
            each_below(&common.join(refs), 8, &mut |path, name| {
                if name.ends_with(".lock") && older(path, BRIEF) {
                    left.push(path.to_owned());
                }
            });
        }
        each_below(&common.join("objects"), 2, &mut |path, name| {
            let ours = ["tmp_object_git2_", "streamed_git2_"].iter().any(|prefix| name.starts_with(prefix));
            if ours && (is_object(path) || older(path, BRIEF)) {
                left.push(path.to_owned());
            }
        });
        for entry in fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten() {
            let folder = entry.path();
            let of = fs::read_to_string(folder.join("gitdir")).unwrap_or_default();
            if Path::new(of.trim_end()).starts_with(worktrees) {
                left.extend(locks(&folder).filter(|lock| older(lock, BRIEF)));
            }
        }
        for folder in ["", "cache", "reports"].map(|folder| self.state_dir().join(folder)) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_name().to_string_lossy().starts_with(".tmp") && older(&path, LONG) {
                    left.push(path);
                }
            }
        }
        left.retain(|path| {
            let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            tracing::debug!(path = %path.display(), ?removed, "left behind by a process that was killed");
            removed.is_ok()
        });
        left
    }
}

fn older(path: &Path, age: Duration) -> bool {
    let made = fs::symlink_metadata(path).and_then(|of| of.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|its| its > age))
}

/// Whether a half written object has its name already, and only this one is left of its making. Its age is the object's,
/// which is renewed whenever that is written again.
fn is_object(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|of| of.nlink() > 1)
}

/// Calls `each` with every file below `folder`, at most so many folders deep.
fn each_below(folder: &Path, depth: usize, each: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 1 => each_below(&entry.path(), depth - 1, each),
            Ok(kind) if kind.is_file() => each(&entry.path(), &entry.file_name().to_string_lossy()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::Lab;

    #[test]
    fn what_is_old_and_ours_goes_and_all_else_stays() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let git = lab.root().join(".git");
        let file = |path: &str, age: u64| {
            let path = git.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            path
        };
        let gone = [
            file("refs/overnight/ledger/main.lock", 60),
            file("refs/heads/autoresearch/deep/tag.lock", 60),
            file("objects/ab/tmp_object_git2_x7", 60),
            file("objects/streamed_git2_x7", 60),
            file("objects/tmp_object_git2_named", 0),
            file("overnight/.tmpAbC", 700),
            file("overnight/cache/.tmpAbC", 700),
            file("overnight/reports/.tmpAbC", 700),
            file("worktrees/tree/index.lock", 60),
            file("worktrees/tree/AUTO_MERGE.lock", 60),
        ];
        fs::hard_link(git.join("objects/tmp_object_git2_named"), git.join("objects/ab/c7")).unwrap();
        let half = file("objects/tmp_packing_x7/pack/tmp_pack_x7", 0);
        let half = half.ancestors().nth(2).unwrap().to_owned();
        fs::write(git.join("worktrees/tree/gitdir"), "/cache/lab/slots/0/tree/.git\n").unwrap();
        let stays = [
            file("refs/overnight/best/main.lock", 0),
            file("refs/heads/main.lock", 60),
            file("index.lock", 60),
            file("packed-refs.lock", 60),
            file("objects/ab/tmp_obj_x7", 60),
            file("objects/ab/tmp_object_git2_new", 0),
            file("objects/pack/tmp_pack_x7", 60),
            file("overnight/.tmpNew", 60),
            file("worktrees/theirs/index.lock", 60),
        ];
        let mut removed = ledger.tidy(Path::new("/cache"));
        removed.sort();
        let mut wanted = [&gone[..], &[half]].concat();
        wanted.sort();
        assert_eq!(removed, wanted);
        assert!(stays.iter().all(|path| path.exists()));
    }
}
