//! Ends what the running cell is at, from beside it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::hook;

/// Whether the cell that runs was interrupted.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether a signal may have reached the user's process too late for its cell.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// A cell begins.
pub(super) fn begin() {
    INTERRUPTED.store(false, Relaxed);
}

/// Whether the cell was interrupted since it began.
pub(super) fn came() -> bool {
    INTERRUPTED.load(Relaxed)
}

/// Whether the user's process may have a signal left that no cell has seen.
pub(super) fn take_signalled() -> bool {
    SIGNALLED.swap(false, Relaxed)
}

/// Kills the compilers. Where none runs, tells the user's process by SIGINT, or with `force` kills it: evcxr
/// starts another, and this worker stays warm.
pub(super) fn now(force: bool) {
    INTERRUPTED.store(true, Relaxed);
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let children = |of: Pid| {
        let processes = system.processes().values();
        processes.filter(move |process| process.parent() == Some(of) && process.thread_kind().is_none())
    };
    let own = Pid::from_u32(getpid().as_raw().cast_unsigned());
    let (taps, compilers): (Vec<_>, Vec<_>) =
        children(own).partition(|process| process.cmd().get(1).is_some_and(|argument| argument == hook::TAP));
    if compilers.is_empty() {
        SIGNALLED.store(true, Relaxed);
        for runtime in taps.iter().flat_map(|tap| children(tap.pid())) {
            send(runtime.pid(), if force { Signal::SIGKILL } else { Signal::SIGINT });
        }
        return;
    }
    // Those first that would begin others.
    let mut all = compilers;
    let mut next = 0;
    while let Some(process) = all.get(next) {
        send(process.pid(), Signal::SIGKILL);
        all.extend(children(process.pid()));
        next += 1;
    }
}

/// The process may be gone already.
fn send(pid: Pid, signal: Signal) {
    let _ = kill(nix::unistd::Pid::from_raw(pid.as_u32().cast_signed()), signal);
}
