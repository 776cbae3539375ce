//! `command:PROGRAM`: any program that edits a folder.
//!
//! It runs in a folder that holds the parent's tree, gets the [`Brief`] as JSON on standard input,
//! edits editable files in place, and may print one JSON object `{"hypothesis": …}` (with `"cost":
//! {"usd", "input_tokens", "output_tokens"}` where it knows). Exit 0 with no change means that it has
//! nothing to propose. What it changes elsewhere is dropped, and said.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use lab::{Cost, Lab};
use ledger::Edit;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{Brief, Proposal, ProposeError, Proposer};
use crate::environment::Variables;
use crate::processes::{self, MARK};
use crate::store::Store;

/// How long one proposal may take.
pub const TIMEOUT: Duration = Duration::from_secs(600);
/// How much of its output is read.
const OUTPUT: u64 = 1 << 20;

/// A program that proposes.
pub struct CommandProposer {
    program: String,
    folder: PathBuf,
    store: Store,
    variables: Variables,
    timeout: Duration,
}

/// The mark of everything that one proposal starts. What is left of it is killed when the proposal
/// ends, in whatever way: it could go on editing. It is also written to a file, for the next runner.
struct Mark(String);

impl Mark {
    fn new(folder: &Path) -> Result<Self, ProposeError> {
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

/// What it may print.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    hypothesis: Option<String>,
    cost: Option<Cost>,
}

impl CommandProposer {
    /// The command line `program`, run by `sh -c` in a worktree at `folder`. It gets `variables` whole,
    /// for it may need a key that candidates must not see.
    pub fn new(
        program: &str,
        folder: PathBuf,
        store: Store,
        variables: Variables,
        timeout: Duration,
    ) -> Self {
        Self { program: program.to_owned(), folder, store, variables, timeout }
    }

    async fn run(&self, brief: &Brief, mark: &str) -> Result<Answer, ProposeError> {
        let failed = |what: String| ProposeError::Failed(format!("`{}` {what}", self.program));
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.program])
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.variables.0)
            .env(MARK, mark)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(format!("could not be started: {e}")))?;
        let json = serde_json::to_vec(brief).map_err(|e| failed(e.to_string()))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A program that does not read its brief is none the worse.
                    let _ = stdin.write_all(&json).await;
                }
            };
            // Not by `wait_with_output`: what it leaves behind may hold the pipes open.
            let ((), out, err, status) = tokio::join!(write, read(stdout), read(stderr), child.wait());
            (out, err, status)
        };
        let Ok((out, err, status)) = tokio::time::timeout(self.timeout, talk).await else {
            return Err(failed(format!("took longer than {} s", self.timeout.as_secs())));
        };
        let status = status.map_err(|e| failed(e.to_string()))?;
        if !status.success() {
            return Err(failed(format!("ended with {status}: {}", crate::executor::tail(&err, 5))));
        }
        Ok(answer(&out))
    }

    /// What was changed: edits of editable files, and the paths of other changes.
    async fn changes(&self, brief: &Brief, lab: &Lab) -> Result<(Vec<Edit>, Vec<String>), ProposeError> {
        let failed = |e: std::io::Error| ProposeError::Failed(format!("its changes could not be read: {e}"));
        let status = Command::new("git")
            .args(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"])
            .current_dir(&self.folder)
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
            if !lab.is_editable(&path) {
                dropped.push(path);
                continue;
            }
            let content = read_file(&self.folder.join(&path)).map_err(failed)?;
            if content.as_ref() != brief.files.get(&path) {
                edits.push(Edit { path, content });
            }
        }
        Ok((edits, dropped))
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(OUTPUT).read_to_end(&mut bytes).await;
        // What is more than that is read all the same, so that the program does not hang.
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    bytes
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

/// The last JSON object that it printed, on a line of its own or over the whole output.
fn answer(out: &[u8]) -> Answer {
    serde_json::from_slice(out).ok().unwrap_or_else(|| {
        let text = String::from_utf8_lossy(out);
        text.lines()
            .rev()
            .filter(|line| line.trim_start().starts_with('{'))
            .find_map(|line| serde_json::from_str(line).ok())
            .unwrap_or_default()
    })
}

#[async_trait]
impl Proposer for CommandProposer {
    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        let failed = |e: crate::RunnerError| ProposeError::Failed(e.to_string());
        self.store.worktree(&self.folder, &brief.parent, &[]).await.map_err(failed)?;
        let mark = Mark::new(&self.folder)?;
        let answer = self.run(brief, &mark.0).await;
        drop(mark);
        let answer = answer?;
        *cost += answer.cost.unwrap_or_default();
        let lab = Lab { editable: brief.editable.clone(), ..Lab::parse("").map_err(|e| failed(e.into()))? };
        let (edits, dropped) = self.changes(brief, &lab).await?;
        let note = (!dropped.is_empty()).then(|| {
            let shown: Vec<&str> = dropped.iter().take(5).map(String::as_str).collect();
            let more = dropped.len().saturating_sub(5);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("changes outside the editable files were dropped: {}{more}", shown.join(", "))
        });
        if edits.is_empty() {
            let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
            return Err(ProposeError::Nothing(format!("`{}` changed no editable file{note}", self.program)));
        }
        let paths: Vec<&str> = edits.iter().map(|edit| edit.path.as_str()).collect();
        let hypothesis = answer.hypothesis.unwrap_or_else(|| format!("changes {}", paths.join(", ")));
        Ok(Proposal { hypothesis: one_line(&hypothesis), edits, note })
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
    fn the_answer_is_the_last_object_printed() {
        let hypothesis = |out: &str| answer(out.as_bytes()).hypothesis;
        assert_eq!(hypothesis("{\"hypothesis\": \"a\"}").as_deref(), Some("a"));
        assert_eq!(hypothesis("thinking…\n{\"hypothesis\": \"b\"}\ndone\n").as_deref(), Some("b"));
        assert_eq!(hypothesis("{\n \"hypothesis\": \"c\"\n}\n").as_deref(), Some("c"));
        assert_eq!(hypothesis("nothing"), None);
        assert_eq!(one_line(" two\nlines "), "two lines");
    }
}
