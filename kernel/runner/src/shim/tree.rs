//! Ending a whole process tree.
//!
//! The shim is a subreaper, so whatever the command started, however often it forked and whatever
//! session it fled to, is a descendant of the shim until it ends.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::processes;

/// How often the tree is looked through for what was forked meanwhile.
const ROUNDS: usize = 100;

/// Sends `signal` to every descendant, and says how many there were.
pub(super) fn signal(signal: Signal) -> usize {
    let found = processes::descendants(nix::unistd::getpid().as_raw());
    for pid in &found {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
    found.len()
}

/// Stops every descendant, until there is none that still runs: what forks faster than it is killed must stand still first.
pub(super) fn freeze() {
    let mut stopped = std::collections::HashSet::new();
    for _ in 0..ROUNDS {
        let found = processes::descendants(nix::unistd::getpid().as_raw());
        let mut new = false;
        for pid in found {
            if stopped.insert(pid) {
                new = true;
                let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
            }
        }
        if !new {
            return;
        }
    }
}

/// How many descendants live.
pub(super) fn alive() -> usize {
    processes::descendants(nix::unistd::getpid().as_raw()).len()
}

/// Reaps whatever has ended. Returns how `main` ended, if it was among them.
pub(super) fn reap(main: Pid) -> Option<String> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => {
                ended = Some(if code == 0 { "0".to_owned() } else { format!("exit {code}") });
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                ended = Some(format!("signal {}", signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}
