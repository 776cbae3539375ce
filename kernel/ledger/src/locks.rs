//! Locks that a git leaves which is killed in one of our worktrees.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Two locks of one process are taken within this time.
const TOGETHER: Duration = Duration::from_secs(1);

/// The locks in the folder that a repository, whose own is `common`, keeps of a worktree; and the lock of the packed refs
/// where the same process took it, as one does that deletes a ref. (A checkout deletes `AUTO_MERGE`.)
pub(crate) fn of_worktree(common: &Path, folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut locks: Vec<PathBuf> = files.filter(|path| path.extension() == Some(OsStr::new("lock"))).collect();
    let packed = common.join("packed-refs.lock");
    let mut of_refs = locks.iter().filter(|lock| lock.file_name() != Some(OsStr::new("index.lock")));
    if of_refs.any(|lock| together(lock, &packed)) {
        locks.push(packed);
    }
    locks
}

/// Removes the locks of a worktree that nobody uses.
pub(crate) fn remove(common: &Path, folder: &Path) {
    for lock in of_worktree(common, folder) {
        let removed = fs::remove_file(&lock);
        tracing::debug!(lock = %lock.display(), ?removed, "left behind by a git that was killed");
    }
}

fn together(one: &Path, other: &Path) -> bool {
    let made = |path: &Path| fs::symlink_metadata(path).and_then(|of| of.modified()).ok();
    let apart = |one: SystemTime, other: SystemTime| {
        one.duration_since(other).unwrap_or_else(|before| before.duration())
    };
    made(one).zip(made(other)).is_some_and(|(one, other)| apart(one, other) < TOGETHER)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_lock_of_the_packed_refs_goes_with_that_of_a_ref_alone() {
        let common = tempfile::tempdir().unwrap();
        let (common, folder) = (common.path(), common.path().join("worktrees/tree"));
        fs::create_dir_all(&folder).unwrap();
        let make = |path: &Path, age: u64| {
            let file = fs::File::create(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        let found = || -> Vec<String> {
            let mut names: Vec<String> = of_worktree(common, &folder)
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        make(&common.join("packed-refs.lock"), 10);
        fs::write(folder.join("locked"), "by us").unwrap();
        assert_eq!(found(), Vec::<String>::new(), "somebody else's");
        make(&folder.join("index.lock"), 10);
        assert_eq!(found(), ["index.lock"]);
        make(&folder.join("AUTO_MERGE.lock"), 60);
        assert_eq!(found(), ["AUTO_MERGE.lock", "index.lock"], "of another time");
        make(&folder.join("AUTO_MERGE.lock"), 10);
        assert_eq!(found(), ["AUTO_MERGE.lock", "index.lock", "packed-refs.lock"]);
        remove(common, &folder);
        assert_eq!(found(), Vec::<String>::new());
    }
}
