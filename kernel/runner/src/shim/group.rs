//! A control group of a run's own, where the machine lets us make one: what is in it cannot leave it, whatever it forks.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::Limits;

/// How long an emptied group may take to be seen as empty.
const PATIENCE: Duration = Duration::from_secs(5);

/// A group, removed when it is dropped.
pub(crate) struct Group {
    folder: PathBuf,
    members: File,
    /// Whether the kernel holds the run to its limit of memory.
    pub(super) memory: bool,
}

impl Group {
    /// A group named after a run, with its limits where the controllers for them are there. `None` where none can be made.
    pub(super) fn new(run: &str, limits: &Limits) -> Option<Self> {
        let folder = parent()?.join(name(run));
        std::fs::create_dir(&folder).ok()?;
        let set = |file: &str, value: String| std::fs::write(folder.join(file), value).is_ok();
        let memory = limits.memory.is_some_and(|bytes| set("memory.max", bytes.to_string()));
        set("pids.max", limits.processes.to_string());
        let members = OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        match members {
            Ok(members) if folder.join("cgroup.kill").exists() => Some(Self { folder, members, memory }),
            _ => {
                let _ = std::fs::remove_dir(&folder);
                None
            }
        }
    }

    /// The file by which a process that writes `0` to it enters.
    pub(super) fn members(&self) -> io::Result<File> {
        self.members.try_clone()
    }

    /// Lets all that is in it stand still, or go on.
    pub(super) fn freeze(&self, still: bool) {
        let _ = std::fs::write(self.folder.join("cgroup.freeze"), if still { "1" } else { "0" });
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        let events = std::fs::read_to_string(self.folder.join("cgroup.events"));
        events.is_ok_and(|events| events.lines().any(|line| line == "populated 0"))
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        let _ = std::fs::write(self.folder.join("cgroup.kill"), "1");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Ends what a run has left in its group, where it had one and its shim was killed.
pub(crate) fn sweep(run: &str) {
    if let Some(folder) = parent().map(|parent| parent.join(name(run))).filter(|folder| folder.exists()) {
        remove(&folder);
    }
}

fn remove(folder: &Path) {
    let start = Instant::now();
    while std::fs::remove_dir(folder).is_err_and(|e| e.kind() != io::ErrorKind::NotFound)
        && start.elapsed() < PATIENCE
    {
        let _ = std::fs::write(folder.join("cgroup.kill"), "1");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn name(run: &str) -> String {
    format!("overnight-{run}")
}

/// The group that this process is in, of the second version of control groups.
fn parent() -> Option<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ');
        let (root, at) = (fields.nth(3)?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(at))
    })?;
    Some(mount.join(own))
}
