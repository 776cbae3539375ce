//! Rows of documents without padding, as karpathy's `make_dataloader` packs them.
//!
//! A buffer holds at least 1000 documents. A row takes the largest that fits into what is left of it,
//! until none fits; then the shortest document of all is cropped to fill the row. So every row is full
//! and begins with a document's first token, BOS. He searches the list of documents from its front for
//! each placement; a map by length finds the same ones, since documents of one length queue in the
//! list's order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Documents to choose from: karpathy's `buffer_size`.
const BUFFER: usize = 1000;

/// Documents that arrive together: karpathy's `tokenizer_batch_size`. It shows in the rows, as the
/// buffer holds up to so many more than [`BUFFER`]. (His batches also end where a Parquet file does.)
const ARRIVING: usize = 128;

/// Chooses documents for rows; it knows only where they are, as ranges of tokens.
#[derive(Debug)]
pub(crate) struct Packer<D> {
    documents: D,
    /// Where the buffered documents of each length begin, the first to have come at the front.
    by_length: BTreeMap<usize, VecDeque<usize>>,
    buffered: usize,
    buffer: usize,
    arriving: usize,
    placed: usize,
}

impl<D: Iterator<Item = Range<usize>>> Packer<D> {
    /// Packs `documents`, none of which may be empty.
    pub(crate) fn new(documents: D) -> Self {
        Self::with_buffer(documents, BUFFER, ARRIVING)
    }

    fn with_buffer(documents: D, buffer: usize, arriving: usize) -> Self {
        Self { documents, by_length: BTreeMap::new(), buffered: 0, buffer, arriving, placed: 0 }
    }

    /// Documents placed so far, cropped ones included.
    pub(crate) fn placed(&self) -> usize {
        self.placed
    }

    /// The pieces of the next row, `capacity` tokens in all; `None` when too little is left to fill it.
    pub(crate) fn row(&mut self, capacity: usize) -> Option<Vec<Range<usize>>> {
        let mut row = Vec::new();
        let mut left = capacity;
        while left > 0 {
            self.refill();
            let fitting = self.by_length.range(..=left).next_back();
            let (&length, _) = fitting.or_else(|| self.by_length.first_key_value())?;
            let start = self.take(length)?;
            let taken = length.min(left);
            row.push(start..start + taken);
            left -= taken;
        }
        Some(row)
    }

    fn refill(&mut self) {
        while self.buffered < self.buffer {
            let before = self.buffered;
            for document in self.documents.by_ref().take(self.arriving) {
                self.by_length.entry(document.len()).or_default().push_back(document.start);
                self.buffered += 1;
            }
            if self.buffered == before {
                break; // A single pass is at its end: the buffer empties.
            }
        }
    }

    /// The first document of this length.
    fn take(&mut self, length: usize) -> Option<usize> {
        let queue = self.by_length.get_mut(&length)?;
        let start = queue.pop_front()?;
        if queue.is_empty() {
            self.by_length.remove(&length);
        }
        self.buffered -= 1;
        self.placed += 1;
        Some(start)
    }
}

#[cfg(test)]
mod tests;
