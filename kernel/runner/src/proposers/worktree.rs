//! What a program does in a worktree of its own: its processes, and what it changed there.

use std::path::Path;
use std::process::Stdio;

use lab::Lab;
use ledger::Edit;
use tokio::process::Command;

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
            if !editable.contains(&path) {
                dropped.push(path);
                continue;
            }
            let content = read_file(&folder.join(&path)).map_err(failed)?;
            if content.as_ref() != brief.files.get(&path) {
                edits.push(Edit { path, content });
            }
        }
        Ok(Self { edits, dropped })
    }

    /// The proposal that it comes to; `who` made it.
    pub(super) fn proposal(self, who: &str, hypothesis: Option<String>) -> Result<Proposal, ProposeError> {
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
        let paths: Vec<&str> = edits.iter().map(|edit| edit.path.as_str()).collect();
        let hypothesis = hypothesis.unwrap_or_else(|| format!("changes {}", paths.join(", ")));
        Ok(Proposal { hypothesis: one_line(&hypothesis), edits, note, by: None })
    }
}

/// A regular file's content; `None` where it was deleted. A link is not followed out of the folder.
fn read_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match path.symlink_metadata() {
        Ok(file) if file.is_file() => std::fs::read(path).map(Some),
        Ok(_) => Err(std::io::Error::other(format!("{} is not a regular file", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A hypothesis stands on one line of tables and commit messages.
pub(super) fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > 500 { text.chars().take(499).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hypothesis_stands_on_one_line() {
        assert_eq!(one_line(" two\nlines "), "two lines");
        assert_eq!(one_line(&"é".repeat(900)).chars().count(), 500);
    }
}
