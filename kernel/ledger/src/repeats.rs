//! Whether a candidate was tried before: an index of experiments by the hash of their editable files.

use std::collections::HashMap;

use git2::Tree;
use lab::{CommitId, Epoch, ExperimentId, Lab, Tag};
use sha2::{Digest as _, Sha256};

use crate::{
    Ledger, LedgerError,
    tree::{FOLDER, each_file, get},
};

/// The hash of a candidate's editable files.
type Fingerprint = [u8; 32];

/// The experiments by their editable files.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// Of which paths.
    editable: Vec<String>,
    by_files: HashMap<Fingerprint, Vec<ExperimentId>>,
    /// Those that are not in it yet.
    expected: Vec<ExperimentId>,
}

impl Repeats {
    /// Has an experiment looked at when it is asked next.
    pub(crate) fn expect(&mut self, id: ExperimentId) {
        self.expected.push(id);
    }
}

impl Ledger {
    /// The number of this clone's first experiment of `epoch` whose candidate has the same editable files. What another
    /// clone has tried may be run again: that is how its claim becomes one here.
    ///
    /// Each experiment is looked at once in the life of this handle.
    pub fn duplicate(
        &self,
        tag: &Tag,
        candidate: &CommitId,
        lab: &Lab,
        epoch: &Epoch,
    ) -> Result<Option<u64>, LedgerError> {
        let own = self.writer()?;
        let wanted = self.fingerprint(candidate, lab)?;
        self.with_mut(tag, |cached| {
            let mut repeats = std::mem::take(&mut cached.repeats);
            // With other editable paths the same tree has another fingerprint.
            if repeats.editable != lab.editable {
                let expected = cached.records().map(|(record, _)| record.id).collect();
                repeats = Repeats { editable: lab.editable.clone(), by_files: HashMap::new(), expected };
            }
            while let Some(id) = repeats.expected.pop() {
                let Some(record) = cached.recorded(id).filter(|record| record.writer == own) else {
                    continue;
                };
                let fingerprint = match self.fingerprint(&record.candidate, lab) {
                    Ok(fingerprint) => fingerprint,
                    Err(error) => {
                        repeats.expected.push(id);
                        cached.repeats = repeats;
                        return Err(error);
                    }
                };
                repeats.by_files.entry(fingerprint).or_default().push(id);
            }
            let same = repeats.by_files.get(&wanted).into_iter().flatten();
            let found = same
                .filter_map(|id| cached.recorded(*id))
                .filter(|record| record.epoch == *epoch && record.writer == own)
                .map(|record| record.number)
                .min();
            cached.repeats = repeats;
            Ok(found)
        })?
    }

    fn fingerprint(&self, commit: &CommitId, lab: &Lab) -> Result<Fingerprint, LedgerError> {
        let tree = self.commit(commit)?.tree()?;
        let mut hash = Sha256::new();
        if !self.plain_files(&tree, lab, &mut hash)? {
            hash = Sha256::new();
            let editable = lab.editable();
            each_file(&self.repo, &tree, &mut |path, leaf| {
                if editable.contains(path) {
                    hash.update(format!("{path}\0{:o} {}\n", leaf.mode, leaf.oid));
                }
            })?;
        }
        Ok(hash.finalize().into())
    }

    /// Hashes the editable files where each is named by its path alone, which leaves the rest of the tree unread.
    /// Says no where a path is a folder or a pattern.
    fn plain_files(&self, tree: &Tree<'_>, lab: &Lab, hash: &mut Sha256) -> Result<bool, LedgerError> {
        let mut paths: Vec<&str> =
            lab.editable.iter().map(|path| path.trim_start_matches("./").trim_end_matches('/')).collect();
        paths.sort_unstable();
        paths.dedup();
        let editable = lab.editable();
        for path in paths {
            if path.contains(['*', '?', '[', '{']) {
                return Ok(false);
            }
            match get(tree, &path.split('/').collect::<Vec<_>>())? {
                Some(leaf) if leaf.mode == FOLDER => return Ok(false),
                Some(leaf) if editable.contains(path) => {
                    hash.update(format!("{path}\0{:o} {}\n", leaf.mode, leaf.oid));
                }
                _ => {}
            }
        }
        Ok(true)
    }
}
