//! What a run uses of the machine, looked at often and cheaply, against its limits.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::settings::format_bytes;
use nix::sys::statvfs::statvfs;

use super::group::Group;
use crate::processes::{self, Used};
use crate::sandbox::Policy;

/// How often the numbers of the whole machine are looked at; that costs some microseconds.
pub(super) const GLANCE: Duration = Duration::from_millis(100);
/// How often the run's own are, at most.
const LOOK: Duration = Duration::from_secs(1);
/// A look is at most this part of the time.
const SHARE: u32 = 200;

/// Limits, and what is known of their use.
pub(super) struct Meter {
    memory: Option<u64>,
    processes: u64,
    disk: u64,
    folders: Vec<PathBuf>,
    /// How many processes the machine had at the last look.
    machine: u64,
    /// Free bytes of the file system at the last look.
    free: u64,
    /// Memory that was to be had at the start.
    available: u64,
    began: std::time::SystemTime,
    next: Instant,
    next_disk: Instant,
}

impl Meter {
    /// A meter for a run that is about to begin. `memory` says whether the kernel holds it to its limit of memory.
    pub(super) fn new(policy: &Policy, memory: bool) -> Self {
        let mut folders = policy.counted.clone();
        folders.push(policy.scratch.clone());
        let free = free(&folders);
        Self {
            memory: policy.limits.memory.filter(|_| !memory),
            processes: u64::from(policy.limits.processes),
            disk: policy.limits.disk,
            folders,
            machine: processes::count(),
            free,
            available: available(),
            began: std::time::SystemTime::now(),
            next: Instant::now(),
            next_disk: Instant::now() + LOOK,
        }
    }

    /// Which limit the run has gone beyond, in a sentence that says what raises it.
    pub(super) fn exceeded(&mut self, now: Instant, group: Option<&Group>) -> Option<String> {
        let machine = processes::count();
        let less = self.available.saturating_sub(available());
        let more = machine > self.machine + self.processes / 2;
        let tight = self.memory.is_some_and(|limit| less > limit / 2);
        if now >= self.next || more || (tight && now + LOOK * 4 / 5 >= self.next) {
            // To look takes time, in which more are forked.
            let _still = more.then(|| group.map(Still::new)).flatten();
            let used = processes::used_below(nix::unistd::getpid().as_raw());
            self.machine = machine;
            self.next = after(now, now.elapsed());
            let threads: u64 = used.iter().map(|one| one.threads).sum();
            if threads > self.processes {
                group.inspect(|group| group.kill());
                return Some(said(
                    "processes",
                    &format!("{threads} processes and threads"),
                    &self.processes.to_string(),
                ));
            }
            if let Some(limit) = self.memory
                && let Some(bytes) = self.too_much(&used, limit, tight)
            {
                return Some(said(
                    "memory",
                    &format!("{} of memory", format_bytes(bytes)),
                    &format_bytes(limit),
                ));
            }
        }
        let lost = self.free.saturating_sub(free(&self.folders));
        if now >= self.next_disk || (lost > self.disk / 2 && now + LOOK * 4 / 5 >= self.next_disk) {
            let size = size(&self.folders) + if lost > self.disk / 2 { deleted(&self.folders) } else { 0 };
            self.free = free(&self.folders);
            self.next_disk = after(now, now.elapsed()) + LOOK;
            if size > self.disk {
                return Some(said(
                    "disk",
                    &format!("{} of disk", format_bytes(size)),
                    &format_bytes(self.disk),
                ));
            }
        }
        None
    }

    /// How much memory is used, where that is more than `limit`.
    fn too_much(&self, used: &[Used], limit: u64, tight: bool) -> Option<u64> {
        let mut bytes: u64 = used.iter().map(|one| one.resident).sum();
        if bytes > limit {
            // Pages that several processes share were counted several times.
            bytes = used.iter().map(|one| processes::proportional(one.pid).unwrap_or(one.resident)).sum();
        }
        if bytes <= limit && tight {
            bytes += unmapped(used, self.began);
        }
        (bytes > limit).then_some(bytes)
    }
}

/// A group that stands still until this is dropped.
struct Still<'a>(&'a Group);

impl<'a> Still<'a> {
    fn new(group: &'a Group) -> Self {
        group.freeze(true);
        Self(group)
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.freeze(false);
    }
}

fn said(setting: &str, used: &str, limit: &str) -> String {
    format!(
        "it used {used}, more than its limit of {limit}; `limits: {{{setting}: …}}` in program.md raises it"
    )
}

fn after(now: Instant, cost: Duration) -> Instant {
    now + LOOK.max(cost * SHARE)
}

fn free(folders: &[PathBuf]) -> u64 {
    folders
        .iter()
        .filter_map(|folder| statvfs(folder).ok())
        .map(|fs| fs.blocks_free() * fs.fragment_size())
        .min()
        .unwrap_or(0)
}

/// Memory that could be had without swapping.
fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Bytes on disk of all that is in these folders, each file once.
fn size(folders: &[PathBuf]) -> u64 {
    let mut seen = HashSet::new();
    let mut next: Vec<PathBuf> = folders.to_vec();
    let mut bytes = 0;
    while let Some(folder) = next.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(file) = entry.metadata() else { continue };
            if file.nlink() < 2 || file.is_dir() || seen.insert((file.dev(), file.ino())) {
                bytes += file.blocks() * 512;
            }
            if file.is_dir() {
                next.push(entry.path());
            }
        }
    }
    bytes
}

/// The files that a process has open, each once: what `/proc` calls them, and their bytes.
fn open_files(pids: impl Iterator<Item = i32>) -> Vec<(PathBuf, std::fs::Metadata)> {
    let mut found = HashMap::new();
    for pid in pids {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let (Ok(name), Ok(file)) = (entry.path().read_link(), entry.path().metadata()) else { continue };
            if file.is_file() {
                found.insert((file.dev(), file.ino()), (name, file));
            }
        }
    }
    found.into_values().collect()
}

/// Bytes of files below `folders` that have no name any more and are still open.
fn deleted(folders: &[PathBuf]) -> u64 {
    let below = processes::descendants(nix::unistd::getpid().as_raw());
    let files = open_files(below.into_iter());
    let ours = |name: &Path| folders.iter().any(|folder| name.starts_with(folder));
    files
        .iter()
        .filter(|(name, file)| file.nlink() == 0 && ours(name))
        .map(|(_, file)| file.blocks() * 512)
        .sum()
}

/// Bytes of memory in files without a disk that nobody has mapped: as good as memory, and in no process's count.
fn unmapped(used: &[Used], began: std::time::SystemTime) -> u64 {
    let open = open_files(used.iter().map(|one| one.pid));
    let named = open.iter().filter(|(name, _)| name.starts_with("/memfd:") || name.starts_with("/dev/shm"));
    let mut seen = HashSet::new();
    let mut bytes: u64 = named
        .filter(|(_, file)| seen.insert((file.dev(), file.ino())))
        .map(|(_, file)| file.blocks() * 512)
        .sum();
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let Ok(file) = entry.metadata() else { continue };
        let new = file.modified().is_ok_and(|at| at >= began) && file.uid() == nix::unistd::getuid().as_raw();
        if new && file.is_file() && seen.insert((file.dev(), file.ino())) {
            bytes += file.blocks() * 512;
        }
    }
    bytes
}
