//! `manifest.json`: what was prepared, from what, with the hash of every file.
//!
//! Fields that this version does not know are kept when a manifest is read and written again.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::PrepareError;
use crate::profile::Profile;

/// The version of the manifest's format: 2 since documents begin with BOS.
pub(crate) const SCHEMA: u32 = 2;

/// The manifest's file name in the data folder.
pub(crate) const MANIFEST: &str = "manifest.json";

/// What was prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format, 2.
    pub schema: u32,
    /// SHA-256 of everything that decides the data: the text's origin and the recipe's settings.
    /// The same recipe gives the same files, byte for byte.
    pub recipe: String,
    /// Where the text came from.
    pub source: Source,
    /// The sizes that it was prepared for.
    pub profile: Profile,
    /// Number of token ids, special ones included.
    pub vocab_size: usize,
    /// The token that every document begins with.
    pub bos: u16,
    /// The tokenizer, in the format of Hugging Face's `tokenizers`.
    pub tokenizer: FileRecord,
    /// One byte for each token id: how many bytes of text it stands for, 0 for special tokens.
    pub token_bytes: FileRecord,
    /// What models learn from.
    pub train: Split,
    /// What they are judged on; of the offline corpus and of a folder's prose no paragraph of 40 bytes or more
    /// is in `train`.
    pub val: Split,
    /// Bits per byte on `val` of a model that knows only how frequent each token is in `train`. A model
    /// that learns anything from context is below it.
    pub unigram_bpb: f64,
    /// The same for single bytes in place of tokens.
    pub byte_bpb: f64,
    /// What a later version wrote beside these.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Where the text came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// Doc comments and Markdown of crates in the cargo registry.
    Registry {
        /// In the order of the text.
        crates: Vec<SourceCrate>,
    },
    /// A folder of the researcher's.
    Folder {
        /// As it was given.
        path: String,
        /// SHA-256 over its files' names and contents.
        sha256: String,
    },
    /// Parquet files of a dataset on the Hugging Face hub.
    Hub {
        /// Its name, `owner/name`.
        dataset: String,
        /// In the order of the text, the one for validation last.
        files: Vec<SourceFile>,
    },
}

/// A file that text was read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its name.
    pub file: String,
    /// SHA-256 of its contents.
    pub sha256: String,
}

/// A crate as Cargo.lock names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its package, from Cargo.lock.
    pub checksum: String,
}

/// A part of the tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Number of tokens, BOS included.
    pub tokens: usize,
    /// Bytes of text that they stand for.
    pub bytes: usize,
    /// Files of little-endian `u16` token ids, in order; a document may go on in the next.
    pub shards: Vec<FileRecord>,
}

/// A file in the data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a data folder.
    pub fn read(folder: &Path) -> Result<Self, PrepareError> {
        let path = folder.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PrepareError::NotPrepared(folder.to_path_buf()));
            }
            Err(error) => return Err(PrepareError::read(&path)(error)),
        };
        let bad = |reason: String| PrepareError::BadManifest { path: path.clone(), reason };
        // The schema first: a later one may differ in every other field.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) => return Err(bad(format!("schema {schema}, expected {SCHEMA}"))),
            None => return Err(bad("it names no schema".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| bad(error.to_string()))
    }

    /// Every file that it describes.
    pub fn files(&self) -> impl Iterator<Item = &FileRecord> {
        [&self.tokenizer, &self.token_bytes].into_iter().chain(&self.train.shards).chain(&self.val.shards)
    }
}

impl FileRecord {
    /// Reads the file from `folder`, and checks that it is the one described.
    pub fn read(&self, folder: &Path) -> Result<Vec<u8>, PrepareError> {
        let path = folder.join(&self.file);
        let bytes = fs::read(&path).map_err(PrepareError::read(&path))?;
        let damaged = |reason: String| PrepareError::Damaged { path: path.clone(), reason };
        if bytes.len() as u64 != self.bytes {
            let found = bytes.len();
            return Err(damaged(format!("{found} bytes, expected {}", self.bytes)));
        }
        if sha256(&bytes) != self.sha256 {
            return Err(damaged("its SHA-256 is another".to_owned()));
        }
        Ok(bytes)
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A data folder with the given tokens, of which 0 is BOS.
    fn folder_with(train: &[u16], val: &[u16], token_bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let record = |file: &str, bytes: &[u8]| {
            fs::write(folder.path().join(file), bytes).unwrap();
            FileRecord { file: file.to_owned(), bytes: bytes.len() as u64, sha256: sha256(bytes) }
        };
        let split = |file: &str, tokens: &[u16]| Split {
            tokens: tokens.len(),
            bytes: tokens.iter().map(|&token| usize::from(token_bytes[usize::from(token)])).sum(),
            shards: vec![record(file, &tokens.iter().flat_map(|t| t.to_le_bytes()).collect::<Vec<_>>())],
        };
        let manifest = Manifest {
            schema: SCHEMA,
            recipe: "test".to_owned(),
            source: Source::Registry { crates: vec![] },
            profile: Profile::CPU,
            vocab_size: token_bytes.len(),
            bos: 0,
            tokenizer: record("tokenizer.json", b"{}"),
            token_bytes: record("token_bytes.bin", token_bytes),
            train: split("train-000.bin", train),
            val: split("val-000.bin", val),
            unigram_bpb: 1.0,
            byte_bpb: 2.0,
            other: serde_json::Map::new(),
        };
        let text = serde_json::to_string(&manifest).unwrap();
        fs::write(folder.path().join(MANIFEST), text).unwrap();
        folder
    }

    #[test]
    fn fields_of_a_later_version_are_kept() {
        let folder = folder_with(&[0, 1], &[1, 0], &[0, 2]);
        let path = folder.path().join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen('{', r#"{"holdout": [1],"#, 1)).unwrap();
        let manifest = Manifest::read(folder.path()).unwrap();
        assert_eq!(manifest.other["holdout"], serde_json::json!([1]));
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again["holdout"], serde_json::json!([1]));
    }

    #[test]
    fn another_schema_and_a_damaged_file_are_named() {
        let folder = folder_with(&[0, 1], &[1, 0], &[0, 2]);
        let manifest = Manifest::read(folder.path()).unwrap();
        fs::write(folder.path().join("val-000.bin"), [9, 9, 9, 9]).unwrap();
        let error = manifest.val.shards[0].read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("val-000.bin"), "{error}");

        fs::write(folder.path().join(MANIFEST), r#"{"schema": 1}"#).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("schema 1, expected 2"), "{error}");

        fs::remove_file(folder.path().join(MANIFEST)).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err();
        assert_eq!(error.hint(), "run `cargo run --release -p prepare`");
    }
}
