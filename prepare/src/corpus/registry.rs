//! The corpus that every machine has which has built this crate: its own dependencies' documentation.

use std::path::{Path, PathBuf};

use super::{files, has_extension, text};
use crate::error::PrepareError;
use crate::manifest::SourceCrate;

/// Dependencies of this crate, so that building it has fetched them, with much prose in them.
///
/// Each stands exactly once in Cargo.lock (a test checks it); versions and checksums come from there,
/// so that a commit of this repository means one corpus.
const CRATES: [&str; 20] = [
    "aho-corasick",
    "cc",
    "crossbeam-epoch",
    "crossbeam-utils",
    "dary_heap",
    "indexmap",
    "libc",
    "log",
    "memchr",
    "once_cell",
    "onig",
    "rayon",
    "rayon-core",
    "regex",
    "regex-automata",
    "regex-syntax",
    "serde",
    "serde_json",
    "tokenizers",
    "zerocopy",
];

const LOCK: &str = include_str!("../../../Cargo.lock");

/// The crates of the list as Cargo.lock had them when this crate was built.
pub(super) fn locked() -> Result<Vec<SourceCrate>, PrepareError> {
    let packages = packages(LOCK);
    CRATES
        .iter()
        .map(|&name| {
            let mut named = packages.iter().filter(|package| package.name == name);
            match (named.next(), named.next()) {
                (Some(package), None) => Ok(package.clone()),
                _ => Err(PrepareError::NotLocked(name.to_owned())),
            }
        })
        .collect()
}

/// One document for each file with prose, in the order of the crates and of their paths.
pub(super) fn documents(cargo_home: &Path, crates: &[SourceCrate]) -> Result<Vec<String>, PrepareError> {
    let registry = cargo_home.join("registry").join("src");
    let mut documents = Vec::new();
    for source in crates {
        let folder = unpacked(&registry, source)?;
        let wanted = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // A change log is lists of links and names.
            has_extension(path, &["md", "rs"]) && !name.to_lowercase().starts_with("change")
        };
        for path in files(&folder, &wanted, &|name| name != "tests" && name != "target")? {
            let bytes = std::fs::read(&path).map_err(PrepareError::read(&path))?;
            let content = String::from_utf8_lossy(&bytes);
            documents.push(if has_extension(&path, &["rs"]) {
                text::doc_comments(&content)
            } else {
                content.into_owned()
            });
        }
    }
    Ok(documents)
}

/// The folder of a crate's sources; the registry has one folder for each index.
fn unpacked(registry: &Path, source: &SourceCrate) -> Result<PathBuf, PrepareError> {
    let mut indexes: Vec<PathBuf> = std::fs::read_dir(registry)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    indexes.sort();
    indexes
        .iter()
        .map(|index| index.join(format!("{}-{}", source.name, source.version)))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| PrepareError::MissingCrate {
            name: source.name.clone(),
            version: source.version.clone(),
            registry: registry.to_path_buf(),
        })
}

/// The packages of a Cargo.lock that have a checksum, which is what the registry unpacks.
fn packages(lock: &str) -> Vec<SourceCrate> {
    lock.split("[[package]]")
        .filter_map(|block| {
            let field = |name: &str| {
                block.lines().find_map(|line| {
                    let value = line.strip_prefix(name)?.strip_prefix(" = ")?;
                    Some(value.trim_matches('"').to_owned())
                })
            };
            Some(SourceCrate {
                name: field("name")?,
                version: field("version")?,
                checksum: field("checksum")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_crate_of_the_list_is_locked_once() {
        let crates = locked().unwrap();
        assert_eq!(crates.len(), CRATES.len());
        assert!(crates.iter().all(|source| source.checksum.len() == 64));
        assert!(CRATES.is_sorted());
    }

    #[test]
    fn a_missing_crate_is_named_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let error = documents(home.path(), &locked().unwrap()).unwrap_err();
        assert!(error.to_string().contains("aho-corasick"), "{error}");
        assert!(error.hint().contains("cargo fetch"));
    }

    #[test]
    fn prose_is_taken_and_change_logs_are_not() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("registry/src/index-1/some-1.2.3");
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("README.md"), "Read me.").unwrap();
        std::fs::write(folder.join("CHANGELOG.md"), "1.2.3").unwrap();
        std::fs::write(folder.join("src/lib.rs"), "//! Prose.\nfn code() {}").unwrap();
        let source =
            SourceCrate { name: "some".to_owned(), version: "1.2.3".to_owned(), checksum: String::new() };
        let documents = documents(home.path(), &[source]).unwrap();
        assert_eq!(documents, ["Read me.", "Prose.\n"]);
    }
}
