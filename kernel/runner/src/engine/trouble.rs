//! A machine in trouble: the disk is full or read-only, a file server is away. The loop pauses, keeps what it has
//! and what still runs, and goes on by itself once that is over.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Engine;
use super::alerts::Alert;
use crate::RunnerError;

/// How long after trouble work is tried again; twice as long each time that it comes back.
const FIRST: Duration = Duration::from_secs(1);
/// Longest time until it is looked at again.
const LONGEST: Duration = Duration::from_secs(30);
/// So much must fit on a disk that is to be written again, in bytes.
const ROOM: usize = 256 << 10;

/// What keeps the loop from writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// How long it is waited for this time.
    wait: Duration,
    /// When it is looked at again.
    next: Instant,
    /// Whether it was over when it was last looked at; work has not yet shown that it is.
    pub(crate) over: bool,
}

impl Engine {
    /// Pauses because of an error that may pass. Whether it is one: nothing is lost by waiting, for everything that
    /// matters is in the journal, in run folders, or in experiments that are queued again.
    pub(super) fn endure(&self, error: &RunnerError) -> bool {
        let Some(what) = error.trouble() else { return false };
        let mut live = self.live();
        let wait = live.trouble.map_or(FIRST, |trouble| (trouble.wait * 2).min(LONGEST));
        live.trouble = Some(Trouble { wait, next: Instant::now() + wait, over: false });
        let problem = format!(
            "paused: {what}: {error}. It goes on by itself once that is mended, at once by `loop resume`"
        );
        live.problem = Some(problem.clone());
        drop(live);
        self.alert(Alert::Trouble, &problem);
        tracing::warn!(%error, "the loop waits until {what} no more");
        true
    }

    /// How long until work may be tried again; `None` where nothing is wrong.
    pub(super) fn enduring(&self) -> Option<Duration> {
        let trouble = self.live().trouble.filter(|trouble| !trouble.over)?;
        let left = trouble.next.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(left);
        }
        match self.probe() {
            Ok(()) => {
                let mut live = self.live();
                live.problem = None;
                live.alerts.settle(Alert::Trouble);
                if let Some(trouble) = &mut live.trouble {
                    trouble.over = true;
                }
                None
            }
            Err(error) if self.endure(&error) => Some(Duration::ZERO),
            // Another trouble, which waiting does not mend: work will meet it, and end with it.
            Err(_) => {
                self.live().trouble = None;
                None
            }
        }
    }

    /// Looks at it now, rather than when its time has come.
    pub(super) fn try_now(&self) {
        if let Some(trouble) = &mut self.live().trouble {
            trouble.next = Instant::now();
        }
        self.wake.notify_one();
    }

    /// Whether the machine is in trouble now; then the loop pauses. Asked where something has failed, to tell a
    /// candidate's fault from the machine's.
    pub(super) fn ill(&self) -> Option<RunnerError> {
        let error = self.probe().err()?;
        self.endure(&error).then_some(error)
    }

    /// Writes and removes a file where the loop keeps its state and where it runs candidates.
    fn probe(&self) -> Result<(), RunnerError> {
        crate::blocking::here(|| {
            write_and_remove(&self.paths.state)?;
            write_and_remove(&self.paths.cache)
        })?;
        self.roomy()
    }
}

fn write_and_remove(folder: &Path) -> Result<(), RunnerError> {
    // Named as a file that is not whole, which the next runner removes if this one is killed here.
    let path = folder.join("room.part");
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = std::fs::File::create(&path)?;
        std::io::Write::write_all(&mut file, &vec![1; ROOM])?;
        file.sync_all()
    };
    let written = write();
    let _ = std::fs::remove_file(&path);
    written.map_err(RunnerError::io("write", &path))
}
