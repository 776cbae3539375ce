//! Whether memory ran out.

use std::fs;

/// How many processes the system has killed for want of memory since it began, where it counts them (Linux).
pub(crate) fn kills() -> Option<u64> {
    count(&fs::read_to_string("/proc/vmstat").ok()?)
}

fn count(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// What to say of a process that was killed; nothing where it was not SIGKILL.
pub(crate) fn verdict(status: &str, before: Option<u64>, now: Option<u64>) -> &'static str {
    match (before, now) {
        _ if !status.contains("SIGKILL") => "",
        (Some(before), Some(now)) if now > before => "Memory ran out: the system's OOM killer ended it.",
        (Some(_), Some(_)) => "Somebody killed it; the system did not run out of memory.",
        _ => "Perhaps memory ran out.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oom_killer_is_named_where_it_was() {
        assert_eq!(count("pgfault 1\noom_kill 3\n"), Some(3));
        assert_eq!(count("pgfault 1\n"), None);
        let killed = "signal: 9 (SIGKILL)";
        assert!(verdict(killed, Some(3), Some(4)).contains("OOM killer"));
        assert!(verdict(killed, Some(3), Some(3)).contains("Somebody"));
        assert!(verdict(killed, None, None).contains("Perhaps"));
        assert_eq!(verdict("signal: 6 (SIGABRT)", Some(3), Some(4)), "");
    }
}
