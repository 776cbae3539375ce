//! A file of JSON lines that another process appends to, read as it grows.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use serde::de::DeserializeOwned;

/// The lines of a file so far. Each look reads only what is new, and whole lines only.
#[derive(Debug)]
pub(crate) struct Tail<T> {
    path: PathBuf,
    /// Which file it was, and how far it was read.
    inode: u64,
    offset: u64,
    /// The lines that could be read as `T`.
    pub(crate) items: Vec<T>,
}

impl<T: DeserializeOwned> Tail<T> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, inode: 0, offset: 0, items: Vec::new() }
    }

    /// Reads what was appended since the last look. Says whether the file was another one than before, so that
    /// what was made from the old lines must be made anew.
    ///
    /// A file that is not there has no lines; a line that cannot be read (of a newer version, or torn by a
    /// crash) is passed over.
    pub(crate) fn look(&mut self) -> bool {
        let Ok(mut file) = File::open(&self.path) else {
            let had = !self.items.is_empty();
            *self = Self::new(std::mem::take(&mut self.path));
            return had;
        };
        let Ok(meta) = file.metadata() else { return false };
        let again = self.inode != 0 && (meta.ino() != self.inode || meta.len() < self.offset);
        if again {
            (self.offset, self.items) = (0, Vec::new());
        }
        self.inode = meta.ino();
        if meta.len() > self.offset
            && let Err(error) = self.read(&mut file)
        {
            tracing::debug!(path = %self.path.display(), %error, "cannot read what was appended");
        }
        again
    }

    fn read(&mut self, file: &mut File) -> std::io::Result<()> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line) {
                Ok(item) => self.items.push(item),
                Err(error) => tracing::debug!(path = %self.path.display(), %error, "passed over a line"),
            }
        }
        self.offset += whole as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn reads_whole_lines_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut tail = Tail::<u32>::new(path.clone());
        assert!(!tail.look());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"1\n2\nnonsense\n3").unwrap();
        assert!(!tail.look());
        assert_eq!(tail.items, [1, 2]);
        file.write_all(b"4\n\n").unwrap();
        tail.look();
        assert_eq!(tail.items, [1, 2, 34]);
    }

    #[test]
    fn notices_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        fs::write(&path, "1\n2\n").unwrap();
        let mut tail = Tail::<u32>::new(path.clone());
        tail.look();
        fs::write(&path, "7\n").unwrap();
        assert!(tail.look());
        assert_eq!(tail.items, [7]);
        fs::remove_file(&path).unwrap();
        assert!(tail.look());
        assert!(tail.items.is_empty());
    }
}
