//! The refs: their names, what they are at, and how they are moved.

use std::{
    fs::{self, File, TryLockError},
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime},
};

use git2::{Error, ErrorCode, Oid};
use lab::{CommitId, Tag};

use crate::{Ledger, LedgerError, open::commit_id};

/// Where ledgers are.
pub(crate) const LEDGER: &str = "refs/overnight/ledger/";
/// Where the best candidates are.
pub(crate) const BEST: &str = "refs/overnight/best/";
/// How long a move is tried before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a writer that lost a race waits for its turn before it tries again without.
const TURN: Duration = Duration::from_secs(10);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Nobody holds the lock of one of our refs for so long: its holder was killed.
const STALE: Duration = Duration::from_secs(5);

/// The ref of a ledger.
pub(crate) fn ledger_ref(tag: &Tag) -> String {
    format!("{LEDGER}{tag}")
}

/// The ref of the best candidate.
pub(crate) fn best_ref(tag: &Tag) -> String {
    format!("{BEST}{tag}")
}

/// The branch that follows the best candidate.
pub(crate) fn branch_ref(tag: &Tag) -> String {
    format!("refs/heads/autoresearch/{tag}")
}

impl Ledger {
    /// Every line of research that has a ledger, by name.
    pub fn tags(&self) -> Result<Vec<Tag>, LedgerError> {
        let mut tags = Vec::new();
        let mut references = self.repo.references_glob(&format!("{LEDGER}*"))?;
        for name in references.names() {
            if let Some(Ok(tag)) = name?.strip_prefix(LEDGER).map(Tag::parse) {
                tags.push(tag);
            }
        }
        tags.sort();
        Ok(tags)
    }

    /// The line of research whose ledger was written last.
    pub fn newest_tag(&self) -> Result<Option<Tag>, LedgerError> {
        let mut newest = None;
        for tag in self.tags()? {
            let tip = self.target(&ledger_ref(&tag))?.and_then(|tip| self.repo.find_commit(tip).ok());
            newest = newest.max(tip.map(|tip| (tip.time().seconds(), tag)));
        }
        Ok(newest.map(|(_, tag)| tag))
    }

    /// The ledger's newest commit; `None` where nothing was recorded yet. Cheap: ask it before reading.
    pub fn tip(&self, tag: &Tag) -> Result<Option<CommitId>, LedgerError> {
        Ok(self.target(&ledger_ref(tag))?.map(commit_id))
    }

    /// The best candidate; `None` before the first keep.
    pub fn best(&self, tag: &Tag) -> Result<Option<CommitId>, LedgerError> {
        Ok(self.target(&best_ref(tag))?.map(commit_id))
    }

    /// What a ref is at.
    pub(crate) fn target(&self, name: &str) -> Result<Option<Oid>, LedgerError> {
        match self.repo.refname_to_id(name) {
            Ok(oid) => Ok(Some(oid)),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Moves a ref from what it is at now to what `next` makes of that, by compare-and-swap.
    ///
    /// `next` is called again whenever another writer was faster; `None` from it leaves the ref where
    /// it is. Gives what the ref is at in the end.
    pub(crate) fn move_ref(
        &self,
        name: &str,
        why: &str,
        mut next: impl FnMut(Option<Oid>) -> Result<Option<Oid>, LedgerError>,
    ) -> Result<Option<Oid>, LedgerError> {
        let started = Instant::now();
        let (mut pause, mut turn) = (Duration::from_millis(1), None);
        loop {
            let now = self.target(name)?;
            let Some(wanted) = next(now)? else { return Ok(now) };
            if now == Some(wanted) {
                return Ok(now);
            }
            // Zero means that there must be none yet. Creating without `force` would look before it locks,
            // and lose what another writer creates in between.
            let expected = now.unwrap_or(Oid::ZERO_SHA1);
            match self.repo.reference_matching(name, wanted, true, expected, why) {
                Ok(_) => return Ok(Some(wanted)),
                Err(e) if !is_lost_race(&e) => return Err(self.on_write(e)),
                Err(e) if started.elapsed() > PATIENCE => {
                    return Err(LedgerError::Busy {
                        name: name.to_owned(),
                        lock: self.lock_file(name),
                        seconds: started.elapsed().as_secs_f64(),
                        reason: e.message().to_owned(),
                    });
                }
                Err(e) => {
                    tracing::debug!(name, reason = e.message(), "lost a race, trying again");
                    if turn.is_none() {
                        turn = self.turn();
                    }
                    if let Some(turn) = &turn {
                        self.remove_stale_lock(name, turn);
                    }
                    thread::sleep(jittered(pause));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Waits in the queue of this machine's writers that lost a race, so that none loses for ever. What
    /// keeps a record from being lost is the compare-and-swap: without a turn it only takes longer.
    fn turn(&self) -> Option<File> {
        let file = File::create(self.state_dir().join("refs.lock")).ok()?;
        let started = Instant::now();
        while started.elapsed() < TURN {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(TryLockError::WouldBlock) => thread::sleep(jittered(Duration::from_millis(4))),
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    /// The file by which git locks a ref.
    fn lock_file(&self, name: &str) -> PathBuf {
        self.repo.commondir().join(format!("{name}.lock"))
    }

    /// Removes the lock of one of our refs that a killed process left. Only whose turn it is may look,
    /// so that none removes a lock which another has just taken.
    fn remove_stale_lock(&self, name: &str, _turn: &File) {
        let lock = self.lock_file(name);
        let made = fs::metadata(&lock).and_then(|of| of.modified()).ok();
        let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
        let ours = ["refs/overnight/", "refs/heads/autoresearch/"].iter().any(|ours| name.starts_with(ours));
        if ours && age.is_some_and(|age| age > STALE) {
            tracing::warn!(lock = %lock.display(), "removing the lock that a killed process left");
            let _ = fs::remove_file(&lock);
        }
    }
}

/// Whether another writer was faster: "old reference value does not match", "failed to lock file", or
/// a ref (or the folder of its lock) that came or went meanwhile.
fn is_lost_race(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::Modified | ErrorCode::Locked | ErrorCode::Exists | ErrorCode::NotFound)
        || error.message().contains("failed to lock file")
        || error.message().contains("old reference value does not match")
}

/// Between half of `pause` and all of it, by the clock's nanoseconds: enough to part two writers.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    pause.mul_f64(0.5 + f64::from(nanos / 1_000 % 1_000) / 2_000.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{Lab, append, record};

    #[test]
    fn a_lock_that_a_killed_process_left_does_not_stop_an_append() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        append(&ledger, &record(&ledger, 0));
        let lock = ledger.lock_file(&ledger_ref(&Tag::default()));
        let file = File::create(&lock).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
        append(&ledger, &record(&ledger, 1));
        assert_eq!(ledger.experiments(&Tag::default()).unwrap().len(), 2);
        assert!(!lock.exists());
    }

    #[test]
    fn tags_are_listed_by_name() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        assert_eq!(ledger.tags().unwrap(), []);
        for name in ["mar5", "apr1"] {
            let mut experiment = record(&ledger, 0);
            experiment.tag = Tag::new(name);
            append(&ledger, &experiment);
        }
        assert_eq!(ledger.tags().unwrap(), [Tag::new("apr1"), Tag::new("mar5")]);
        assert_eq!(ledger.tip(&Tag::default()).unwrap(), None);
    }
}
