//! Text for a machine that has nothing but Rust: the doc comments and Markdown of crates that cargo has
//! unpacked anyway; or a folder of the researcher's; or Parquet files of a dataset.

mod folder;
#[cfg(feature = "hub")]
mod parquet;
mod registry;
mod text;

use std::path::{Path, PathBuf};

use crate::error::PrepareError;
use crate::manifest::{Source, SourceFile};
use crate::profile::Profile;

pub(crate) use folder::sha256_of;

/// One document in so many is for validation, spread evenly over the text: of the offline corpus, as much
/// as the evaluation of the profile `cpu` reads.
pub(crate) const VAL_EVERY: usize = 14;

/// A paragraph of the researcher's text is cut that has more than so many bytes for each token of a row.
pub(crate) const LONGEST: usize = 4;

/// Pieces of prose that are dealt with together: what is made of each has many times its size.
const TOGETHER: usize = 1024;

/// karpathy's dataset.
pub const DEFAULT_DATASET: &str = "karpathy/climbmix-400b-shuffle";

/// The number of the file for validation, which is the last of karpathy's dataset.
pub const VAL_SHARD: usize = 6542;

/// Where to take text from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The crates of this crate's own list, from `cargo_home` (usually `~/.cargo`).
    Registry {
        /// Cargo's folder.
        cargo_home: PathBuf,
    },
    /// Every `.md`, `.txt`, `.rs` and (with the feature `hub`) `.parquet` file in a folder.
    Folder(PathBuf),
    /// Parquet files of a dataset that have been downloaded, the one for validation last.
    Hub {
        /// Its name, `owner/name`.
        dataset: String,
        /// The files.
        files: Vec<PathBuf>,
    },
}

/// What documents are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Val,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

/// Documents: some in memory, and after them those of Parquet files, which stay on the disk.
///
/// Of two Parquet files or more the last is for validation, as karpathy's `shard_06542` is; of all
/// other documents, one in [`VAL_EVERY`].
#[derive(Clone, Debug)]
pub(crate) struct Corpus {
    /// Pieces of prose in a fixed order; no paragraph of any length occurs twice.
    pieces: Vec<String>,
    /// Bytes of prose before repeated paragraphs were dropped.
    bytes_read: usize,
    parquet: Vec<PathBuf>,
}

/// Documents that are in memory together.
type Batches<'a> = Box<dyn Iterator<Item = Result<Vec<String>, PrepareError>> + Send + 'a>;

impl Corpus {
    /// Bytes of all documents, where that is known without reading files.
    pub(crate) fn bytes_in_memory(&self) -> Option<usize> {
        self.parquet.is_empty().then(|| self.pieces.iter().map(String::len).sum())
    }

    /// Bytes of prose before repeated paragraphs were dropped.
    pub(crate) fn bytes_read(&self) -> usize {
        self.bytes_read
    }

    /// The documents of a part, always in the same order.
    pub(crate) fn batches(&self, part: Part) -> Batches<'_> {
        // From the middle of each group, so that few documents suffice for some of each part.
        let wanted = move |index: usize| (index % VAL_EVERY == VAL_EVERY / 2) == (part == Part::Val);
        let numbered = self.pieces.iter().enumerate();
        let mut pieces = numbered.filter(move |(index, _)| wanted(*index)).map(|(_, piece)| piece.clone());
        let pieces = std::iter::from_fn(move || {
            let batch: Vec<String> = pieces.by_ref().take(TOGETHER).collect();
            (!batch.is_empty()).then_some(Ok(batch))
        });
        let files: Batches<'_> = match self.parquet.as_slice() {
            [] => Box::new(std::iter::empty()),
            [only] => {
                let mut index = self.pieces.len()..;
                let keep = move |batch: Vec<String>| {
                    batch.into_iter().filter(|_| index.next().is_some_and(wanted)).collect()
                };
                Box::new(texts(only).map({
                    let mut keep = keep;
                    move |batch| batch.map(&mut keep)
                }))
            }
            [train @ .., val] => match part {
                Part::Train => Box::new(train.iter().flat_map(|path| texts(path))),
                Part::Val => texts(val),
            },
        };
        Box::new(pieces.chain(files))
    }
}

