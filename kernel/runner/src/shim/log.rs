//! A log of bounded size: its beginning, its end, and a line in between that says what was cut.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes the beginning of what it gets to a file as it comes, and keeps the end in memory.
pub(super) struct Log {
    file: File,
    limit: usize,
    head: usize,
    /// The last `limit` bytes after the head, as a ring that begins at `at` once it is full.
    tail: Vec<u8>,
    at: usize,
    printed: u64,
}

impl Log {
    /// A log at `path` that keeps `limit` bytes of each end.
    pub(super) fn create(path: &Path, limit: usize) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, limit, head: 0, tail: Vec::new(), at: 0, printed: 0 })
    }

    /// How many bytes it got.
    pub(super) fn printed(&self) -> u64 {
        self.printed
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.printed += bytes.len() as u64;
        let (head, mut rest) = bytes.split_at(bytes.len().min(self.limit - self.head));
        if !head.is_empty() {
            self.head += head.len();
            self.file.write_all(head)?;
        }
        if rest.len() > self.limit {
            rest = &rest[rest.len() - self.limit..];
        }
        let room = self.limit - self.tail.len();
        let (grow, over) = rest.split_at(rest.len().min(room));
        self.tail.extend_from_slice(grow);
        let (to_end, wrapped) = over.split_at(over.len().min(self.limit - self.at));
        self.tail[self.at..self.at + to_end.len()].copy_from_slice(to_end);
        self.tail[..wrapped.len()].copy_from_slice(wrapped);
        self.at = (self.at + over.len()) % self.limit;
        Ok(())
    }

    /// Writes the end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let cut = self.printed - (self.head + self.tail.len()) as u64;
        if cut > 0 {
            write!(self.file, "\n[… {cut} bytes of the log were cut here …]\n")?;
        }
        let (end, begin) = self.tail.split_at(self.at);
        self.file.write_all(begin)?;
        self.file.write_all(end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ends_are_kept(chunks in proptest::collection::vec(proptest::collection::vec(b'a'..=b'z', 0..40), 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut log = Log::create(&path, 16).unwrap();
            for chunk in &chunks {
                log.push(chunk).unwrap();
            }
            log.finish().unwrap();
            let all = chunks.concat();
            let written = std::fs::read(&path).unwrap();
            if all.len() <= 32 {
                prop_assert_eq!(written, all);
            } else {
                prop_assert!(written.starts_with(&all[..16]));
                prop_assert!(written.ends_with(&all[all.len() - 16..]));
                let text = String::from_utf8(written).unwrap();
                let said = format!("{} bytes of the log were cut", all.len() - 32);
                prop_assert!(text.contains(&said));
            }
        }
    }
}
