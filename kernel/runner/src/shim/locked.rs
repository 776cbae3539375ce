//! Whether a run has left the files alone that it must not change.
//!
//! The sandbox lets a run write in its worktree, where the evaluator lies too. So it is looked at before and after,
//! by the files' times first, which no run can set back: the time of the last change of a file's state is the kernel's.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use lab::{Editable, Lab};

use crate::sandbox::Locked;

/// Names of files in which package managers note what they took: a build may bring them up to date.
const LOCK_FILES: [&str; 9] = [
    "Cargo.lock",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "go.sum",
    "Manifest.toml",
];

/// How many changed files are named.
const NAMED: usize = 10;

/// The files, as they were before the command began.
pub(super) struct Before {
    tree: PathBuf,
    files: Vec<File>,
    /// Whether a build is meant, which runs nothing that is measured.
    build: bool,
}

struct File {
    path: String,
    content: Oid,
    seen: Option<Metadata>,
}

impl Before {
    /// Looks at the files of a worktree; `None` where its index cannot be read.
    pub(super) fn look(locked: &Locked, tree: &Path, build: bool) -> Option<Self> {
        let index = git2::Index::open(&locked.index).ok()?;
        let editable: Editable = Lab { editable: locked.editable.clone(), ..Lab::default() }.editable();
        let mut files = Vec::new();
        for entry in index.iter().filter(|entry| matches!(entry.mode >> 12, 0o10 | 0o12)) {
            let Ok(path) = String::from_utf8(entry.path) else { continue };
            if editable.contains(&path) || (build && is_lock_file(&path)) {
                continue;
            }
            let seen = tree.join(&path).symlink_metadata().ok();
            let as_checked_out = seen.as_ref().is_some_and(|now| {
                now.mtime() == i64::from(entry.mtime.seconds())
                    && now.mtime_nsec() == i64::from(entry.mtime.nanoseconds())
                    && now.len() == u64::from(entry.file_size)
            });
            // What a build has touched is taken as the build has left it.
            let content =
                if as_checked_out { entry.id } else { content(&tree.join(&path)).unwrap_or(Oid::ZERO_SHA1) };
            files.push(File { path, content, seen });
        }
        let mut links =
            locked.inputs.iter().map(|input| input.trim_end_matches('/').to_owned()).collect::<Vec<_>>();
        while let Some(path) = links.pop() {
            let Ok(seen) = tree.join(&path).symlink_metadata() else { continue };
            if seen.is_symlink() {
                let content = content(&tree.join(&path)).unwrap_or(Oid::ZERO_SHA1);
                files.push(File { path, content, seen: Some(seen) });
            } else if seen.is_dir() {
                // Tracked files are in it too; what stands beside them is linked.
                let entries = std::fs::read_dir(tree.join(&path)).into_iter().flatten().flatten();
                links.extend(
                    entries.filter_map(|entry| Some(format!("{path}/{}", entry.file_name().to_str()?))),
                );
            }
        }
        Some(Self { tree: tree.to_owned(), files, build })
    }

    /// The files that are not as they were, or that were written to in between, each with what was done to it.
    pub(super) fn changed(&self) -> Vec<String> {
        let changed = self.files.iter().filter_map(|file| {
            let path = self.tree.join(&file.path);
            let now = path.symlink_metadata().ok();
            let what = match (&file.seen, &now) {
                (None, None) => return None,
                (Some(_), None) => "removed",
                (None, Some(_)) => "made",
                (Some(was), Some(now)) if same(was, now) => return None,
                (Some(was), Some(now)) if was.len() == now.len() && content(&path) == Some(file.content) => {
                    if self.build || !written(was, now) {
                        return None;
                    }
                    "changed and put back"
                }
                (Some(_), Some(_)) => "changed",
            };
            Some(format!("{what} {}", file.path))
        });
        changed.take(NAMED).collect()
    }
}

fn same(was: &Metadata, now: &Metadata) -> bool {
    let of = |file: &Metadata| {
        (file.ino(), file.len(), file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec())
    };
    of(was) == of(now)
}

/// Whether it was written to, or replaced; a mode or a link more is no matter where the content is the same. Times can be
/// set back, but that itself is a change of state.
fn written(was: &Metadata, now: &Metadata) -> bool {
    let explained = was.mode() != now.mode() || was.nlink() != now.nlink();
    was.ino() != now.ino() || (was.mtime(), was.mtime_nsec()) != (now.mtime(), now.mtime_nsec()) || !explained
}

fn content(path: &Path) -> Option<Oid> {
    if path.is_symlink() {
        use std::os::unix::ffi::OsStrExt;
        let target = std::fs::read_link(path).ok()?;
        return Oid::hash_object(ObjectType::Blob, target.as_os_str().as_bytes()).ok();
    }
    // A pipe would wait for somebody to write.
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    Oid::hash_file(ObjectType::Blob, path).ok()
}

fn is_lock_file(path: &str) -> bool {
    LOCK_FILES.contains(&path.rsplit('/').next().unwrap_or(path))
}