impl Origin {
    /// Identifies the text by versions or hashes.
    pub fn source(&self) -> Result<Source, PrepareError> {
        match self {
            Self::Registry { .. } => Ok(Source::Registry { crates: registry::locked()? }),
            Self::Folder(path) => folder::source(path),
            Self::Hub { dataset, files } => {
                let named = |path: &PathBuf| {
                    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    Ok(SourceFile { file, sha256: sha256_of(path)? })
                };
                Ok(Source::Hub {
                    dataset: dataset.clone(),
                    files: files.iter().map(named).collect::<Result<_, PrepareError>>()?,
                })
            }
        }
    }

    /// Reads the prose, and cuts it into documents of about what a row of the profile holds.
    pub(crate) fn read(&self, profile: Profile) -> Result<Corpus, PrepareError> {
        let (documents, longest, parquet) = match self {
            // Documentation has paragraphs.
            Self::Registry { cargo_home } => {
                (registry::documents(cargo_home, &registry::locked()?)?, usize::MAX, Vec::new())
            }
            Self::Folder(path) => {
                (folder::documents(path)?, LONGEST * profile.sequence, folder::parquet(path)?)
            }
            Self::Hub { files, .. } => (Vec::new(), usize::MAX, files.clone()),
        };
        let pieces = text::pieces(&documents, profile.sequence, longest);
        Ok(Corpus { pieces, bytes_read: documents.iter().map(String::len).sum(), parquet })
    }
}

/// The documents of a Parquet file.
#[cfg(feature = "hub")]
fn texts(path: &Path) -> Batches<'static> {
    match parquet::Texts::open(path) {
        Ok(texts) => Box::new(texts),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

#[cfg(not(feature = "hub"))]
fn texts(path: &Path) -> Batches<'static> {
    Box::new(std::iter::once(Err(PrepareError::NeedsHub(path.to_path_buf()))))
}

/// The files under `folder` whose names `wanted` accepts, sorted by path; links are not followed.
fn files(
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    enter: &dyn Fn(&str) -> bool,
) -> Result<Vec<PathBuf>, PrepareError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(PrepareError::read(&folder))? {
            let entry = entry.map_err(PrepareError::read(&folder))?;
            let kind = entry.file_type().map_err(PrepareError::read(&folder))?;
            if kind.is_dir() && enter(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() && wanted(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| extensions.contains(&extension))
}

#[cfg(all(test, feature = "hub"))]
pub(crate) use parquet::tests::write_texts as write_parquet;

#[cfg(all(test, feature = "hub"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ::parquet::basic::Compression;

    use super::parquet::tests::write;
    use super::*;

    fn documents(origin: &Origin, part: Part) -> Vec<String> {
        origin.read(Profile::CPU).unwrap().batches(part).flat_map(Result::unwrap).collect()
    }

    #[test]
    fn the_last_parquet_file_is_for_validation_and_of_one_every_fourteenth_text() {
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..30).map(|n| format!("text {n}")).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let path = |name: &str| folder.path().join(name);
        write(&path("shard_00000.parquet"), &[&texts], Compression::SNAPPY);
        let origin = Origin::Folder(folder.path().to_path_buf());
        assert_eq!(documents(&origin, Part::Val), ["text 7", "text 21"]);
        assert_eq!(documents(&origin, Part::Train).len(), 28);

        write(&path("shard_06542.parquet"), &[&[Some("judge by this")]], Compression::SNAPPY);
        std::fs::write(path("notes.md"), "Prose beside.").unwrap();
        assert_eq!(documents(&origin, Part::Val), ["judge by this"]);
        let train = documents(&origin, Part::Train);
        assert_eq!(
            (train.len(), train[0].as_str(), train[30].as_str()),
            (31, "Prose beside.\n\n", "text 29")
        );

        let files = vec![path("shard_00000.parquet"), path("shard_06542.parquet")];
        let origin = Origin::Hub { dataset: "me/mine".to_owned(), files };
        assert_eq!(documents(&origin, Part::Val), ["judge by this"]);
        let Source::Hub { files, .. } = origin.source().unwrap() else { panic!("it is of the hub") };
        assert_eq!(files[1].file, "shard_06542.parquet");
        assert_eq!(files[1].sha256, sha256_of(&path("shard_06542.parquet")).unwrap());
    }
}
