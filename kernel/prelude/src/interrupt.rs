//! Ends a cell that runs, and keeps the variables of earlier cells.
//!
//! The kernel puts a [`check`] into every loop of a cell. An interrupt raises a flag; the next check unwinds the
//! cell as a panic would, with no message.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a cell that was interrupted unwinds with.
#[derive(Debug)]
pub struct Interrupted;

/// From now on SIGINT raises the flag; one that was raised is forgotten.
pub fn listen() {
    INTERRUPTED.store(false, Relaxed);
    let action = SigAction::new(SigHandler::Handler(raise), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing but store to an atomic.
    let set = unsafe { sigaction(Signal::SIGINT, &action) };
    if let Err(error) = set {
        eprintln!("an interrupt will end this process: {error}");
    }
}

/// Ends the cell here, if it was interrupted.
#[inline]
pub fn check() {
    if INTERRUPTED.load(Relaxed) {
        end();
    }
}

#[cold]
fn end() {
    INTERRUPTED.store(false, Relaxed);
    resume_unwind(Box::new(Interrupted));
}

extern "C" fn raise(_: nix::libc::c_int) {
    INTERRUPTED.store(true, Relaxed);
}
