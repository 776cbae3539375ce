//! One runner per lab: a file lock that says who holds it.
//!
//! The kernel gives the lock back when its holder dies, however it dies, so it is never stale.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::processes::Process;
use crate::{RunnerError, machine, paths};

/// Who holds a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// When that process started, in clock ticks since the boot.
    pub start: u64,
    /// Its machine.
    pub host: String,
    /// That machine's boot, so that a process id is not mistaken for another's.
    pub boot: String,
    /// Since when.
    pub since: Timestamp,
}

/// The lock, given back when it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody holds it: an empty file says so to those who only look.
        let _ = self.file.set_len(0);
    }
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`RunnerError::Held`] where another runner has it.
    pub fn take(path: &Path) -> Result<Self, RunnerError> {
        let mut file = paths::open_private(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read(&mut file);
                let (pid, since) = holder.map_or((0, Timestamp::UNIX_EPOCH), |h| (h.pid, h.since));
                return Err(RunnerError::Held { pid, since });
            }
            Err(TryLockError::Error(e)) => return Err(RunnerError::io("lock", path)(e)),
        }
        let holder = Holder {
            pid: std::process::id(),
            start: Process::current().start,
            host: machine::host(),
            boot: machine::boot(),
            since: Timestamp::now(),
        };
        let text = serde_json::to_string(&holder).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        let write = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(RunnerError::io("write", path))?;
        Ok(Self { file })
    }

    /// Who holds the lab now, by what the file says; `None` where nobody does.
    ///
    /// Only looks: taking the lock to try it could refuse a runner that starts at that moment.
    pub fn holder(path: &Path) -> Option<Holder> {
        let holder = read(&mut File::open(path).ok()?)?;
        let process = Process { pid: i32::try_from(holder.pid).ok()?, start: holder.start };
        let elsewhere = holder.host != machine::host();
        (elsewhere || (holder.boot == machine::boot() && process.lives())).then_some(holder)
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_second_runner_is_told_who_holds_the_lab() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/runner.lock");
        assert_eq!(Lock::holder(&path), None);
        let first = Lock::take(&path).unwrap();
        let error = Lock::take(&path).unwrap_err();
        assert!(matches!(error, RunnerError::Held { pid, .. } if pid == std::process::id()), "{error}");
        assert_eq!(error.code(), 5);
        assert_eq!(Lock::holder(&path).map(|h| h.pid), Some(std::process::id()));
        drop(first);
        assert_eq!(Lock::holder(&path), None);
        Lock::take(&path).unwrap();
    }
}
