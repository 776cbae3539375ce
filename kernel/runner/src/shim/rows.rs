//! `metrics.jsonl`: rows as they are printed, bounded.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use lab::metrics::Row;

/// All of the first rows are kept, then every tenth, and from a million or so many bytes on every thousandth: a run
/// that prints for a week keeps its shape, and one that prints without end costs tens of megabytes, on the disk and
/// in the memory of who reads them all.
const ALL: u64 = 100_000;
const TENTH: u64 = 1_000_000;
const BYTES: u64 = 32 << 20;

/// The rows of a run.
pub(super) struct Rows {
    file: BufWriter<File>,
    seen: u64,
    bytes: u64,
}

impl Rows {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(path)?), seen: 0, bytes: 0 })
    }

    /// How many rows there were, kept or not.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn push(&mut self, rows: &[Row]) -> io::Result<()> {
        for row in rows {
            self.seen += 1;
            let every = match self.seen {
                _ if self.bytes > BYTES => 1_000,
                ..=ALL => 1,
                ..=TENTH => 10,
                _ => 1_000,
            };
            if self.seen.is_multiple_of(every) {
                let mut line = serde_json::to_vec(row)?;
                line.push(b'\n');
                self.bytes += line.len() as u64;
                self.file.write_all(&line)?;
            }
        }
        self.file.flush()
    }
}
