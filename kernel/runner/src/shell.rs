//! A command line of the user's own: a proposer, a hook.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::environment::Variables;
use crate::processes::MARK;

/// How much of its output is read.
const OUTPUT: u64 = 1 << 20;

/// How a command line is run, by `sh -c`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shell<'a> {
    pub(crate) folder: &'a Path,
    /// The user's environment, whole: it may need a key that candidates must not see.
    pub(crate) variables: &'a Variables,
    /// What marks every process that it starts, so that whatever it leaves behind can be found.
    pub(crate) mark: &'a str,
    pub(crate) timeout: Duration,
}

impl Shell<'_> {
    /// Runs a command line with `input` on its standard input; what it printed.
    ///
    /// # Errors
    /// What went wrong, as what follows its name in a sentence.
    pub(crate) async fn run(&self, command: &str, input: &[u8]) -> Result<Vec<u8>, String> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .current_dir(self.folder)
            .env_clear()
            .envs(&self.variables.0)
            .env(MARK, self.mark)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("could not be started: {e}"))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // One that does not read its input is none the worse.
                    let _ = stdin.write_all(input).await;
                }
            };
            // Not by `wait_with_output`: what it leaves behind may hold the pipes open.
            let ((), out, err, status) = tokio::join!(write, read(stdout), read(stderr), child.wait());
            (out, err, status)
        };
        let Ok((out, err, status)) = tokio::time::timeout(self.timeout, talk).await else {
            return Err(format!("took longer than {} s", self.timeout.as_secs()));
        };
        let status = status.map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(format!("ended with {status}: {}", crate::executor::tail(&err, 5)));
        }
        Ok(out)
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
