//! The ledger as the loop uses it: every call to it that the engine makes, off the async threads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{MergeFileInput, MergeFileOptions};
use lab::{CommitId, Entry, Epoch, Lab, Metrics, Record, Said, Tag};
use ledger::{Edit, Ledger, LedgerError};

use crate::proposers::ReadFile;
use crate::standing::Standings;
use crate::{RunnerError, memory};

pub use crate::standing::Standing;

/// Files that pin what a run is made with.
const LOCKS: [&str; 9] = [
    "Cargo.lock",
    "uv.lock",
    "poetry.lock",
    "pixi.lock",
    "requirements.txt",
    "Pipfile.lock",
    "package-lock.json",
    "Manifest.toml",
    "flake.lock",
];

/// The difference of two commits; `None` where it cannot be read.
pub type ReadDiff = Arc<dyn Fn(&CommitId, &CommitId) -> Option<String> + Send + Sync>;

/// What an experiment printed; `None` where it cannot be read.
pub type ReadLog = Arc<dyn Fn(&Record) -> Option<Vec<u8>> + Send + Sync>;

/// A handle on a lab's ledger that tasks can share.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    /// By which the programs that it runs are known.
    mark: Option<String>,
    /// Kept open, for it remembers what it has read.
    ledger: Arc<Mutex<Ledger>>,
    /// What was made of what it has read. Locked by whoever has the ledger, after it.
    standings: Arc<Mutex<Standings>>,
    /// Making a worktree can take long, and must not keep an append waiting.
    trees: Arc<Mutex<Ledger>>,
}

impl Store {
    /// Opens the ledger of the repository that `inside` is in.
    ///
    /// # Errors
    /// [`RunnerError::Ledger`] where there is none that can be used.
    pub fn open(inside: &Path) -> Result<Self, RunnerError> {
        Self::marked(inside, None)
    }

    /// As [`open`](Self::open); the programs that it runs are known by `mark` in their environment.
    pub(crate) fn marked(inside: &Path, mark: Option<&str>) -> Result<Self, RunnerError> {
        let ledger = open(inside, mark)?;
        let root = ledger.root().to_owned();
        let trees = open(&root, mark)?;
        let (ledger, trees) = (Arc::new(Mutex::new(ledger)), Arc::new(Mutex::new(trees)));
        let mark = mark.map(str::to_owned);
        Ok(Self { root, mark, ledger, standings: Arc::default(), trees })
    }

