//! The ledger as files, in the worktree of whoever proposes.
//!
//! ```text
//! .overnight/brief.md                what the proposer is told
//! .overnight/experiments.tsv         a line for each experiment
//! .overnight/experiments/17/         of the latest, and of the latest that were kept:
//!     experiment.md  changes.diff  log.txt
//! ```
//!
//! The folder stays from one proposal to the next, and only what is new is written. It is no part of the lab: whatever
//! is done to it is no change, and the next proposal finds it as it should be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::Hash;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use lab::{CommitId, Experiment, ExperimentId, RECORDS, Status};

use super::worktree::one_line;
use super::{Brief, prompt};
use crate::blocking;
use crate::store::{ReadDiff, ReadLog, Store};

/// How many of the latest experiments have a folder.
const LATEST: usize = 30;
/// How many of the latest that were kept have one too.
const KEPT: usize = 20;
/// How many experiments have a line.
const LINES: usize = 1000;
/// How many diffs and how many logs are remembered.
const MOST: usize = 1000;
/// How long a diff or a log may be, in bytes.
const LONGEST: usize = 32 << 10;

/// Writes what the ledger holds where a program can read it.
pub(super) struct Records {
    diff: ReadDiff,
    log: ReadLog,
    diffs: Known<(CommitId, CommitId), Option<String>>,
    logs: Known<ExperimentId, String>,
}

/// What never changes, read once.
struct Known<K, V>(Mutex<HashMap<K, V>>);

/// What is to be at a path.
enum Node {
    File(String),
    Folder(BTreeMap<String, Node>),
}

impl Records {
    pub(super) fn new(store: &Store) -> Self {
        Self { diff: store.differ(), log: store.logs(), diffs: Known::default(), logs: Known::default() }
    }

    /// A brief as a page.
    pub(super) fn page(&self, brief: &Brief) -> String {
        blocking::here(|| prompt::render(brief, &|a, b| self.diff(a, b), prompt::TOKENS))
    }

    /// Brings the records in a worktree up to date. Where that cannot be, the proposer does without.
    pub(super) fn write(&self, worktree: &Path, brief: &Brief, page: &str) {
        let written = blocking::here(|| put(&worktree.join(RECORDS), &self.all(brief, page)));
        if let Err(error) = written {
            tracing::warn!(%error, worktree = %worktree.display(), "the records could not be written");
        }
    }

    fn all(&self, brief: &Brief, page: &str) -> Node {
        let newest = || brief.experiments.iter().rev();
        let kept = newest().filter(|it| it.record.status == Status::Keep).take(KEPT);
        let shown: BTreeSet<u64> = newest().take(LATEST).chain(kept).map(|it| it.record.number).collect();
        let shown = brief.experiments.iter().filter(|it| shown.contains(&it.record.number));
        let experiments = shown.map(|it| (it.record.number.to_string(), self.one(it))).collect();
        Node::folder([
            ("brief.md", Node::File(page.to_owned())),
            ("experiments.tsv", Node::File(table(&brief.experiments))),
            ("experiments", Node::Folder(experiments)),
        ])
    }

    fn diff(&self, parent: &CommitId, candidate: &CommitId) -> Option<String> {
        let cut = || (self.diff)(parent, candidate).map(|diff| prompt::fit(&diff, LONGEST));
        self.diffs.get((parent.clone(), candidate.clone()), cut)
    }

