//! `!command` and `%%bash`: what they print streams into the cell, and an interrupt ends them.

use jupyter::Io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::surroundings::Surroundings;
use crate::child;
use crate::failure::Failure;

/// Runs `script` with `shell`.
pub(super) async fn run(shell: &str, script: &str, here: &Surroundings, io: &Io) -> Result<(), Failure> {
    let mut command = Command::new(shell);
    command.args(["-c", script]).current_dir(&here.folder).envs(&here.set);
    let (mut child, _group) =
        child::start(&mut command).map_err(|error| Failure::new(format!("cannot start {shell}: {error}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (_, _, status) = tokio::join!(
        stream(stdout, |text| io.stdout(text)),
        stream(stderr, |text| io.stderr(text)),
        child.wait()
    );
    let status = status.map_err(|error| Failure::new(format!("cannot wait for {shell}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{shell} ended with {status}"))) }
}

/// Passes text on as it comes, never cutting a character.
async fn stream(from: Option<impl AsyncRead + Unpin>, write: impl Fn(&str)) {
    let Some(mut from) = from else { return };
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        pending.extend_from_slice(&buffer[..read]);
        let whole = match std::str::from_utf8(&pending) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => pending.len(),
        };
        write(&String::from_utf8_lossy(&pending[..whole]));
        pending.drain(..whole);
    }
    if !pending.is_empty() {
        write(&String::from_utf8_lossy(&pending));
    }
}
