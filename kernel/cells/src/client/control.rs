//! What an interrupt needs to know, apart from the session, which a running cell holds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::Notify;

/// The way from an interrupt to the cell that runs.
#[derive(Debug, Default)]
pub(super) struct Control {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The worker's process group.
    group: Option<Pid>,
    /// A cell runs.
    busy: bool,
    /// The cell that runs is to end.
    interrupted: bool,
}

/// A cell that runs, until this is dropped.
pub(super) struct Cell(Arc<Control>);

impl Drop for Cell {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        (state.busy, state.interrupted) = (false, false);
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cell begins, which no interrupt has been meant for yet.
    pub(super) fn begin(self: &Arc<Self>) -> Cell {
        let mut state = self.lock();
        (state.busy, state.interrupted) = (true, false);
        Cell(Arc::clone(self))
    }

    /// The cell that runs is to end; nothing where none runs.
    pub(super) fn interrupt(&self) {
        let mut state = self.lock();
        if state.busy {
            state.interrupted = true;
            drop(state);
            self.news.notify_waiters();
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.lock().interrupted
    }

    /// Waits until the cell that runs is to end.
    pub(super) async fn interrupted(&self) {
        loop {
            let news = self.news.notified();
            if self.is_interrupted() {
                return;
            }
            news.await;
        }
    }

    /// A worker has started.
    pub(super) fn started(&self, group: Option<Pid>) {
        self.lock().group = group;
    }

    /// Kills the worker with all that it has started.
    pub(super) fn kill(&self) {
        kill(self.lock().group);
    }

    /// Kills what is left of the group. Afterwards its number means nothing any more.
    pub(super) fn ended(&self) {
        kill(self.lock().group.take());
    }
}

/// The group may be gone already.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
}
