//! Where the runner keeps things, as values that the binary decides.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab::RunId;
use sha2::{Digest, Sha256};

/// The folders of one lab and the program that runs its shims.
#[derive(Clone, Debug)]
pub struct Paths {
    /// State that must last: `<git common dir>/overnight`, see `Ledger::state_dir`.
    pub state: PathBuf,
    /// Worktrees and run folders: `$XDG_CACHE_HOME/overnight/<repository>-<hash>`.
    pub cache: PathBuf,
    /// Sockets; only its owner may enter it.
    pub runtime: PathBuf,
    /// The executable that understands `shim DIR` (it calls [`shim::run`](crate::shim::run)).
    pub program: PathBuf,
}

impl Paths {
    /// The runner's socket: the same for every process that works on this lab, and short enough for
    /// a Unix socket (107 bytes) wherever `runtime` is at most 85 bytes long.
    pub fn socket(&self) -> PathBuf {
        let digest = Sha256::digest(self.state.as_os_str().as_bytes());
        self.runtime.join(format!("{}.sock", hex::encode(&digest[..8])))
    }

    /// The mark of processes that a runner starts for itself, such as git: the same for every runner of this lab.
    pub(crate) fn mark(&self) -> String {
        let digest = Sha256::digest(self.state.as_os_str().as_bytes());
        format!("runner-{}", hex::encode(&digest[..8]))
    }

    /// The journal: every event of every loop of this clone.
    pub fn journal(&self) -> PathBuf {
        self.state.join("events.jsonl")
    }

    /// The file that the runner locks.
    pub fn lock(&self) -> PathBuf {
        self.state.join("runner.lock")
    }

    /// The folder of one run: `job.json`, `log`, `metrics.jsonl`, `end.json`, `shim.pid`.
    pub fn run(&self, run: RunId) -> PathBuf {
        self.cache.join("runs").join(run.to_string())
    }

    /// The folder of a slot; its worktree is `tree` in it.
    pub fn slot(&self, slot: u32) -> PathBuf {
        self.cache.join("slots").join(slot.to_string())
    }

    /// The worktree of a slot.
    pub fn tree(&self, slot: u32) -> PathBuf {
        self.slot(slot).join("tree")
    }

    /// Where a slot's tools keep what they compile, from run to run.
    pub fn tools(&self, slot: u32) -> PathBuf {
        self.slot(slot).join("tools")
    }

    /// The folder of the loop's proposers: each that edits in place has one in it, with a worktree of its own.
    pub fn proposers(&self) -> PathBuf {
        self.cache.join("proposers")
    }

    /// What an experiment was begun with, so that it can be finished by another runner.
    pub(crate) fn draft(&self, experiment: lab::ExperimentId) -> PathBuf {
        self.state.join("drafts").join(format!("{experiment}.json"))
    }

    /// What the current loop was told.
    pub(crate) fn plan(&self) -> PathBuf {
        self.state.join("loop.json")
    }

    /// Says that `setup` ran, and which.
    pub(crate) fn setup_stamp(&self) -> PathBuf {
        self.state.join("setup")
    }
}

/// Opens a file for reading and writing that only its owner may read, and makes it and its folder where
/// they are not there.
pub(crate) fn open_private(path: &Path) -> Result<std::fs::File, crate::RunnerError> {
    use std::os::unix::fs::OpenOptionsExt;

    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(crate::RunnerError::io("create", folder))?;
    }
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(crate::RunnerError::io("open", path))
}

/// What a file or a folder with everything in it takes on the disk, in bytes. No link is followed.
pub fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(of) = path.symlink_metadata() else { return 0 };
    let entries = of.is_dir().then(|| std::fs::read_dir(path)).into_iter().flatten().flatten().flatten();
    of.blocks() * 512 + entries.map(|entry| disk_usage(&entry.path())).sum::<u64>()
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), crate::RunnerError> {
    write(path, bytes, true)
}

/// Writes a file so that it is there whole or not at all, as long as the machine has power.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), crate::RunnerError> {
    write(path, bytes, false)
}

fn write(path: &Path, bytes: &[u8], sync: bool) -> Result<(), crate::RunnerError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(crate::RunnerError::io("create", folder))?;
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        std::fs::rename(&part, path)?;
        if sync { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
    };
    write().map_err(crate::RunnerError::io("write", path))
}
