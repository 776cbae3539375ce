//! `metrics.jsonl`: rows as they are printed, bounded.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use lab::metrics::Row;

/// All of the first million rows are kept, and every thousandth after it: a run that prints for a
/// week keeps its shape, and one that prints without end costs about 100 MB at most.
const ALL: u64 = 1_000_000;
const THEN_EVERY: u64 = 1_000;

/// The rows of a run.
pub(super) struct Rows {
    file: BufWriter<File>,
    seen: u64,
}

impl Rows {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(path)?), seen: 0 })
    }

    /// How many rows there were, kept or not.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn push(&mut self, rows: &[Row]) -> io::Result<()> {
        for row in rows {
            self.seen += 1;
            if self.seen <= ALL || self.seen.is_multiple_of(THEN_EVERY) {
                serde_json::to_writer(&mut self.file, row)?;
                self.file.write_all(b"\n")?;
            }
        }
        self.file.flush()
    }
}
