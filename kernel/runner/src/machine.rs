//! The machine that runs happen on, as far as `/proc` and `/sys` tell.

use std::path::Path;
use std::time::Duration;

use lab::Environment;

/// The machine's name.
pub(crate) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The id of this boot.
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// How long this boot has lasted, the time that the machine slept included. Setting the clock does not change it.
pub(crate) fn uptime() -> Duration {
    // Every Linux since 2.6.39 has this clock.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// The processor and the cores that this process may use, such as `x86_64, 2 cores`.
pub(crate) fn cpu() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} {}", std::env::consts::ARCH, if cores == 1 { "core" } else { "cores" })
}

/// The models of the GPUs, as `2 × NVIDIA H200`; `None` where the driver shows none.
pub(crate) fn gpu() -> Option<String> {
    let mut models: Vec<String> = std::fs::read_dir("/proc/driver/nvidia/gpus")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path().join("information")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Model:"))?;
            Some(line.trim_start_matches("Model:").trim().to_owned())
        })
        .collect();
    models.sort();
    let first = models.first()?.clone();
    if models.iter().all(|model| *model == first) {
        Some(if models.len() == 1 { first } else { format!("{} × {first}", models.len()) })
    } else {
        Some(models.join(", "))
    }
}

/// The GPUs that slots share out: those that the caller was given by `CUDA_VISIBLE_DEVICES`, or all
/// that the machine has (`/dev/nvidia0`, …).
pub(crate) fn gpus(given: Option<&str>) -> Vec<String> {
    if let Some(list) = given {
        return list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    }
    (0..64).take_while(|k| Path::new(&format!("/dev/nvidia{k}")).exists()).map(|k| k.to_string()).collect()
}

/// Everything of it that a value depends on.
pub(crate) fn environment() -> Environment {
    Environment { host: host(), cpu: cpu(), gpu: gpu(), ..Environment::default() }
}
