//! Frees the disk of what can be made again: folders of runs that the ledger has, worktrees that nobody uses. What git
//! holds stays, and nothing is touched that a living runner is at; where none lives, what we have written to git is
//! packed.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ledger::Ledger;

use crate::history::History;
use crate::lock::Lock;
use crate::paths::disk_usage;
use crate::{Paths, RunnerError, journal, shim};

/// The beginning of the name of a folder that is on its way out.
const OUT: &str = "out-";

/// What may go.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many folders of runs stay, the newest.
    pub keep: usize,
    /// What was not used for so long may go.
    pub older: Duration,
    /// Nothing goes: it is only said what would.
    pub dry: bool,
}

/// What went, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freed {
    /// What, in the plural.
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// Frees the disk of one lab. Tells also what stays because a runner has the lab.
///
/// # Errors
/// Where the journal cannot be read, or something cannot be removed.
pub fn gc(
    ledger: &Ledger,
    paths: &Paths,
    policy: Policy,
) -> Result<(Vec<Freed>, Option<String>), RunnerError> {
    let unfinished = History::fold(&journal::read(&paths.journal())?.entries).unfinished;
    let used: HashSet<PathBuf> = unfinished.iter().map(|trial| paths.slot(trial.slot)).collect();
    let mut freed = vec![left_behind(paths, policy), runs(paths, policy)?];
    let mut stays = None;
    let held = if policy.dry { Lock::holder(&paths.lock()).map(|holder| holder.pid) } else { None };
    // Nobody begins to use a worktree while it is put out of the way; removing it takes longer.
    let lock = match held {
        Some(pid) => Err(pid),
        None if policy.dry => Ok(None),
        None => match Lock::take(&paths.lock()) {
            Ok(lock) => Ok(Some(lock)),
            Err(RunnerError::Held { pid, .. }) => Err(pid),
            Err(error) => return Err(error),
        },
    };
    match lock {
        Ok(lock) => {
            let mut out = Vec::new();
            for (what, folder) in [
                ("worktrees of slots", paths.cache.join("slots")),
                ("worktrees of proposers", paths.proposers()),
            ] {
                let mut gone = Freed { what, count: 0, bytes: 0 };
                for unused in entries(&folder)
                    .filter(|entry| !used.contains(&entry.path()) && age(&entry.path()) > policy.older)
                {
                    gone.count += 1;
                    gone.bytes += disk_usage(&unused.path());
                    if !policy.dry {
                        out.push(put_out(paths, &unused)?);
                    }
                }
                freed.push(gone);
            }
            if !out.is_empty() {
                ledger.fsck_worktrees(&paths.cache, true)?;
            }
            if !policy.dry {
                freed.push(packed(ledger)?);
            }
            drop(lock);
            out.iter().for_each(|folder| remove(folder));
        }
        Err(pid) => stays = Some(format!("worktrees stay: a runner (process {pid}) has the lab")),
    }
    freed.retain(|freed| freed.count > 0);
    Ok((freed, stays))
}

/// Puts what our ledgers have written into packs, where that has become much.
fn packed(ledger: &Ledger) -> Result<Freed, RunnerError> {
    let (before, mut count) = (disk_usage(&ledger.objects_dir()), 0);
    for tag in ledger.tags()? {
        count += ledger.pack(&tag)? as u64;
    }
    let bytes = if count > 0 { before.saturating_sub(disk_usage(&ledger.objects_dir())) } else { 0 };
    Ok(Freed { what: "objects in packs", count, bytes })
}

/// The caches of labs whose repository is gone, below the folder of all labs; `own` is spared.
pub fn gc_gone(home: &Path, own: &Path, policy: Policy) -> Freed {
    let mut freed = Freed { what: "caches of labs that are gone", count: 0, bytes: 0 };
    for lab in entries(home).map(|entry| entry.path()).filter(|lab| lab != own && is_lab(lab)) {
        let repositories: Vec<PathBuf> = repositories(&lab);
        let gone = !repositories.is_empty() && !repositories.iter().any(|path| path.exists());
        if gone && age(&lab.join("slots")).min(age(&lab)) > policy.older {
            freed.count += 1;
            freed.bytes += disk_usage(&lab);
            if !policy.dry {
                remove(&lab);
            }
        }
    }
    freed
}