    fn one(&self, experiment: &Experiment) -> Node {
        let record = &experiment.record;
        let changes = record.parent.as_ref().and_then(|parent| self.diff(parent, &record.candidate));
        let log = self.logs.get(record.id, || {
            let log = (self.log)(record).unwrap_or_default();
            prompt::fit(&String::from_utf8_lossy(&log), LONGEST)
        });
        Node::folder([
            ("experiment.md", Node::File(prompt::told(experiment, &|_, _| None))),
            ("changes.diff", Node::File(changes.unwrap_or_default())),
            ("log.txt", Node::File(log)),
        ])
    }
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Known<K, V> {
    fn get(&self, key: K, read: impl FnOnce() -> V) -> V {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.entry(key).or_insert_with(read).clone()
    }
}

impl Node {
    fn folder<const N: usize>(nodes: [(&str, Self); N]) -> Self {
        Self::Folder(nodes.map(|(name, node)| (name.to_owned(), node)).into())
    }
}

/// A line for each experiment, the latest last.
fn table(experiments: &[Experiment]) -> String {
    let mut table = "number\tstatus\tvalue\tdelta\tproposer\thypothesis\treason\n".to_owned();
    for experiment in &experiments[experiments.len().saturating_sub(LINES)..] {
        let record = &experiment.record;
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            record.number.to_string(),
            record.status.to_string(),
            number(record.value),
            number(record.delta),
            one_line(&record.proposer),
            one_line(&record.hypothesis),
            one_line(&record.reason),
        ];
        table.push_str(&cells.join("\t"));
        table.push('\n');
    }
    table
}

/// Makes a path what it should be. No link is followed, for whoever works there may have made it.
fn put(path: &Path, node: &Node) -> io::Result<()> {
    let there = path.symlink_metadata().ok();
    match node {
        Node::File(text) => {
            if there.is_some_and(|it| it.is_file()) && fs::read(path).is_ok_and(|it| it == text.as_bytes()) {
                return Ok(());
            }
            remove(path)?;
            fs::File::options().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
        }
        Node::Folder(nodes) => {
            if !there.is_some_and(|it| it.is_dir()) {
                remove(path)?;
                fs::create_dir(path)?;
            }
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                if !entry.file_name().to_str().is_some_and(|name| nodes.contains_key(name)) {
                    remove(&entry.path())?;
                }
            }
            nodes.iter().try_for_each(|(name, node)| put(&path.join(name), node))
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(it) if it.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn records(log: &str) -> Node {
        let one = Node::folder([("log.txt", Node::File(log.to_owned()))]);
        let text = Node::File("table\n".to_owned());
        Node::folder([("experiments.tsv", text), ("experiments", Node::folder([("17", one)]))])
    }

    #[test]
    fn only_what_is_new_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDS);
        put(&path, &records("a")).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let files = ["experiments.tsv", "experiments/17/log.txt"].map(|name| path.join(name));
        for file in &files {
            fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
        }
        put(&path, &records("b")).unwrap();
        let [table, log] = files.map(|file| file.metadata().unwrap().modified().unwrap());
        assert!(table == old && log != old);
        assert_eq!(fs::read_to_string(path.join("experiments/17/log.txt")).unwrap(), "b");
    }

    #[test]
    fn whatever_was_done_to_them_is_undone_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, outside) = (folder.path().join(RECORDS), folder.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("log.txt"), "mine").unwrap();
        let experiments = path.join("experiments");
        let breakages: [&dyn Fn(); 6] = [
            &|| fs::write(experiments.join("17/log.txt"), "val_bpb: 0").unwrap(),
            &|| fs::write(experiments.join("more"), "x").unwrap(),
            &|| fs::remove_dir_all(&experiments).unwrap(),
            &|| {
                fs::remove_dir_all(experiments.join("17")).unwrap();
                symlink(&outside, experiments.join("17")).unwrap();
            },
            &|| {
                fs::remove_file(experiments.join("17/log.txt")).unwrap();
                symlink(outside.join("log.txt"), experiments.join("17/log.txt")).unwrap();
            },
            &|| {
                fs::remove_dir_all(&path).unwrap();
                symlink(&outside, &path).unwrap();
            },
        ];
        put(&path, &records("a")).unwrap();
        for breakage in breakages {
            breakage();
            put(&path, &records("a")).unwrap();
            assert_eq!(fs::read_to_string(experiments.join("17/log.txt")).unwrap(), "a");
            let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
            assert_eq!((names(&path), names(&experiments), names(&outside)), (2, 1, 1));
            assert_eq!(fs::read_to_string(outside.join("log.txt")).unwrap(), "mine");
        }
    }
}
