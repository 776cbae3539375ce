//! One runner per lab: a file lock that says who holds it.
//!
//! The kernel gives the lock back when its holder dies, however it dies, so it is never stale. Over a network a file
//! system may not share locks between machines, or may lose one: so the holder looks whether the file is still the
//! one that it has locked ([`Guard`]), and writes to it now and then, by which another machine knows that it lives.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// How often a holder shows that it lives.
pub const BEAT: Duration = Duration::from_secs(30);
/// A holder on another machine that has not shown itself for so long is dead.
const DEAD: Duration = Duration::from_secs(150);

/// The lock, given back when it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    text: String,
}

/// A look at whether the lock is still held.
#[derive(Debug)]
pub struct Guard {
    file: File,
    path: PathBuf,
    text: String,
    beaten: Mutex<Instant>,
}

impl Guard {
    /// Checks that the file of the lock is still where it was, and says the same.
    ///
    /// # Errors
    /// [`RunnerError::Lost`] where it was removed or replaced, or its file system has let it go: another runner
    /// may hold the lab by now.
    pub fn check(&self) -> Result<(), RunnerError> {
        let lost = |reason: String| RunnerError::Lost { path: self.path.clone(), reason };
        let held = self.file.metadata().map_err(|error| lost(error.to_string()))?;
        match std::fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
                let same = says(&self.file, &self.text).map_err(|error| lost(error.to_string()))?;
                if same { Ok(()) } else { Err(lost("another runner has taken it".to_owned())) }
            }
            Ok(_) => Err(lost("somebody has replaced it".to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(lost("somebody has moved or removed it".to_owned()))
            }
            Err(error) => Err(lost(error.to_string())),
        }
    }

    /// Shows that the holder lives, by the time of the file; asked more often than each [`BEAT`], it does nothing.
    pub fn beat(&self) {
        let mut beaten = self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        if beaten.elapsed() < BEAT {
            return;
        }
        *beaten = Instant::now();
        // The same text in the same place: whoever reads it meanwhile reads no other.
        if self.check().is_ok()
            && let Err(error) = self.file.write_all_at(self.text.as_bytes(), 0)
        {
            tracing::debug!(%error, "the lock's time could not be renewed");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody holds it: an empty file says so to those who only look.
        if says(&self.file, &self.text).is_ok_and(|same| same) {
            let _ = self.file.set_len(0);
        }
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
        // Containers of one machine have names of their own, and its kernel shares the lock between them.
        if let Some(holder) =
            read(&mut file).filter(|holder| holder.host != machine::host() && holder.boot != machine::boot())
            && age(&file, path).is_some_and(|age| age < DEAD)
        {
            return Err(RunnerError::Elsewhere { holder: Box::new(holder), path: path.to_owned() });
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
        Ok(Self { file, path: path.to_owned(), text })
    }

    /// A look at whether it is still held, for another thread.
    ///
    /// # Errors
    /// [`RunnerError::Io`] where the process may open no more files.
    pub fn guard(&self) -> Result<Guard, RunnerError> {
        let file = self.file.try_clone().map_err(RunnerError::io("open", &self.path))?;
        let beaten = Mutex::new(Instant::now());
        Ok(Guard { file, path: self.path.clone(), text: self.text.clone(), beaten })
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

/// Whether the lock's file holds this text and nothing else.
fn says(file: &File, text: &str) -> std::io::Result<bool> {
    let mut found = vec![0; text.len() + 1];
    let length = file.read_at(&mut found, 0)?;
    Ok(found[..length] == *text.as_bytes())
}

/// How long ago the lock's file was written, by the clock of the machine that has its disk.
fn age(file: &File, path: &Path) -> Option<Duration> {
    let now = path.with_extension("lock.now");
    let written = std::fs::write(&now, "").and_then(|()| std::fs::metadata(&now)?.modified());
    let _ = std::fs::remove_file(&now);
    written.ok()?.duration_since(file.metadata().ok()?.modified().ok()?).ok()
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
    fn a_lock_that_the_file_system_let_go_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.lock");
        let lock = Lock::take(&path).unwrap();
        let guard = lock.guard().unwrap();
        guard.check().unwrap();
        std::fs::write(&path, "another runner's").unwrap();
        let error = guard.check().unwrap_err();
        assert!(error.to_string().contains("another runner has taken it"), "{error}");
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "another runner's");
    }

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

    #[test]
    fn a_lock_whose_file_is_gone_or_another_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.lock");
        let lock = Lock::take(&path).unwrap();
        let guard = lock.guard().unwrap();
        guard.check().unwrap();
        guard.beat();
        assert_eq!(Lock::holder(&path).map(|h| h.pid), Some(std::process::id()));
        std::fs::remove_file(&path).unwrap();
        insta::assert_snapshot!(
            guard.check().unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "STATE"),
            @"this runner no longer holds the lab: STATE/runner.lock: somebody has moved or removed it"
        );
        let _other = Lock::take(&path).unwrap();
        let lost = guard.check().unwrap_err();
        assert!(matches!(&lost, RunnerError::Lost { reason, .. } if reason.contains("replaced")), "{lost}");
    }

    #[test]
    fn a_holder_on_another_machine_is_believed_while_it_shows_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.lock");
        let holder = Holder {
            pid: 7,
            start: 1,
            host: "elsewhere".to_owned(),
            boot: "b".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        std::fs::write(&path, serde_json::to_string(&holder).unwrap()).unwrap();
        let error = Lock::take(&path).unwrap_err();
        assert!(error.to_string().contains("elsewhere"), "{error}");
        assert_eq!(error.code(), 5);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - DEAD * 2).unwrap();
        let lock = Lock::take(&path).unwrap();
        drop(lock);
        assert!(std::fs::read_dir(folder.path()).unwrap().count() == 1, "nothing else is left");
    }
}
