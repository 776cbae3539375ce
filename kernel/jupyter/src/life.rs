//! When a kernel ends without being asked: its parent died, or it was sent a signal.

use std::{os::unix::process::parent_id, path::Path, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// How often the parent is looked for.
const POLL: Duration = Duration::from_millis(500);

/// Returns when the process is gone that started the kernel.
pub(crate) async fn parent_gone(pid: u32) {
    let watch = Watch::new(pid, parent_id());
    while !watch.gone(parent_id()) {
        sleep(POLL).await;
    }
    tracing::info!(pid, "the parent is gone");
}

enum Watch {
    /// Orphans are given another parent, so a change tells.
    Parent(u32),
    /// A wrapper stands between us and the process to watch.
    Other(u32),
}

impl Watch {
    fn new(pid: u32, parent: u32) -> Self {
        if pid == parent || (!alive(pid) && parent != 1) {
            // A number that means nothing here may be that of another container: watch whom we see.
            Self::Parent(parent)
        } else {
            Self::Other(pid)
        }
    }

    fn gone(&self, parent: u32) -> bool {
        match self {
            Self::Parent(before) => parent != *before,
            Self::Other(pid) => !alive(*pid),
        }
    }
}

/// Whether a process is there; where `/proc` is not, nobody can say and it is taken to be.
fn alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}

/// The signals that a kernel reacts to.
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

/// What a signal asks for.
pub(crate) enum Asked {
    Interrupt,
    Stop,
}

impl Signals {
    /// Listens if `wanted`; must be called in a runtime.
    pub(crate) fn new(wanted: bool) -> Self {
        let listen = |kind| {
            let listening = wanted.then(|| signal(kind))?;
            listening.inspect_err(|error| tracing::warn!(%error, "a signal cannot be heard")).ok()
        };
        Self { interrupt: listen(SignalKind::interrupt()), terminate: listen(SignalKind::terminate()) }
    }

    /// The next signal; never where none is listened for.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            () = heard(self.interrupt.as_mut()) => Asked::Interrupt,
            () = heard(self.terminate.as_mut()) => Asked::Stop,
        }
    }
}

async fn heard(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_direct_parent_is_watched_by_our_adoption() {
        let watch = Watch::new(parent_id(), parent_id());
        assert!(!watch.gone(parent_id()));
        assert!(watch.gone(1));
    }

    #[test]
    fn a_parent_behind_a_wrapper_is_watched_by_its_number() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let watch = Watch::new(child.id(), parent_id());
        assert!(!watch.gone(parent_id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(watch.gone(parent_id()));
    }

    #[test]
    fn a_number_from_another_container_does_not_end_the_kernel() {
        let nobody = u32::MAX;
        assert!(!Watch::new(nobody, parent_id()).gone(parent_id()));
        // But an orphan whose parent died before we looked ends.
        assert!(Watch::new(nobody, 1).gone(1));
    }
}
