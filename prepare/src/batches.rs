//! Batches of tokens.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::documents::Documents;
use crate::error::PrepareError;
use crate::packing::Packer;

/// Batches that wait for the model: enough to bridge a slow moment, and little memory.
const WAITING: usize = 8;

/// Rows of tokens, and for each the token that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of sequences.
    pub rows: usize,
    /// Tokens in each.
    pub sequence: usize,
    /// Token ids, `rows` × `sequence`, row by row; each row begins with BOS.
    pub inputs: Vec<i32>,
    /// The same one token later.
    pub targets: Vec<i32>,
}

impl Batch {
    /// The next rows of `packer`, fewer than `rows` where its documents end.
    pub(crate) fn pack(
        packer: &mut Packer<impl Iterator<Item = Range<usize>>>,
        tokens: &[u16],
        rows: usize,
        sequence: usize,
    ) -> Self {
        let room = rows * sequence;
        let mut batch =
            Self { rows: 0, sequence, inputs: Vec::with_capacity(room), targets: Vec::with_capacity(room) };
        let mut row = Vec::with_capacity(sequence + 1);
        // One more than the inputs: the last target.
        while batch.rows < rows
            && let Some(pieces) = packer.row(sequence + 1)
        {
            row.clear();
            row.extend(pieces.into_iter().flat_map(|piece| &tokens[piece]).map(|&token| i32::from(token)));
            batch.inputs.extend_from_slice(&row[..sequence]);
            batch.targets.extend_from_slice(&row[1..]);
            batch.rows += 1;
        }
        batch
    }
}

/// Endless batches of the train split, packed on a thread of their own so that the model never waits.
///
/// The documents come in another order in each epoch. The same seed gives the same batches.
#[derive(Debug)]
pub struct TrainBatches {
    /// A batch with its epoch. Nothing only while dropping: it ends the thread.
    packed: Option<Receiver<(Batch, usize)>>,
    thread: Option<JoinHandle<()>>,
    epoch: usize,
}

impl TrainBatches {
    pub(crate) fn new(
        documents: Arc<Documents>,
        rows: usize,
        sequence: usize,
        seed: u64,
    ) -> Result<Self, PrepareError> {
        if rows == 0 {
            return Err(PrepareError::Zero("the batch"));
        }
        if documents.count() == 0 {
            return Err(PrepareError::TooShort { split: "train", tokens: 0, sequence });
        }
        let (sender, receiver) = sync_channel(WAITING);
        let pack = move || {
            let mut packer = Packer::new(Arc::clone(&documents).shuffled(seed));
            loop {
                let batch = Batch::pack(&mut packer, documents.tokens(), rows, sequence);
                let epoch = packer.placed().div_ceil(documents.count());
                if sender.send((batch, epoch)).is_err() {
                    break; // The receiver was dropped.
                }
            }
        };
        let thread =
            thread::Builder::new().name("batches".to_owned()).spawn(pack).map_err(PrepareError::Thread)?;
        Ok(Self { packed: Some(receiver), thread: Some(thread), epoch: 0 })
    }

    /// The next batch; there is always one.
    pub fn next_batch(&mut self) -> Batch {
        if let Some((batch, epoch)) = self.packed.as_ref().and_then(|packed| packed.recv().ok()) {
            self.epoch = epoch;
            return batch;
        }
        // The thread ends early only by a panic, which belongs to whoever needed the batch.
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("the thread packs batches as long as it is listened to"),
        }
    }

    /// How many times the documents placed up to the last batch make up the train split, rounded up: 1
    /// in the first pass, 0 before the first batch. (karpathy's counts the documents in the buffer too.)
    pub fn epoch(&self) -> usize {
        self.epoch
    }
}

impl Drop for TrainBatches {
    fn drop(&mut self) {
        self.packed = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `count` documents of BOS (0) and 1 to 40 tokens.
    fn documents(count: usize) -> Arc<Documents> {
        let mut tokens = Vec::new();
        for document in 0..count {
            tokens.push(0);
            tokens.extend((0..=document % 40).map(|n| (1 + document + n) as u16));
        }
        Arc::new(Documents::new(tokens, 0).unwrap())
    }

    #[test]
    fn a_seed_decides_the_batches() {
        let take = |seed| {
            let mut batches = TrainBatches::new(documents(2000), 4, 16, seed).unwrap();
            (0..40).map(|_| batches.next_batch()).collect::<Vec<_>>()
        };
        assert_eq!(take(42), take(42));
        assert_ne!(take(42), take(43));
    }

    #[test]
    fn rows_begin_with_bos_and_targets_follow_inputs() {
        let mut batches = TrainBatches::new(documents(30), 3, 16, 1).unwrap();
        for _ in 0..50 {
            let batch = batches.next_batch();
            assert_eq!((batch.rows, batch.inputs.len(), batch.targets.len()), (3, 48, 48));
            for (inputs, targets) in batch.inputs.chunks(16).zip(batch.targets.chunks(16)) {
                assert_eq!(inputs[0], 0);
                assert_eq!(inputs[1..], targets[..15]);
            }
        }
    }

    #[test]
    fn epochs_are_counted_by_what_was_read() {
        // 10 documents of 4 tokens; a row of 4 takes one, and none is cropped.
        let tokens: Vec<u16> = (0..10).flat_map(|n| [0, 1 + n, 2, 3]).collect();
        let documents = Arc::new(Documents::new(tokens, 0).unwrap());
        let mut batches = TrainBatches::new(documents, 5, 3, 1).unwrap();
        let mut epochs = vec![batches.epoch()];
        epochs.extend((0..5).map(|_| {
            batches.next_batch();
            batches.epoch()
        }));
        assert_eq!(epochs, [0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn dropping_ends_the_thread() {
        let documents = documents(100);
        let mut batches = TrainBatches::new(Arc::clone(&documents), 2, 8, 1).unwrap();
        batches.next_batch();
        drop(batches);
        assert_eq!(Arc::strong_count(&documents), 1, "the thread's share is gone");
    }

    #[test]
    fn no_rows_and_no_documents_are_refused() {
        assert!(matches!(TrainBatches::new(documents(3), 0, 8, 1), Err(PrepareError::Zero(_))));
        assert!(matches!(TrainBatches::new(documents(0), 1, 8, 1), Err(PrepareError::TooShort { .. })));
    }
}
