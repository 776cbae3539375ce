//! The roles that the binary takes when evcxr starts it again.

use std::env;

use crate::tap;

/// Set by evcxr for the process that runs the user's code, and inherited by what that code starts.
const EVCXR_IS_RUNTIME: &str = "EVCXR_IS_RUNTIME";

/// The first argument of a tap.
pub(crate) const TAP: &str = "cells-tap";
/// The first argument of the process that runs the user's code.
pub(crate) const RUNTIME: &str = "cells-runtime";

/// Call this first thing in `main`. It returns unless this process is one that evcxr or the worker
/// started: the tap, the runtime of the user's code, or evcxr's wrapper around rustc.
///
/// The role is known by the environment and by the first argument, so that a cell may start this
/// same program as a command (it inherits evcxr's environment).
pub fn runtime_hook() {
    if env::var_os(EVCXR_IS_RUNTIME).is_none() {
        evcxr::runtime_hook();
        return;
    }
    match env::args_os().nth(1).as_deref().and_then(|argument| argument.to_str()) {
        Some(TAP) => tap::run(),
        Some(RUNTIME) => {
            die_with_parent();
            evcxr::runtime_hook();
        }
        _ => {}
    }
}

/// Asks the operating system to end this process when the one that started it ends.
///
/// Linux ties this to the thread that started us. Both parents (worker and tap) start children from
/// their main thread, which lives as long as they do.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        // Without it all works but the tidying after a SIGKILL of the parent.
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    }
}