    /// The root of the researcher's working tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, RunnerError> {
        blocking(&self.ledger, work).await
    }

    /// The researcher's name and this clone's id.
    pub async fn names(&self) -> Result<(String, String), RunnerError> {
        self.with(|ledger| Ok((ledger.author(), ledger.writer()?))).await
    }

    /// Makes or resets a worktree; `kept` untracked paths stay.
    pub async fn worktree(&self, path: &Path, commit: &CommitId, kept: &[String]) -> Result<(), RunnerError> {
        let (path, commit, kept) = (path.to_owned(), commit.clone(), kept.to_vec());
        blocking(&self.trees, move |ledger| ledger.worktree(&path, &commit, &kept)).await
    }

    /// What the researcher sees, as a commit, and whether it holds uncommitted changes.
    pub async fn snapshot(&self) -> Result<(CommitId, bool), RunnerError> {
        self.with(|ledger| ledger.snapshot().map(|snapshot| (snapshot.commit, snapshot.dirty))).await
    }

    /// The hash of what no candidate may change.
    pub async fn locked_hash(&self, commit: &CommitId, lab: &Lab) -> Result<String, RunnerError> {
        let (commit, lab) = (commit.clone(), lab.clone());
        self.with(move |ledger| ledger.locked_hash(&commit, &lab)).await
    }

    /// The lock files at the root of a commit, each with its blob.
    pub async fn locks(&self, commit: &CommitId) -> Result<BTreeMap<String, String>, RunnerError> {
        let commit = commit.clone();
        self.with(move |ledger| {
            let mut found = BTreeMap::new();
            for path in LOCKS {
                if let Some(content) = ledger.read(&commit, path)? {
                    let blob =
                        git2::Oid::hash_object(git2::ObjectType::Blob, &content).map_err(LedgerError::Git)?;
                    found.insert(path.to_owned(), blob.to_string());
                }
            }
            Ok(found)
        })
        .await
    }

    /// The best candidate of a tag, of whatever epoch.
    pub async fn best(&self, tag: &Tag) -> Result<Option<CommitId>, RunnerError> {
        let tag = tag.clone();
        self.with(move |ledger| ledger.best(&tag)).await
    }

    /// The number after the largest in the ledger.
    pub async fn next_number(&self, tag: &Tag) -> Result<u64, RunnerError> {
        let tag = tag.clone();
        self.with(move |ledger| ledger.next_number(&tag)).await
    }

    /// What was said to the proposer.
    pub async fn said(&self, tag: &Tag) -> Result<Arc<Said>, RunnerError> {
        let (tag, standings) = (tag.clone(), Arc::clone(&self.standings));
        self.with(move |ledger| standings.lock().unwrap_or_else(PoisonError::into_inner).said(ledger, &tag))
            .await
    }

    /// What the ledger says of an epoch.
    pub async fn standing(&self, tag: &Tag, epoch: &Epoch) -> Result<Arc<Standing>, RunnerError> {
        let (tag, epoch, standings) = (tag.clone(), epoch.clone(), Arc::clone(&self.standings));
        self.with(move |ledger| {
            standings.lock().unwrap_or_else(PoisonError::into_inner).of(ledger, &tag, &epoch)
        })
        .await
    }

    /// Packs what the ledger has written where that has become much, in the background: nobody waits for it.
    pub fn pack(&self, tag: &Tag) {
        let (root, mark, tag) = (self.root.clone(), self.mark.clone(), tag.clone());
        let handles = [Arc::clone(&self.ledger), Arc::clone(&self.trees)];
        tokio::task::spawn_blocking(move || {
            match open(&root, mark.as_deref()).and_then(|ledger| ledger.pack(&tag)) {
                Ok(0) => return,
                Ok(objects) => tracing::debug!(objects, "packed"),
                Err(error) => tracing::warn!(%error, "the ledger's objects could not be packed"),
            }
            for handle in handles {
                if let Err(error) = handle.lock().unwrap_or_else(PoisonError::into_inner).reopen() {
                    tracing::debug!(%error, "old packs are still held");
                }
            }
            memory::give_back();
        });
    }

    /// Adds an experiment.
    pub async fn append(
        &self,
        record: Record,
        program: String,
        metrics: Metrics,
        log: Vec<u8>,
    ) -> Result<CommitId, RunnerError> {
        self.with(move |ledger| ledger.append(&record, &program, &metrics, &log)).await
    }

    /// Adds an event.
    pub async fn append_event(&self, entry: Entry) -> Result<(), RunnerError> {
        self.with(move |ledger| ledger.append_event(&entry).map(|_| ())).await
    }

    /// Keeps these commits from `git gc`, and no others that nothing refers to.
    pub async fn hold(&self, commits: Vec<CommitId>) -> Result<(), RunnerError> {
        self.with(move |ledger| ledger.hold(&commits)).await
    }

    /// Removes what killed processes have left in the repository, and in its worktrees below `ours`.
    pub async fn tidy(&self, ours: &Path) -> Result<(), RunnerError> {
        let ours = ours.to_owned();
        self.with(move |ledger| {
            ledger.tidy(&ours);
            Ok(())
        })
        .await
    }

    /// Whether a candidate is the best, and the branch that follows it is there.
    pub async fn is_kept(&self, tag: &Tag, candidate: &CommitId) -> Result<bool, RunnerError> {
        let (tag, candidate) = (tag.clone(), candidate.clone());
        self.with(move |ledger| ledger.is_kept(&tag, &candidate)).await
    }

    /// Moves the best on to a kept candidate.
    pub async fn keep(&self, tag: &Tag, candidate: &CommitId) -> Result<(), RunnerError> {
        let (tag, candidate) = (tag.clone(), candidate.clone());
        self.with(move |ledger| {
            let moved = ledger.keep(&tag, &candidate)?;
            tracing::debug!(?moved, "kept");
            Ok(())
        })
        .await
    }

    /// Makes a candidate of its parent by edits.
    pub async fn candidate(
        &self,
        parent: &CommitId,
        edits: Vec<Edit>,
        message: &str,
    ) -> Result<CommitId, RunnerError> {
        let (parent, message) = (parent.clone(), message.to_owned());
        self.with(move |ledger| ledger.candidate(&parent, &edits, &message)).await
    }

    /// The number of the experiment of the epoch that a candidate repeats.
    pub async fn duplicate(
        &self,
        tag: &Tag,
        candidate: &CommitId,
        lab: &Lab,
        epoch: &Epoch,
    ) -> Result<Option<u64>, RunnerError> {
        let (tag, candidate, lab, epoch) = (tag.clone(), candidate.clone(), lab.clone(), epoch.clone());
        self.with(move |ledger| ledger.duplicate(&tag, &candidate, &lab, &epoch)).await
    }

    /// The editable files of a commit, by path.
    pub async fn editable_files(
        &self,
        commit: &CommitId,
        lab: &Lab,
    ) -> Result<BTreeMap<String, Vec<u8>>, RunnerError> {
        let (commit, lab) = (commit.clone(), lab.clone());
        self.with(move |ledger| ledger.editable_files(&commit, &lab)).await
    }

    /// The first parent of a commit; `None` where it has none.
    pub async fn parent(&self, commit: &CommitId) -> Result<Option<CommitId>, RunnerError> {
        let commit = commit.clone();
        self.with(move |ledger| {
            ledger.resolve(commit.as_str())?;
            Ok(ledger.resolve(&format!("{commit}^")).ok())
        })
        .await
    }

    /// Whether `ancestor` is `commit` or among those before it.
    pub async fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, RunnerError> {
        let (ancestor, commit) = (ancestor.clone(), commit.clone());
        self.with(move |ledger| ledger.is_ancestor(&ancestor, &commit)).await
    }

    /// What `candidate` changed of `parent`, applied to `tip`; `None` where the changes conflict or
    /// change nothing there.
    pub async fn merged(
        &self,
        parent: &CommitId,
        candidate: &CommitId,
        tip: &CommitId,
        lab: &Lab,
    ) -> Result<Option<Vec<Edit>>, RunnerError> {
        let base = self.editable_files(parent, lab).await?;
        let theirs = self.editable_files(candidate, lab).await?;
        let ours = self.editable_files(tip, lab).await?;
        Ok(merge(&base, &ours, &theirs))
    }

    /// Reads differences of commits, for proposers.
    pub fn differ(&self) -> ReadDiff {
        let ledger = Arc::clone(&self.ledger);
        Arc::new(move |a, b| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.diff(a, b).ok()
        })
    }

    /// Reads what experiments printed, for proposers.
    pub fn logs(&self) -> ReadLog {
        let ledger = Arc::clone(&self.ledger);
        Arc::new(move |record| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.log(&record.tag, record.id).ok()
        })
    }

    /// Reads files of commits, for proposers.
    pub fn reader(&self) -> ReadFile {
        let ledger = Arc::clone(&self.ledger);
        Arc::new(move |commit, path| {
            let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.read(commit, path).ok().flatten()
        })
    }
}

