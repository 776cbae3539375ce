//! The preludes beside one: of other toolchains, and of other versions of this program.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many are kept beside the one in use; each takes a gigabyte.
const KEPT: usize = 2;
/// Locked by every worker that is linked against the prelude; its time is when the last one began.
const USED: &str = "used.lock";

/// Says that a worker uses the prelude in this folder, until what is returned is dropped.
pub(super) fn hold(folder: &Path) -> io::Result<File> {
    let used = File::create(folder.join(USED))?;
    used.lock_shared()?;
    used.set_modified(SystemTime::now())?;
    Ok(used)
}

/// The one that was used last.
pub(super) fn newest(folder: &Path) -> Option<PathBuf> {
    list(folder).into_iter().next()
}

/// Removes those that nobody has used for longest, and nobody uses now.
pub(super) fn prune(folder: &Path) {
    for old in list(folder).into_iter().skip(KEPT) {
        let unused = File::create(old.join(USED)).and_then(|used| Ok(used.try_lock()?)).is_ok();
        if unused && let Err(error) = fs::remove_dir_all(&old) {
            tracing::debug!(folder = %old.display(), %error, "an old prelude stays");
        }
    }
}

/// The others that are complete, those used last first.
fn list(folder: &Path) -> Vec<PathBuf> {
    let siblings =
        folder.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    let others = siblings.map(|entry| entry.path()).filter(|other| other != folder);
    let mut dated: Vec<(Option<SystemTime>, PathBuf)> = others
        .filter(|other| other.join("ready").exists())
        .map(|other| {
            let time = |name| other.join(name).metadata().and_then(|it| it.modified()).ok();
            (time(USED).max(time("ready")), other)
        })
        .collect();
    dated.sort_by_key(|(time, _)| Reverse(*time));
    dated.into_iter().map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_used_or_was_used_last_stays() {
        let parent = tempfile::tempdir().unwrap();
        let begin = SystemTime::now() - Duration::from_secs(1000);
        let make = |name: &str, age: u64| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            File::create(folder.join("ready"))
                .unwrap()
                .set_modified(begin + Duration::from_secs(age))
                .unwrap();
            folder
        };
        let folders: Vec<PathBuf> = (0..5).map(|i| make(&i.to_string(), i)).collect();
        fs::create_dir(parent.path().join("unfinished")).unwrap();
        let _worker = hold(&folders[0]).unwrap();
        let _later = hold(&folders[1]).unwrap();
        drop(_later);
        let own = make("own", 9);
        let busy = File::create(folders[2].join(USED)).unwrap();
        busy.lock_shared().unwrap();
        busy.set_modified(begin).unwrap();
        assert_eq!(newest(&own).unwrap(), folders[1]);
        prune(&own);
        let left: Vec<bool> = folders.iter().map(|folder| folder.exists()).collect();
        // 0 and 1 were used last, 2 is in use; 3 and 4 are old.
        assert_eq!(left, [true, true, true, false, false]);
        assert!(own.exists() && parent.path().join("unfinished").exists());
    }
}
