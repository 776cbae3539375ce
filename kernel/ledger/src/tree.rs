//! Trees of git: where an experiment is in the ledger's, and how one path of a tree is replaced.

use std::path::Path;

use git2::{ObjectType, Oid, Repository, Tree};
use lab::{Entry, Record};

use crate::LedgerError;

/// The mode of a file.
pub(crate) const FILE: i32 = 0o100_644;
/// The mode of a program.
pub(crate) const PROGRAM: i32 = 0o100_755;
/// The mode of a folder.
pub(crate) const FOLDER: i32 = 0o040_000;
/// Entries of a level.
const LEVEL: u64 = 100;

/// The folders of an experiment: number 1234 is `00`, `12`, `34`.
///
/// Below a million experiments, no folder has more than a hundred entries, so that what an append
/// writes does not grow with the ledger.
pub(crate) fn fan_out(number: u64) -> [String; 3] {
    [number / LEVEL / LEVEL, number / LEVEL % LEVEL, number % LEVEL].map(|part| format!("{part:02}"))
}

/// The folder of an experiment.
pub(crate) fn experiment_path(record: &Record) -> Vec<String> {
    let mut path = vec!["experiments".to_owned(), record.writer.clone()];
    path.extend(fan_out(record.number));
    path
}

/// The file of an event.
pub(crate) fn event_path(writer: &str, entry: &Entry) -> Vec<String> {
    let day = entry.at.strftime("%Y-%m-%d").to_string();
    vec!["events".to_owned(), writer.to_owned(), day, format!("{}.json", entry.id)]
}

/// What to put at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The blob or tree.
    pub(crate) oid: Oid,
    /// Its mode.
    pub(crate) mode: i32,
}

/// Puts `leaf` at `path` of `tree`, or removes what is there where `leaf` is `None`, and gives the new
/// tree. Only the trees on the way are written; a folder that becomes empty goes away.
pub(crate) fn put(
    repo: &Repository,
    tree: Option<&Tree<'_>>,
    path: &[impl AsRef<str>],
    leaf: Option<Leaf>,
) -> Result<Oid, LedgerError> {
    let (name, rest) = match path {
        [] => return Err(LedgerError::Path { path: String::new(), reason: "it is empty".to_owned() }),
        [name, rest @ ..] => (name.as_ref(), rest),
    };
    let there = tree.and_then(|tree| tree.get_name(name));
    let mut builder = repo.treebuilder(tree)?;
    let new = if rest.is_empty() {
        leaf
    } else {
        let inner = match there.as_ref().map(|entry| (entry.kind(), entry.id())) {
            Some((Some(ObjectType::Tree), oid)) => Some(repo.find_tree(oid)?),
            // There is nothing below it to remove.
            _ if leaf.is_none() => return Ok(builder.write()?),
            Some(_) => {
                return Err(LedgerError::Path {
                    path: name.to_owned(),
                    reason: "it is not a folder".to_owned(),
                });
            }
            None => None,
        };
        let oid = put(repo, inner.as_ref(), rest, leaf)?;
        (!repo.find_tree(oid)?.is_empty()).then_some(Leaf { oid, mode: FOLDER })
    };
    match new {
        Some(leaf) => {
            builder.insert(name, leaf.oid, leaf.mode)?;
        }
        None if there.is_some() => builder.remove(name)?,
        None => {}
    }
    Ok(builder.write()?)
}

/// What is at `path` of `tree`.
pub(crate) fn get(tree: &Tree<'_>, path: &[impl AsRef<str>]) -> Result<Option<Leaf>, LedgerError> {
    let path: std::path::PathBuf = path.iter().map(|part| Path::new(part.as_ref())).collect();
    match tree.get_path(&path) {
        Ok(entry) => Ok(Some(Leaf { oid: entry.id(), mode: entry.filemode() })),
        Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Calls `each` with the path and entry of everything in `tree` that is not a folder, in git's order.
/// Names that are not UTF-8 are passed on lossily.
pub(crate) fn each_file(
    repo: &Repository,
    tree: &Tree<'_>,
    each: &mut impl FnMut(&str, Leaf),
) -> Result<(), LedgerError> {
    fn go(
        repo: &Repository,
        tree: &Tree<'_>,
        prefix: &str,
        each: &mut impl FnMut(&str, Leaf),
    ) -> Result<(), LedgerError> {
        for entry in tree {
            let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(ObjectType::Tree) {
                go(repo, &repo.find_tree(entry.id())?, &format!("{path}/"), each)?;
            } else {
                each(&path, Leaf { oid: entry.id(), mode: entry.filemode() });
            }
        }
        Ok(())
    }
    go(repo, tree, "", each)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::testing::Lab;

    #[test]
    fn numbers_are_folders_in_folders() {
        assert_eq!(fan_out(0), ["00", "00", "00"]);
        assert_eq!(fan_out(1234), ["00", "12", "34"]);
        assert_eq!(fan_out(999_999), ["99", "99", "99"]);
        assert_eq!(fan_out(1_234_567), ["123", "45", "67"]);
    }

    proptest! {
        #[test]
        fn a_folder_is_of_one_number(number in 0..u64::MAX) {
            let back: u64 = fan_out(number).iter().fold(0, |n, part| n * 100 + part.parse::<u64>().unwrap());
            prop_assert_eq!(back, number);
        }

        #[test]
        fn a_level_has_at_most_a_hundred_entries(numbers in prop::collection::btree_set(0_u64..1_000_000, 1..2_000)) {
            let mut levels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for [a, b, c] in numbers.iter().map(|n| fan_out(*n)) {
                levels.entry(String::new()).or_default().insert(a.clone());
                levels.entry(a.clone()).or_default().insert(b.clone());
                levels.entry(format!("{a}/{b}")).or_default().insert(c);
            }
            prop_assert!(levels.values().all(|entries| entries.len() <= 100));
        }
    }

    #[test]
    fn what_is_put_is_there_and_what_is_removed_leaves_no_empty_folder() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let repo = &ledger.repo;
        let leaf = Leaf { oid: repo.blob(b"x").unwrap(), mode: FILE };
        let one = repo.find_tree(put(repo, None, &["a", "b", "c"], Some(leaf)).unwrap()).unwrap();
        let two = repo.find_tree(put(repo, Some(&one), &["a", "d"], Some(leaf)).unwrap()).unwrap();
        assert_eq!(get(&two, &["a", "b", "c"]).unwrap(), Some(leaf));
        assert_eq!(get(&two, &["a", "x"]).unwrap(), None);
        let back = put(repo, Some(&two), &["a", "d"], None).unwrap();
        assert_eq!(back, one.id());
        let none = repo.find_tree(put(repo, Some(&one), &["a", "b", "c"], None).unwrap()).unwrap();
        assert!(none.is_empty());
        let same = put(repo, Some(&one), &["q", "r"], None).unwrap();
        assert_eq!(same, one.id(), "removing what is not there changes nothing");
    }
}
