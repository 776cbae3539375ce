//! Waits for a `git gc` that drops what is new: objects that are written while it runs could be lost.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::Ledger;

/// How often it is looked whether the collection is over.
const LOOK: Duration = Duration::from_millis(20);
/// No collection is waited for longer: a process id may have gone to another `git gc`.
const PATIENCE: Duration = Duration::from_secs(3600);

impl Ledger {
    /// Waits until no `git gc` runs that drops objects whatever their age (`--prune=now`).
    ///
    /// An ordinary one leaves what is younger than two weeks, and is not waited for. Between the objects of an
    /// append and the ref that keeps them lie milliseconds, and such a collection may delete what it found
    /// without a ref at its start.
    pub(crate) fn wait_for_collection(&self) {
        let started = Instant::now();
        while self.collects() && started.elapsed() < PATIENCE {
            thread::sleep(LOOK);
        }
    }

    /// Whether any `git gc` runs, of whatever kind.
    pub(crate) fn is_collected(&self) -> bool {
        self.collector().is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// The process that git's own lock names, if it is of this machine. It may have ended.
    fn collector(&self) -> Option<u32> {
        let text = fs::read_to_string(self.repo.commondir().join("gc.pid")).ok()?;
        let (pid, of) = text.trim().split_once(' ')?;
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        pid.parse().ok().filter(|_| Some(of) == host.as_deref())
    }

    fn collects(&self) -> bool {
        let Some(pid) = self.collector() else { return false };
        let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        let mut arguments = arguments.split(|byte| *byte == 0);
        arguments.any(|argument| argument.starts_with(b"--prune")) || self.prunes_by_itself(pid)
    }

    /// Whether the researcher has git drop new objects without being asked.
    fn prunes_by_itself(&self, pid: u32) -> bool {
        let config = self.repo.config().and_then(|mut config| config.snapshot());
        let expire = config.and_then(|config| config.get_string("gc.pruneExpire"));
        let git = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        git.trim_end() == "git" && expire.is_ok_and(|when| when == "now" || when == "all")
    }
}
