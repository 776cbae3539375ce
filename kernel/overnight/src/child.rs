//! Programs that a command starts, and waits for.

use std::io;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Ends the whole process group of a child when it is dropped, as it is by an interrupt.
pub(crate) struct Group(Option<u32>);

/// Starts a program as the leader of a group of its own, with nothing to read and its output to be taken.
pub(crate) fn start(command: &mut Command) -> io::Result<(Child, Group)> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group(child.id());
    Ok((child, group))
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It has most often ended by itself.
            let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}
