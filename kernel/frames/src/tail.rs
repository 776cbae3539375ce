//! A file of JSON lines that another process appends to, read as it grows.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    marker::PhantomData,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use serde::de::DeserializeOwned;

/// How many bytes are read at once.
const PIECE: usize = 1 << 17;

/// The lines of a file so far, each a `T`, collected in a `C`. Each look reads only what is new, and whole lines
/// only, one at a time.
#[derive(Debug)]
pub(crate) struct Tail<T, C = Vec<T>> {
    path: PathBuf,
    /// Which file it was, if there was one, and how far it was read.
    inode: Option<u64>,
    offset: u64,
    /// The lines that could be read as `T`.
    pub(crate) items: C,
    line: PhantomData<T>,
}

impl<T: DeserializeOwned, C: Default + Extend<T>> Tail<T, C> {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, inode: None, offset: 0, items: C::default(), line: PhantomData }
    }

    /// Reads what was appended since the last look. Says whether the file was another one than before, so that
    /// what was made from the old lines must be made anew.
    ///
    /// A file that is not there has no lines; a line that cannot be read (of a newer version, or torn by a
    /// crash) is passed over.
    pub(crate) fn look(&mut self) -> bool {
        let Ok(file) = File::open(&self.path) else {
            let had = self.inode.is_some();
            *self = Self::new(std::mem::take(&mut self.path));
            return had;
        };
        let Ok(meta) = file.metadata() else { return false };
        let again = self.inode.is_some_and(|known| known != meta.ino()) || meta.len() < self.offset;
        if again {
            (self.offset, self.items) = (0, C::default());
        }
        self.inode = Some(meta.ino());
        if meta.len() > self.offset
            && let Err(error) = self.read(file)
        {
            tracing::debug!(path = %self.path.display(), %error, "cannot read what was appended");
        }
        again
    }

    fn read(&mut self, file: File) -> io::Result<()> {
        let mut file = BufReader::with_capacity(PIECE, file);
        file.seek(SeekFrom::Start(self.offset))?;
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.offset += line.len() as u64;
            if !line.trim_ascii().is_empty() {
                match serde_json::from_slice(&line) {
                    Ok(item) => self.items.extend([item]),
                    Err(error) => tracing::debug!(path = %self.path.display(), %error, "passed over a line"),
                }
            }
            line.clear();
        }
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
