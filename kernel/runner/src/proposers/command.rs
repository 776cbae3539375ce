//! `command:PROGRAM`: any program that edits a folder.
//!
//! It runs in a folder that holds the parent's tree, gets the [`Brief`] as JSON on standard input,
//! edits editable files in place, and may print one JSON object `{"hypothesis": …}` (with `"cost":
//! {"usd", "input_tokens", "output_tokens"}` where it knows). Exit 0 with no change means that it has
//! nothing to propose. What it changes elsewhere is dropped, and said. The ledger is readable as files in `.overnight/`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use lab::{Cost, RECORDS};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::records::Records;
use super::worktree::{Changes, Mark};
use super::{Brief, Proposal, ProposeError, Proposer};
use crate::environment::Variables;
use crate::processes::MARK;
use crate::store::Store;

/// How long one proposal may take.
pub const TIMEOUT: Duration = Duration::from_mins(10);
/// How much of its output is read.
const OUTPUT: u64 = 1 << 20;

/// A program that proposes.
pub struct CommandProposer {
    program: String,
    folder: PathBuf,
    store: Store,
    records: Records,
    variables: Variables,
    timeout: Duration,
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
        let records = Records::new(&store);
        Self { program: program.to_owned(), folder, store, records, variables, timeout }
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
        let kept = [RECORDS.to_owned()];
        self.store.worktree(&self.folder, &brief.parent, &kept).await.map_err(failed)?;
        self.records.write(&self.folder, brief, &self.records.page(brief));
        let mark = Mark::new(&self.folder)?;
        let answer = self.run(brief, &mark.0).await;
        drop(mark);
        let answer = answer?;
        *cost += answer.cost.unwrap_or_default();
        let changes = Changes::of(&self.folder, brief).await?;
        changes.proposal(&format!("`{}`", self.program), answer.hypothesis)
    }
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
    }
}
