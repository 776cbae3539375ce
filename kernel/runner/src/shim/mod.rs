//! The shim: a small process between the runner and a run, so that the run outlives the runner.
//!
//! It starts the command of a run folder's `job.json` in a session of its own, reads what it prints
//! (metrics as they come, the log bounded), holds its timeout, ends its whole process tree, and says
//! in `end.json` how it ended. It talks to nobody: a runner looks at the folder, and another runner
//! may do so after the first one died.
//!
//! | file | what |
//! |---|---|
//! | `job.json` | [`Job`]: what to do, written by the runner |
//! | `shim.pid` | [`Process`]: this process; made once, so that a folder is never run twice |
//! | `log` | what the command printed: 4 MiB from its beginning, 4 MiB up to its end |
//! | `metrics.jsonl` | one [`Row`](lab::metrics::Row) a line, as they are printed, and what the GPU tells meanwhile |
//! | `end.json` | [`End`], by rename, when nothing of the run is left |

use std::io;
use std::path::Path;
use std::time::Duration;

pub(crate) mod group;
mod job;
mod locked;
mod log;
mod meter;
mod process;
mod rows;
mod telemetry;
mod tree;
mod watch;
mod written;

pub use job::{End, Job, JobError, Watch, read_end, read_job};

use crate::processes::Process;

/// How long after a failed try the end of a run is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the job in `folder` to its end. Returns 0 where an `end.json` says how it ended, 1 otherwise.
pub fn run(folder: &Path) -> i32 {
    // A session of its own: neither a terminal's hangup nor a signal to the runner's group reaches it.
    let _ = nix::unistd::setsid();
    match try_run(folder) {
        Ok(()) => 0,
        Err(error) => {
            // Nobody reads a shim's output; the folder is the only place where it can be told.
            let _ = std::fs::write(folder.join("shim.error"), format!("{error}\n"));
            1
        }
    }
}

fn try_run(folder: &Path) -> io::Result<()> {
    let job = read_job(folder).map_err(io::Error::other)?;
    take(folder)?;
    crate::executor::share::pin(&job.cores);
    let started = job::reserve_end(folder).and_then(|()| watch::watch(&job, folder));
    let end = match started {
        Ok(end) => end,
        Err(error) => End::failed(format!("the run could not be started: {error}")),
    };
    if let Some(policy) = &job.sandbox {
        clear(&policy.scratch);
    }
    // Hours of work may hang on it: where it cannot be written now, it is tried until it can.
    loop {
        match job::write_end(folder, &end) {
            Ok(()) => return Ok(()),
            Err(error) if !folder.is_dir() || asked_to_go() => return Err(error),
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

/// Whether somebody has sent the signal that ends a run; it stays blocked, and is only looked for.
fn asked_to_go() -> bool {
    let pending = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |name: &str| {
        let line = pending.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    let terminate = 1_u64 << (nix::sys::signal::Signal::SIGTERM as u64 - 1);
    (mask("SigPnd:") | mask("ShdPnd:")) & terminate != 0
}

/// Sees to it that no shim takes a run folder any more: one that was started by a runner which was killed at that
/// moment may be on its way. Where one has it already, nothing changes.
pub(crate) fn bar(folder: &Path) {
    let nobody = Process { pid: 0, start: 0 };
    let own = folder.join("shim.pid.nobody");
    if let Ok(text) = serde_json::to_vec(&nobody)
        && std::fs::write(&own, text).is_ok()
    {
        let _ = std::fs::hard_link(&own, folder.join("shim.pid"));
        let _ = std::fs::remove_file(&own);
    }
}

/// Removes a run's temporary files, whatever it has done to the rights on its folders.
pub(crate) fn clear(scratch: &Path) {
    use std::os::unix::fs::PermissionsExt;

    if scratch.as_os_str().is_empty() || std::fs::remove_dir_all(scratch).is_ok() {
        return;
    }
    let mut next = vec![scratch.to_owned()];
    while let Some(folder) = next.pop() {
        if !folder.is_symlink()
            && std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).is_ok()
        {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            next.extend(
                entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()),
            );
        }
    }
    let _ = std::fs::remove_dir_all(scratch);
}

/// Makes `shim.pid`, or fails where another shim has made it before.
fn take(folder: &Path) -> io::Result<()> {
    let process = Process::current();
    let own = folder.join(format!("shim.pid.{}", process.pid));
    std::fs::write(&own, serde_json::to_vec(&process).map_err(io::Error::other)?)?;
    // A link is made whole or not at all, and never over another.
    let taken = std::fs::hard_link(&own, folder.join("shim.pid"));
    std::fs::remove_file(&own)?;
    taken
}

/// The shim of `folder`, where it has started.
pub(crate) fn process(folder: &Path) -> Option<Process> {
    serde_json::from_slice(&std::fs::read(folder.join("shim.pid")).ok()?).ok()
}
