//! One worker process, from its start to its end, and how to end it from outside.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Config;
use super::control::Control;
use super::folder::Folder;
use crate::error::CellsError;
use crate::message::{Reply, Request};
use crate::prelude::Prelude;
use crate::{tap, worker};

/// How many of the worker's own last lines are kept.
const LAST_LINES: usize = 20;
/// Where rust-analyzer looks for the standard library's source first.
const RUST_ANALYZER_STD: &str = "RUST_SRC_PATH";
/// With these, cargo would not read what the prelude's folder says to rust-analyzer; evcxr sets its own.
const FLAGS: [&str; 2] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];
/// A killed process is gone in no time, unless the machine is in trouble.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A worker that has been started.
pub(super) struct Process {
    child: Child,
    requests: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
    errors: Option<Lines<BufReader<ChildStderr>>>,
    last_lines: VecDeque<String>,
    /// Set while the worker may live, so that dropping this ends it with all that it started.
    control: Arc<Control>,
}

/// What came from a worker.
pub(super) enum Heard {
    Reply(Reply),
    /// A line of the compiler's progress: `Compiling serde v1.0.229`.
    Progress(String),
    /// There will be no more replies.
    End,
}

impl Process {
    pub(super) fn start(
        config: &Config,
        folder: &Folder,
        prelude: Option<&Prelude>,
        control: &Arc<Control>,
    ) -> Result<Self, CellsError> {
        let failed = |source| CellsError::Start {
            program: config.program.clone(),
            directory: config.directory.clone(),
            source,
        };
        let mut command = Command::new(&config.program);
        for name in FLAGS {
            command.env_remove(name);
        }
        let mut child = command
            .args(&config.args)
            .current_dir(&config.directory)
            .envs(config.env.iter().map(|(name, value)| (name, value)))
            .envs(prelude.map(|prelude| (worker::PRELUDE, prelude.crate_folder())))
            .envs(prelude.and_then(|prelude| Some((RUST_ANALYZER_STD, prelude.standard()?))))
            .env("EVCXR_TMPDIR", folder.evcxr())
            .env(tap::OUTPUT, folder.output())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Signals to the kernel's group (an interrupt from a terminal) do not reach it, and a
            // signal to its own group reaches compilers and whatever the cells have started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let parts = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(requests), Some(replies), Some(errors)) = parts else {
            return Err(failed(std::io::Error::other("it has no pipes")));
        };
        control.started(child.id().map(|id| Pid::from_raw(id as i32)));
        Ok(Self {
            child,
            requests,
            replies: BufReader::new(replies).lines(),
            errors: Some(BufReader::new(errors).lines()),
            last_lines: VecDeque::new(),
            control: Arc::clone(control),
        })
    }

    /// Sends a request. That the worker is gone shows when it is listened to.
    pub(super) async fn send(&mut self, request: &Request) {
        if let Ok(mut line) = serde_json::to_vec(request) {
            line.push(b'\n');
            let _ = self.requests.write_all(&line).await;
        }
    }

    /// Waits for the next thing that the worker says. Nothing is lost when this is cancelled.
    pub(super) async fn hear(&mut self) -> Result<Heard, CellsError> {
        loop {
            tokio::select! {
                line = self.replies.next_line() => {
                    let Ok(Some(line)) = line else { return Ok(Heard::End) };
                    return match serde_json::from_str(&line) {
                        Ok(reply) => Ok(Heard::Reply(reply)),
                        Err(_) => Err(CellsError::Protocol { line }),
                    };
                }
                line = next_error(&mut self.errors) => {
                    if let Some(progress) = self.note(line) {
                        return Ok(Heard::Progress(progress));
                    }
                }
            }
        }
    }

    /// Waits until the worker says nothing more.
    pub(super) async fn silence(&mut self) {
        while !matches!(self.hear().await, Ok(Heard::End) | Err(_)) {}
    }

    /// Keeps a line of standard error, or gives it back where it is progress.
    fn note(&mut self, line: Option<String>) -> Option<String> {
        let Some(line) = line else {
            self.errors = None;
            return None;
        };
        if line.trim_start().starts_with("Compiling ") {
            return Some(line);
        }
        tracing::debug!(target: "cells::worker", "{line}");
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
        None
    }

    /// Ends the worker and all that it started; how it ended, and its last words.
    pub(super) async fn end(mut self, control: &Control) -> (Option<ExitStatus>, String) {
        // A worker that has closed its replies has its exit status already; killing its group does
        // not change that. Not later: after the wait its number may be given to another.
        control.ended();
        let status = timeout(END_LIMIT, self.child.wait()).await.ok().and_then(Result::ok);
        let rest = async {
            while self.errors.is_some() {
                let line = next_error(&mut self.errors).await;
                self.note(line);
            }
        };
        let _ = timeout(Duration::from_millis(200), rest).await;
        let words: Vec<String> = std::mem::take(&mut self.last_lines).into();
        (status, words.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.control.ended();
    }
}

/// The next line of standard error, `None` at its end; for ever silent after that.
async fn next_error(errors: &mut Option<Lines<BufReader<ChildStderr>>>) -> Option<String> {
    match errors {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}
