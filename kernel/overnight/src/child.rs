//! Programs that a command starts, and waits for.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// Ends the whole process group of a child when it is dropped, as it is by an interrupt.
pub(crate) struct Group(Option<u32>);

impl Group {
    /// The group that `child` leads: it was started with `process_group(0)`.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It has most often ended by itself.
            let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}
