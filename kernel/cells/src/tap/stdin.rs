//! The standard input of the user's process: evcxr's commands, and the answers of the person at the notebook.
//!
//! Code that reads standard input by itself, without asking first, is found by the system call that it waits in;
//! the question is then asked in its place.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::ChildStdin;
use std::time::Duration;

/// How often a running cell is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// Looks in a row that find it reading: one alone may be before the answer has reached it.
const LOOKS: u32 = 2;

/// What evcxr sends to have a cell run.
const RUN: &str = "LOAD_AND_RUN ";

/// The way of commands and answers.
pub(super) struct Input {
    from: BufReader<File>,
    /// None once evcxr has closed its end.
    to: Option<ChildStdin>,
    pid: u32,
    /// A cell runs.
    running: bool,
    /// A question has been asked that is not answered yet.
    asked: bool,
    seen: u32,
}

impl Input {
    pub(super) fn new(to: ChildStdin, pid: u32) -> io::Result<Self> {
        // Not through the standard library's own buffer, behind which `poll` does not see.
        let from = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
        Ok(Self { from, to: Some(to), pid, running: false, asked: false, seen: 0 })
    }

    pub(super) fn is_open(&self) -> bool {
        self.to.is_some()
    }

    /// Passes on the lines that have come; call it when there is something to read.
    pub(super) fn pass(&mut self) -> io::Result<()> {
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line)? == 0 {
                self.to = None;
                return Ok(());
            }
            self.seen = 0;
            if line.starts_with(RUN) {
                (self.running, self.asked) = (true, false);
            } else {
                self.asked = false;
            }
            if let Some(to) = &mut self.to {
                // A process that is gone is met elsewhere, with its exit status.
                let _ = to.write_all(line.as_bytes()).and_then(|()| to.flush());
            }
            if self.from.buffer().is_empty() {
                return Ok(());
            }
        }
    }

    /// The cell has been executed.
    pub(super) fn finished(&mut self) {
        self.running = false;
    }

    /// The cell has asked by itself.
    pub(super) fn has_asked(&mut self) {
        self.asked = true;
    }

    /// Whether to look now and then.
    pub(super) fn may_ask(&self) -> bool {
        self.running && !self.asked
    }

    /// Whether the cell waits for a line that nobody has asked for yet.
    pub(super) fn is_wanted(&mut self) -> bool {
        if !self.may_ask() || !reads_stdin(self.pid) {
            self.seen = 0;
            return false;
        }
        self.seen += 1;
        self.asked = self.seen >= LOOKS;
        self.asked
    }
}

/// Whether a thread of the process waits in `read(0, …)`. Linux tells; elsewhere nobody is asked.
fn reads_stdin(pid: u32) -> bool {
    #[cfg(target_os = "linux")]
    {
        let read = format!("{} 0x0 ", nix::libc::SYS_read);
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("syscall")).ok())
            .any(|call| call.starts_with(&read))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        false
    }
}
