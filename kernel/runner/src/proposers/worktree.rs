//! What a program does in a worktree of its own: its processes, and what it changed there.

use std::path::Path;
use std::process::Stdio;

use lab::{Lab, RECORDS};
use ledger::Edit;
use tokio::process::Command;

use super::words::Words;
use super::{Brief, Proposal, ProposeError};
use crate::processes;

/// The mark of everything that one proposal starts. What is left of it is killed when the proposal
/// ends, in whatever way: it could go on editing. It is also written to a file, for the next runner.
pub(super) struct Mark(pub(super) String);

impl Mark {
    pub(super) fn new(folder: &Path) -> Result<Self, ProposeError> {
        let mark = uuid::Uuid::now_v7().to_string();
        crate::paths::write_whole(&folder.with_file_name("run"), mark.as_bytes())
            .map_err(|e| ProposeError::Failed(e.to_string()))?;
        Ok(Self(mark))
    }
}

/// The marks of what the proposers in `folder` have started last.
pub(crate) fn marks(folder: &Path) -> Vec<String> {
    let proposers = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let marks = proposers.filter_map(|proposer| std::fs::read_to_string(proposer.path().join("run")).ok());
    marks.map(|mark| mark.trim().to_owned()).collect()
}

impl Drop for Mark {
    fn drop(&mut self) {
        crate::blocking::here(|| processes::sweep(std::slice::from_ref(&self.0)));
    }
}

/// What was changed in a worktree.
pub(super) struct Changes {
    edits: Vec<Edit>,
    /// Paths that may not be changed.
    dropped: Vec<String>,
}

impl Changes {
    /// What was changed: edits of editable files, and the paths of other changes.
    pub(super) async fn of(folder: &Path, brief: &Brief) -> Result<Self, ProposeError> {
        let lab = Lab { editable: brief.editable.clone(), ..Lab::default() };
        let editable = lab.editable();
        let failed = |e: std::io::Error| ProposeError::Failed(format!("its changes could not be read: {e}"));
        let status = Command::new("git")
            .args(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(failed)?;
        if !status.status.success() {
            return Err(ProposeError::Failed(String::from_utf8_lossy(&status.stderr).into_owned()));
        }
        let (mut edits, mut dropped) = (Vec::new(), Vec::new());
        for entry in status.stdout.split(|b| *b == 0).filter(|entry| entry.len() > 3) {
            let path = String::from_utf8_lossy(&entry[3..]).into_owned();
            if Path::new(&path).starts_with(RECORDS) {
                continue;
            }
            if !editable.contains(&path) {
                dropped.push(path);
                continue;
            }
            let content = read_file(folder, &path).map_err(failed)?;
            if content.as_ref() != brief.files.get(&path) {
                edits.push(Edit { path, content });
            }
        }
        Ok(Self { edits, dropped })
    }

    /// The proposal that it comes to; `who` made it.
    pub(super) fn proposal(self, who: &str, mut words: Words) -> Result<Proposal, ProposeError> {
        let Self { edits, dropped } = self;
        let note = (!dropped.is_empty()).then(|| {
            let shown: Vec<&str> = dropped.iter().take(5).map(String::as_str).collect();
            let more = dropped.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("changes outside the editable files were dropped: {}{more}", shown.join(", "))
        });
        if edits.is_empty() {
            let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
            return Err(ProposeError::Nothing(format!("{who} changed no editable file{note}")));
        }
        if words.hypothesis.is_empty() {
            let paths: Vec<&str> = edits.iter().map(|edit| edit.path.as_str()).collect();
            words.hypothesis = format!("changes {}", paths.join(", "));
        }
        Ok(Proposal::said(words, edits, note))
    }
}

/// A regular file's content; `None` where it was deleted. No link on the way to it is followed.
fn read_file(folder: &Path, path: &str) -> std::io::Result<Option<Vec<u8>>> {
    let mut way = folder.to_owned();
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        way.push(part);
        match way.symlink_metadata() {
            Ok(it) if it.is_dir() && parts.peek().is_some() => {}
            Ok(it) if it.is_file() && parts.peek().is_none() => return std::fs::read(way).map(Some),
            Ok(_) => return Err(std::io::Error::other(format!("{path} is not a regular file"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// A hypothesis stands on one line of tables and commit messages.
pub(super) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > 500 { text.chars().take(499).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_is_read_only_where_no_link_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("tree");
        std::fs::create_dir_all(here.join("src")).unwrap();
        std::fs::write(here.join("src/a.py"), "x").unwrap();
        std::fs::write(folder.path().join("a.py"), "secret").unwrap();
        std::os::unix::fs::symlink("..", here.join("out")).unwrap();
        std::os::unix::fs::symlink("../../a.py", here.join("src/b.py")).unwrap();
        assert_eq!(read_file(&here, "src/a.py").unwrap(), Some(b"x".to_vec()));
        assert_eq!(read_file(&here, "src/none.py").unwrap(), None);
        for path in ["out/a.py", "src/b.py", "src", "src/a.py/b"] {
            assert!(read_file(&here, path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_hypothesis_stands_on_one_line() {
        assert_eq!(one_line(" two\nlines "), "two lines");
        assert_eq!(one_line(&"é".repeat(900)).chars().count(), 500);
    }
}