fn open(inside: &Path, mark: Option<&str>) -> Result<Ledger, LedgerError> {
    let ledger = Ledger::open(inside)?;
    Ok(match mark {
        Some(mark) => ledger.marked(crate::processes::MARK, mark),
        None => ledger,
    })
}

async fn blocking<T: Send + 'static>(
    ledger: &Arc<Mutex<Ledger>>,
    work: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, RunnerError> {
    let ledger = Arc::clone(ledger);
    let done = tokio::task::spawn_blocking(move || {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        work(&ledger)
    });
    match done.await {
        Ok(result) => Ok(result?),
        Err(e) => Err(RunnerError::Refused(format!("the ledger's task ended badly: {e}"))),
    }
}

/// What the ledger says of an epoch, for those who have no runner.
pub(crate) fn standing(ledger: &Ledger, tag: &Tag, epoch: &Epoch) -> Result<Arc<Standing>, LedgerError> {
    Standings::default().of(ledger, tag, epoch)
}

/// A merge of the editable files, line by line.
fn merge(
    base: &BTreeMap<String, Vec<u8>>,
    ours: &BTreeMap<String, Vec<u8>>,
    theirs: &BTreeMap<String, Vec<u8>>,
) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    let changed = base.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
    for path in changed.into_iter().filter(|path| base.get(*path) != theirs.get(*path)) {
        let (base, ours, theirs) = (base.get(path), ours.get(path), theirs.get(path));
        let content = if base == ours {
            theirs.cloned()
        } else {
            let (base, ours, theirs) = (base?, ours?, theirs?);
            Some(merge_file(base, ours, theirs)?)
        };
        if content.as_ref() != ours {
            edits.push(Edit { path: path.clone(), content });
        }
    }
    (!edits.is_empty()).then_some(edits)
}

fn merge_file(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let (mut a, mut o, mut t) = (MergeFileInput::new(), MergeFileInput::new(), MergeFileInput::new());
    a.content(base);
    o.content(ours);
    t.content(theirs);
    let merged = git2::merge_file(&a, &o, &t, Some(&mut MergeFileOptions::new()));
    let merged = merged.inspect_err(|error| tracing::warn!(%error, "a merge failed")).ok()?;
    merged.is_automergeable().then(|| merged.content().to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("a.py".to_owned(), text.as_bytes().to_vec())])
    }

    #[test]
    fn changes_of_different_lines_are_merged_and_others_conflict() {
        let base = files("A = 1\n\n\n\nB = 1\n");
        let ours = files("A = 2\n\n\n\nB = 1\n");
        // Opening any repository or configuration makes libgit2 ready; a runner has opened its ledger.
        git2::Config::new().unwrap();
        let edits = merge(&base, &ours, &files("A = 1\n\n\n\nB = 2\n")).unwrap();
        assert_eq!(edits[0].content.as_deref(), Some(&b"A = 2\n\n\n\nB = 2\n"[..]));
        assert!(merge(&base, &ours, &files("A = 3\n\n\n\nB = 1\n")).is_none(), "a conflict");
        assert!(merge(&base, &ours, &ours).is_none(), "nothing that is not there already");
        assert!(merge(&base, &base, &base).is_none());
    }
}