/// Whether a folder is named as the cache of a lab: its name and eight digits.
fn is_lab(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('-')
        .is_some_and(|(_, hash)| hash.len() == 8 && hash.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The git directories that the worktrees of a lab's cache belong to.
fn repositories(lab: &Path) -> Vec<PathBuf> {
    let trees = ["slots", "proposers"].into_iter().flat_map(|kind| {
        entries(&lab.join(kind))
            .flat_map(|entry| entries(&entry.path()).map(|entry| entry.path()).collect::<Vec<_>>())
    });
    let links = trees.filter_map(|tree| fs::read_to_string(tree.join(".git")).ok());
    let git_dirs = links.filter_map(|link| Some(PathBuf::from(link.strip_prefix("gitdir:")?.trim())));
    git_dirs.filter_map(|git_dir| Some(git_dir.parent()?.parent()?.to_owned())).collect()
}

/// The folders of runs that have ended and are recorded, or given up; the newest stay.
fn runs(paths: &Paths, policy: Policy) -> Result<Freed, RunnerError> {
    let mut freed = Freed { what: "folders of runs", count: 0, bytes: 0 };
    // Listed before the journal is read: a run is in the journal before it has a folder.
    let mut listed: Vec<PathBuf> = entries(&paths.cache.join("runs")).map(|entry| entry.path()).collect();
    let unfinished = History::fold(&journal::read(&paths.journal())?.entries).unfinished;
    let used: HashSet<String> =
        unfinished.iter().flat_map(|trial| &trial.all_runs).map(ToString::to_string).collect();
    // Names are UUIDs of version 7, so their order is that of time.
    listed.sort();
    listed.truncate(listed.len().saturating_sub(policy.keep));
    for folder in listed {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let lives = shim::process(&folder).is_some_and(crate::processes::Process::lives);
        if used.contains(name) || lives || shim::read_end(&folder).is_none() {
            continue;
        }
        freed.count += 1;
        freed.bytes += disk_usage(&folder);
        if !policy.dry {
            remove(&folder);
        }
    }
    Ok(freed)
}

/// What was put out of the way by a process that was killed.
fn left_behind(paths: &Paths, policy: Policy) -> Freed {
    let mut freed = Freed { what: "folders that were on their way out", count: 0, bytes: 0 };
    for entry in entries(&paths.cache).filter(|entry| entry.file_name().to_string_lossy().starts_with(OUT)) {
        freed.count += 1;
        freed.bytes += disk_usage(&entry.path());
        if !policy.dry {
            remove(&entry.path());
        }
    }
    freed
}

/// Puts a folder out of the way, and gives where it is.
fn put_out(paths: &Paths, entry: &DirEntry) -> Result<PathBuf, RunnerError> {
    let out = paths.cache.join(format!("{OUT}{}", uuid::Uuid::now_v7()));
    fs::rename(entry.path(), &out).map_err(RunnerError::io("move", &entry.path()))?;
    Ok(out)
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "it stays");
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// For how long nothing at the top of a folder, or of the folders in it, has changed.
fn age(folder: &Path) -> Duration {
    let of = |path: &Path| path.symlink_metadata().and_then(|of| of.modified()).ok();
    let inner = entries(folder).filter_map(|entry| of(&entry.path()));
    let newest = inner.chain(of(folder)).max();
    newest.and_then(|newest| SystemTime::now().duration_since(newest).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_caches_of_labs_that_are_gone_and_old_go() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let there = home.join("repository/.git");
        fs::create_dir_all(&there).unwrap();
        let make = |name: &str, git: &Path| {
            let tree = home.join(name).join("slots/0/tree");
            fs::create_dir_all(&tree).unwrap();
            fs::write(tree.join(".git"), format!("gitdir: {}/worktrees/tree\n", git.display())).unwrap();
        };
        make("here-0011aabb", &there);
        make("gone-0011aabc", &home.join("never/.git"));
        make("own-0011aabd", &home.join("never/.git"));
        make("prelude", &home.join("never/.git"));
        fs::create_dir(home.join("unknown-0011aabe")).unwrap();
        let go = |older, dry| gc_gone(home, &home.join("own-0011aabd"), Policy { keep: 0, older, dry });
        assert_eq!(go(Duration::from_secs(3600), false).count, 0, "it was used just now");
        let would = go(Duration::ZERO, true);
        assert!(would.count == 1 && would.bytes > 0 && home.join("gone-0011aabc").exists());
        assert_eq!(go(Duration::ZERO, false), would);
        let left: HashSet<String> =
            entries(home).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let wanted = ["repository", "here-0011aabb", "own-0011aabd", "prelude", "unknown-0011aabe"];
        assert_eq!(left, wanted.map(str::to_owned).into());
    }
}
