//! What the kernel and its machine use, as jupyter-resource-usage asks for it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Remembers the last look: a share of time needs two.
#[derive(Default)]
pub(crate) struct Usage {
    system: Mutex<System>,
}

impl Usage {
    /// The content of `usage_reply`. Memory is in bytes; `kernel_cpu` in per cent of one core, of the
    /// kernel and all its descendants, since the last request.
    pub(crate) fn answer(&self) -> Value {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        system.refresh_memory();
        system.refresh_cpu_usage();
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
        let own = std::process::id();
        let family = family(&system, Pid::from_u32(own));
        let (mut cpu, mut memory) = (0.0, 0);
        for process in system.processes().iter().filter(|(pid, _)| family.contains(pid)).map(|(_, p)| p) {
            cpu += process.cpu_usage();
            memory += process.memory();
        }
        let (total, available, used) =
            (system.total_memory(), system.available_memory(), system.used_memory());
        json!({
            "status": "ok",
            "hostname": System::host_name().unwrap_or_default(),
            "pid": own,
            "kernel_cpu": cpu,
            "kernel_memory": memory,
            "cpu_count": system.cpus().len(),
            "host_cpu_percent": system.global_cpu_usage(),
            "host_virtual_memory": {
                "total": total,
                "available": available,
                "used": used,
                "free": system.free_memory(),
                "percent": if total > 0 { 100.0 * (total - available.min(total)) as f64 / total as f64 } else { 0.0 },
            },
        })
    }
}

/// A process and all that descend from it.
fn family(system: &System, first: Pid) -> HashSet<Pid> {
    let mut family = HashSet::from([first]);
    loop {
        let before = family.len();
        for (pid, process) in system.processes() {
            // Threads stand among the processes; their memory is that of the process.
            if process.thread_kind().is_none()
                && process.parent().is_some_and(|parent| family.contains(&parent))
            {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_child_counts_as_the_kernels_own() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut system = System::new();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing());
        let family = family(&system, Pid::from_u32(std::process::id()));
        assert!(family.contains(&Pid::from_u32(child.id())));
        assert!(!family.contains(&Pid::from_u32(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        let usage = Usage::default().answer();
        assert!(usage["kernel_memory"].as_u64().unwrap() > 0);
        assert!(usage["host_virtual_memory"]["total"].as_u64() > usage["kernel_memory"].as_u64());
    }
}
