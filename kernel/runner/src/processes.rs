//! Processes, by `/proc`: who lives, who descends from whom, and who carries a run's mark.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The environment variable by which a run's processes are known.
pub const MARK: &str = "OVERNIGHT_RUN";

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it started, in clock ticks since the machine's boot.
    pub start: u64,
}

/// One line of `/proc/<pid>/stat`, as far as it is needed.
#[derive(Clone, Copy, Debug)]
struct Stat {
    parent: i32,
    start: u64,
    dead: bool,
    threads: u64,
    /// Pages in memory.
    resident: u64,
}

/// What a process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) pid: i32,
    pub(crate) threads: u64,
    /// Bytes in memory, those shared with others among them.
    pub(crate) resident: u64,
}

impl Process {
    /// This process.
    pub fn current() -> Self {
        let pid = std::process::id() as i32;
        Self { pid, start: stat(pid).map_or(0, |stat| stat.start) }
    }

    /// The process with this id, where it is there.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start: stat(pid)?.start })
    }

    /// Whether it is still there (and not merely waiting to be reaped).
    pub fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| !stat.dead && stat.start == self.start)
    }

    /// Sends it a signal, if it is still there.
    pub fn signal(self, signal: Signal) {
        if self.lives() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything, brackets too.
    let rest = text.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        dead: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        threads: fields.get(17)?.parse().unwrap_or(1),
        resident: fields.get(21)?.parse().unwrap_or(0),
    })
}

fn all() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Every living process below `ancestor`, itself not among them.
pub(crate) fn descendants(ancestor: i32) -> Vec<i32> {
    used_below(ancestor).into_iter().map(|used| used.pid).collect()
}

/// What every living process below `ancestor` uses.
pub(crate) fn used_below(ancestor: i32) -> Vec<Used> {
    // Bytes of a page: as good as always 4096, and otherwise more.
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as u64;
    let stats: HashMap<i32, Stat> = all().into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, stat) in &stats {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let mut found = Vec::new();
    let mut next = vec![ancestor];
    while let Some(pid) = next.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            let stat = stats[child];
            if !stat.dead {
                found.push(Used { pid: *child, threads: stat.threads, resident: stat.resident * page });
            }
            next.push(*child);
        }
    }
    found
}

/// Bytes of memory of a process, those that it shares with others in equal parts.
pub(crate) fn proportional(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// How many processes and threads the machine has.
pub(crate) fn count() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(['/', ' ']).nth(4).and_then(|all| all.parse().ok()).unwrap_or(0)
}

/// The process that started it.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    stat(pid).map(|stat| stat.parent)
}

/// Every living process, this one apart, whose environment marks it as part of one of `runs`.
pub(crate) fn marked(runs: &[String]) -> Vec<i32> {
    let own = std::process::id() as i32;
    if runs.is_empty() {
        return Vec::new();
    }
    all()
        .into_iter()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            environment(*pid).split(|b| *b == 0).any(|pair| {
                std::str::from_utf8(pair)
                    .ok()
                    .and_then(|pair| pair.strip_prefix(MARK)?.strip_prefix('='))
                    .is_some_and(|value| runs.iter().any(|run| run == value))
            })
        })
        .collect()
}

/// The run that a process is marked as part of.
pub(crate) fn run_of(pid: i32) -> Option<String> {
    let found = environment(pid);
    let pairs = found.split(|b| *b == 0).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| pair.strip_prefix(MARK)?.strip_prefix('=')).map(str::to_owned).next()
}

/// The environment of a process; empty where it has none or may not be read.
fn environment(pid: i32) -> Vec<u8> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut found = Vec::new();
    for _ in 0..10 {
        found = std::fs::read(process.join("environ")).unwrap_or_default();
        // For a moment within `exec` a process has a program and no environment yet. What has no program
        // is the kernel's own, or dead, or somebody else's.
        if !found.is_empty() || std::fs::read_link(process.join("exe")).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

/// Kills every process that is marked as part of one of `runs`, again and again until none is left.
///
/// Returns how many were found at first.
pub(crate) fn sweep(runs: &[String]) -> usize {
    let first = marked(runs);
    let found = first.len();
    let mut left = first;
    let start = Instant::now();
    // What hangs in the kernel cannot be killed; it is left to it after a while.
    while !left.is_empty() && start.elapsed() < Duration::from_secs(5) {
        for pid in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(2));
        left = marked(runs);
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_marked_process_is_found_and_swept() {
        let mark = uuid::Uuid::now_v7().to_string();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 300 & wait"])
            .env(MARK, &mark)
            .spawn()
            .unwrap();
        // The mark is there as soon as `sh` has been executed, which `spawn` waits for.
        assert!(!marked(std::slice::from_ref(&mark)).is_empty());
        assert!(descendants(std::process::id() as i32).contains(&(child.id() as i32)));
        assert!(sweep(std::slice::from_ref(&mark)) >= 1);
        child.wait().unwrap();
        assert!(marked(&[mark]).is_empty());
    }

    #[test]
    fn a_process_is_known_by_its_start() {
        let current = Process::current();
        assert!(current.lives());
        assert!(!Process { start: current.start + 1, ..current }.lives());
    }
}
