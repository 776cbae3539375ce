//! Files of tokens.

use std::fs;
use std::path::Path;

use crate::error::PrepareError;
use crate::manifest::{FileRecord, Split, sha256};

/// Tokens in a shard: 32 MiB.
pub(super) const SHARD_TOKENS: usize = 1 << 24;

/// Writes one split, of which it keeps a shard in memory.
pub(super) struct ShardWriter<'a> {
    folder: &'a Path,
    name: &'static str,
    shard: Vec<u8>,
    split: Split,
}

impl<'a> ShardWriter<'a> {
    pub(super) fn new(folder: &'a Path, name: &'static str) -> Self {
        Self { folder, name, shard: Vec::new(), split: Split::default() }
    }

    /// Adds the tokens of a document of so many bytes; says whether a shard became full.
    pub(super) fn add(&mut self, tokens: &[u16], bytes: usize) -> Result<bool, PrepareError> {
        let before = self.split.shards.len();
        self.split.tokens += tokens.len();
        self.split.bytes += bytes;
        for token in tokens {
            self.shard.extend(token.to_le_bytes());
            if self.shard.len() == 2 * SHARD_TOKENS {
                self.flush()?;
            }
        }
        Ok(self.split.shards.len() > before)
    }

    /// Tokens so far.
    pub(super) fn tokens(&self) -> usize {
        self.split.tokens
    }

    pub(super) fn finish(mut self) -> Result<Split, PrepareError> {
        if !self.shard.is_empty() {
            self.flush()?;
        }
        Ok(self.split)
    }

    fn flush(&mut self) -> Result<(), PrepareError> {
        let name = format!("{}-{:03}.bin", self.name, self.split.shards.len());
        self.split.shards.push(write(self.folder, &name, &self.shard)?);
        self.shard.clear();
        Ok(())
    }
}

/// Writes a file under another name and renames it, so that it is there whole or not at all.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<FileRecord, PrepareError> {
    let path = folder.join(name);
    let partial = folder.join(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &path));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        return Err(PrepareError::write(&path)(error));
    }
    Ok(FileRecord { file: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256(bytes) })
}

/// The name of the file that a file of this name was to become.
pub(super) fn partial_of(name: &str) -> Option<&str> {
    let (name, process) = name.strip_prefix('.')?.rsplit_once('.')?;
    process.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_shard_is_followed_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::new(folder.path(), "train");
        assert!(!writer.add(&vec![7; SHARD_TOKENS - 1], 10).unwrap());
        assert!(writer.add(&[8, 9], 2).unwrap());
        let split = writer.finish().unwrap();
        assert_eq!((split.tokens, split.bytes, split.shards.len()), (SHARD_TOKENS + 1, 12, 2));
        assert_eq!(split.shards[0].bytes, 2 * SHARD_TOKENS as u64);
        assert_eq!(split.shards[1].read(folder.path()).unwrap(), [9, 0]);
        assert_eq!(split.shards[1].file, "train-001.bin");
    }
}
