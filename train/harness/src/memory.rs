//! How a run keeps memory, and how much of it it has held.

use burn::tensor::Device;
use libmimalloc_sys::{mi_option_set, mi_option_t};

/// A step allocates and frees the same buffers as the one before.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, version 3, which the crate does not name.
const PURGE_DELAY: mi_option_t = 15;

/// Gives no memory back to the system: without this a third of the time goes into clearing fresh pages
/// where the machine is busy.
pub(crate) fn keep() {
    #[expect(unsafe_code, reason = "mimalloc's options are set by C")]
    // SAFETY: an option is a number in a table of the library, which takes it at any time.
    unsafe {
        mi_option_set(PURGE_DELAY, -1);
    }
}

/// The most memory that this process has held, in MiB, as Linux counts it.
pub(crate) fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// What the GPU's memory pools hold, in MiB: they grow as a step needs it and give nothing back, so at the
/// end it is the most that was.
pub(crate) fn pools_mb(device: &Device) -> Option<f64> {
    let usage = device.memory_pool_usage()?;
    Some(usage.bytes_reserved as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mimalloc reads its environment when a process begins: the test is run again with the variable set.
    #[test]
    fn the_option_is_the_one_that_its_variable_sets() {
        const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";
        const NAME: &str = "memory::tests::the_option_is_the_one_that_its_variable_sets";
        if std::env::var(VARIABLE).as_deref() == Ok("4321") {
            #[expect(unsafe_code, reason = "mimalloc's options are read by C")]
            // SAFETY: as for setting it.
            let value = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
            assert_eq!(value, 4321);
            return;
        }
        let this = std::env::current_exe().expect("the test's program");
        let again = std::process::Command::new(this).args(["--exact", NAME]).env(VARIABLE, "4321").output();
        let again = again.expect("it starts");
        assert!(
            again.status.success() && String::from_utf8_lossy(&again.stdout).contains("1 passed"),
            "{again:?}"
        );
    }
}
