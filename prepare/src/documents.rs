//! Tokens of one document after another.

use std::ops::Range;
use std::sync::Arc;

use crate::random::Random;

/// A split in memory: each document is its BOS token and its own tokens.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    tokens: Vec<u16>,
    /// Where each document begins.
    starts: Vec<usize>,
}

impl Documents {
    /// `None` if text stands before the first `bos`.
    pub(crate) fn new(tokens: Vec<u16>, bos: u16) -> Option<Self> {
        let begins = |(index, &token): (usize, &u16)| (token == bos).then_some(index);
        let starts: Vec<usize> = tokens.iter().enumerate().filter_map(begins).collect();
        (tokens.is_empty() || starts.first() == Some(&0)).then_some(Self { tokens, starts })
    }

    pub(crate) fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// Number of documents.
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The documents once, as they are in the files: ranges of [`Self::tokens`].
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count()).map(|index| self.range(index))
    }

    /// The documents again and again, each time in an order that the seed and the epoch decide.
    ///
    /// There must be a document.
    pub(crate) fn shuffled(self: Arc<Self>, seed: u64) -> impl Iterator<Item = Range<usize>> + Send {
        (1u64..).flat_map(move |epoch| {
            let mut order: Vec<usize> = (0..self.count()).collect();
            Random::for_epoch(seed, epoch).shuffle(&mut order);
            let documents = Arc::clone(&self);
            order.into_iter().map(move |index| documents.range(index))
        })
    }

    fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts.get(index + 1).copied().unwrap_or(self.tokens.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_begin_at_bos() {
        let documents = Documents::new(vec![9, 1, 2, 9, 9, 3], 9).unwrap();
        assert_eq!(documents.in_order().collect::<Vec<_>>(), [0..3, 3..4, 4..6]);
        assert!(Documents::new(vec![1, 9], 9).is_none());
        assert_eq!(Documents::new(vec![], 9).unwrap().count(), 0);
    }

    #[test]
    fn every_epoch_has_every_document_in_an_order_of_its_own() {
        let documents = Arc::new(Documents::new(vec![9; 50], 9).unwrap());
        let take = |seed| Arc::clone(&documents).shuffled(seed).take(100).collect::<Vec<_>>();
        let ranges = take(7);
        assert_eq!(ranges, take(7));
        assert_ne!(ranges, take(8));
        let (first, second) = ranges.split_at(50);
        assert_ne!(first, second);
        for epoch in [first, second] {
            let mut starts: Vec<usize> = epoch.iter().map(|range| range.start).collect();
            starts.sort_unstable();
            assert_eq!(starts, (0..50).collect::<Vec<_>>());
        }
    }
}
