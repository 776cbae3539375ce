//! `git` as it talks to another machine, with the user's own ssh, credentials and proxies.
//!
//! What it says may hold addresses with a password in them: none gets into a message.

use std::{
    ffi::OsString,
    io::{Read, Write as _},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{LedgerError, git::Git};

/// How often it is looked whether a command has ended, or is to be ended.
const LOOK: Duration = Duration::from_millis(10);

/// How `git` talks to another machine.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// Whether it may ask for a password, as in a terminal.
    pub asks: bool,
    /// Once it is set, the command that is on is ended.
    pub stop: Arc<AtomicBool>,
}

/// What a command said.
pub(crate) struct Said {
    /// Whether it did what it was asked for.
    pub(crate) done: bool,
    /// What it printed.
    pub(crate) out: String,
    /// What it complained about, without passwords.
    pub(crate) complaint: String,
}

impl Transport {
    /// Runs a command to its end, with `input` as its standard input.
    pub(crate) fn run(&self, git: &Git, arguments: &[OsString], input: &str) -> Result<Said, LedgerError> {
        let mut command = git.command();
        if !self.asks {
            // ssh would ask the terminal that the notebook's server was started from.
            command.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force");
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(LedgerError::NoGit)?;
        let (out, complaint) = (drain(child.stdout.take()), drain(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = self.wait(&mut child)?;
        Ok(Said {
            done,
            out: out.join().unwrap_or_default(),
            complaint: redacted(complaint.join().unwrap_or_default().trim()),
        })
    }

    fn wait(&self, child: &mut Child) -> Result<bool, LedgerError> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(LedgerError::Interrupted);
            }
            match child.try_wait().map_err(LedgerError::NoGit)? {
                Some(status) => return Ok(status.success()),
                None => thread::sleep(LOOK),
            }
        }
    }
}

/// Reads a pipe to its end on another thread, so that none fills up.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A text without the user's name and password in the addresses that it holds.
///
/// ```
/// assert_eq!(ledger::redacted("push to https://ada:s3cret@example.org/lab.git"), "push to https://example.org/lab.git");
/// ```
pub fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/'\"<>`".contains(c)).unwrap_or(after.len());
        rest = &after[after[..end].rfind('@').map_or(0, |at| at + 1)..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_taken_out_of_addresses() {
        for (told, shown) in [
            ("https://ada:p@ss@host/x", "https://host/x"),
            ("fatal: 'ssh://git@host:22/x' and https://t0ken@h", "fatal: 'ssh://host:22/x' and https://h"),
            ("git@host:lab.git", "git@host:lab.git"),
            ("file:///a@b/c", "file:///a@b/c"),
            ("https://", "https://"),
        ] {
            assert_eq!(redacted(told), shown);
        }
    }

    proptest! {
        #[test]
        fn no_password_is_left(before in ".{0,9}", password in "[a-z0-9@:]{8}", after in "(/.{0,9})?") {
            let text = format!("{before}https://ada:Pw{password}@example.org{after}");
            prop_assert!(!redacted(&text).contains(&format!("Pw{password}")), "{}", redacted(&text));
        }
    }
}
