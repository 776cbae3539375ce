//! Work that blocks, from async code.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does what may block for a moment: aside from the other tasks, where there is more than one thread for them.
pub(crate) fn here<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
