//! What came into a ledger since it was last read: a walk of two trees that passes over what is equal.

use git2::{ObjectType, Oid, Repository, Tree};
use lab::{CommitId, Entry, Record, Tag};

use crate::{Ledger, LedgerError, advance::check_schema};

/// What came into a ledger between two of its commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The commit up to which this reads: give it as `since` the next time.
    pub tip: Option<CommitId>,
    /// Whether this is everything, so that what was read before is to be forgotten: at the first time,
    /// and when the ledger was replaced by one that is not its continuation.
    pub complete: bool,
    /// The experiments, as they were recorded, in no order.
    pub records: Vec<Record>,
    /// The events, in no order.
    pub events: Vec<Entry>,
}

/// What a walk found.
#[derive(Default)]
pub(crate) struct Walk {
    /// Records, each with the tree that it is in.
    pub(crate) records: Vec<(Record, Oid)>,
    /// Events.
    pub(crate) events: Vec<Entry>,
    /// Whether something was missing or different in the newer tree.
    lost: bool,
}

impl Ledger {
    /// What came into the ledger after its commit `since`; everything, where that is `None`.
    ///
    /// The state of an experiment is the fold of its record and events; see [`lab::Experiment::fold`].
    pub fn changes(&self, tag: &Tag, since: Option<&CommitId>) -> Result<Changes, LedgerError> {
        let Some(tip) = self.tip(tag)? else { return Ok(Changes { complete: true, ..Changes::default() }) };
        let (walk, complete) = self.walk(tag, &tip, since)?;
        let records = walk.records.into_iter().map(|(record, _)| record).collect();
        Ok(Changes { tip: Some(tip), complete, records, events: walk.events })
    }

    /// Walks from `since` to `tip`; gives also whether it gives everything.
    pub(crate) fn walk(
        &self,
        tag: &Tag,
        tip: &CommitId,
        since: Option<&CommitId>,
    ) -> Result<(Walk, bool), LedgerError> {
        let new = self.commit(tip)?.tree()?;
        check_schema(&self.repo, tag, &new)?;
        // A commit that is gone tells nothing about what was read: everything is read again.
        let old = since.and_then(|since| self.commit(since).ok()).and_then(|commit| commit.tree().ok());
        let mut walk = Walk::default();
        if let Some(old) = old {
            walk.trees(&self.repo, Some(&old), &new, "")?;
            if !walk.lost {
                return Ok((walk, false));
            }
            walk = Walk::default();
        }
        walk.trees(&self.repo, None, &new, "")?;
        Ok((walk, true))
    }
}

impl Walk {
    fn trees(
        &mut self,
        repo: &Repository,
        old: Option<&Tree<'_>>,
        new: &Tree<'_>,
        prefix: &str,
    ) -> Result<(), LedgerError> {
        if let Some(old) = old {
            self.lost |= old.iter().any(|entry| new.get_name_bytes(entry.name_bytes()).is_none());
        }
        for entry in new {
            let before = old.and_then(|old| old.get_name_bytes(entry.name_bytes()));
            if before.as_ref().is_some_and(|before| before.id() == entry.id()) {
                continue;
            }
            let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(ObjectType::Tree) {
                let before = match before.filter(|before| before.kind() == Some(ObjectType::Tree)) {
                    Some(before) => Some(repo.find_tree(before.id())?),
                    None => None,
                };
                self.trees(repo, before.as_ref(), &repo.find_tree(entry.id())?, &format!("{path}/"))?;
            } else {
                self.lost |= before.is_some();
                self.file(repo, &path, entry.id(), new.id())?;
            }
        }
        Ok(())
    }

    fn file(&mut self, repo: &Repository, path: &str, blob: Oid, folder: Oid) -> Result<(), LedgerError> {
        let malformed =
            |e: serde_json::Error| LedgerError::Malformed { what: path.to_owned(), reason: e.to_string() };
        if path.starts_with("experiments/") && path.ends_with("/record.json") {
            let record = serde_json::from_slice(repo.find_blob(blob)?.content()).map_err(malformed)?;
            self.records.push((record, folder));
        } else if path.starts_with("events/") {
            match serde_json::from_slice::<Entry>(repo.find_blob(blob)?.content()) {
                Ok(event) => {
                    let writer = path.split('/').nth(1).map(str::to_owned);
                    self.events.push(Entry { writer, ..event });
                }
                // A kind of event that only a newer version knows.
                Err(e) if e.is_data() => tracing::warn!(path, reason = %e, "passing over an event"),
                Err(e) => return Err(malformed(e)),
            }
        }
        Ok(())
    }
}
