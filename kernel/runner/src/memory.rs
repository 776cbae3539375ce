//! What a process holds that lives for a night beside the training, on however large a machine.

/// Bytes of git's objects that stay in memory once they were read, where its library would keep 256 MB. What it makes of
/// them takes more than twice that.
const OBJECTS: isize = 2 << 20;

/// Makes this process hold little. To be called first, while it has no other thread.
#[allow(unsafe_code)]
pub fn hold_little() {
    // A heap for each thread, as is usual, leaves gaps in every one of them.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: numbers are passed, and nothing is allocated by another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    // SAFETY: no other thread uses the library. Where it fails, more is held.
    let _ = unsafe { git2::opts::set_cache_max_size(OBJECTS) };
}

/// Gives back to the system what is free in between: a night's worth of small pieces leaves gaps.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a number is passed, and only pages that hold nothing are given back.
    unsafe {
        libc::malloc_trim(0);
    }
}
