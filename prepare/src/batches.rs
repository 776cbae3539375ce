//! Batches of tokens.

use crate::error::PrepareError;
use crate::random::Random;

/// Rows of tokens, and for each the token that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of sequences.
    pub rows: usize,
    /// Tokens in each.
    pub sequence: usize,
    /// Token ids, `rows` × `sequence`, row by row.
    pub inputs: Vec<i32>,
    /// The same one token later.
    pub targets: Vec<i32>,
}

impl Batch {
    /// The windows of `tokens` that begin at `starts`.
    pub(crate) fn windows(tokens: &[u16], starts: &[usize], sequence: usize) -> Self {
        let window = |offset: usize| {
            starts
                .iter()
                .flat_map(|&start| &tokens[start + offset..start + offset + sequence])
                .map(|&token| i32::from(token))
                .collect()
        };
        Self { rows: starts.len(), sequence, inputs: window(0), targets: window(1) }
    }
}

/// Endless batches of the train split.
///
/// One epoch cuts the tokens into windows (at another phase each time) and visits each once, in random
/// order. The same seed gives the same batches.
#[derive(Debug)]
pub struct TrainBatches<'a> {
    tokens: &'a [u16],
    rows: usize,
    sequence: usize,
    random: Random,
    /// Starts of the windows that this epoch has yet to visit, the next one last.
    starts: Vec<usize>,
    epoch: usize,
}

impl<'a> TrainBatches<'a> {
    pub(crate) fn new(
        tokens: &'a [u16],
        rows: usize,
        sequence: usize,
        seed: u64,
    ) -> Result<Self, PrepareError> {
        for (name, value) in [("the batch", rows), ("the sequence", sequence)] {
            if value == 0 {
                return Err(PrepareError::Zero(name));
            }
        }
        if tokens.len() <= sequence {
            return Err(PrepareError::TooShort { split: "train", tokens: tokens.len(), sequence });
        }
        Ok(Self { tokens, rows, sequence, random: Random::new(seed), starts: Vec::new(), epoch: 0 })
    }

    /// The next batch; there is always one.
    pub fn next_batch(&mut self) -> Batch {
        let mut starts = Vec::with_capacity(self.rows);
        while starts.len() < self.rows {
            match self.starts.pop() {
                Some(start) => starts.push(start),
                None => self.begin_epoch(),
            }
        }
        Batch::windows(self.tokens, &starts, self.sequence)
    }

    /// The pass over the tokens that the last batch ended in, from 1; 0 before the first batch.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    fn begin_epoch(&mut self) {
        // Each window needs one token more, the last target.
        let spare = self.tokens.len() - 1;
        let phase = self.random.below(self.sequence.min(spare - self.sequence + 1));
        self.starts = (phase..=spare - self.sequence).step_by(self.sequence).collect();
        self.random.shuffle(&mut self.starts);
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn tokens(count: u16) -> Vec<u16> {
        (0..count).collect()
    }

    #[test]
    fn a_seed_decides_the_batches() {
        let tokens = tokens(1000);
        let take = |seed| {
            let mut batches = TrainBatches::new(&tokens, 4, 16, seed).unwrap();
            (0..40).map(|_| batches.next_batch()).collect::<Vec<_>>()
        };
        assert_eq!(take(42), take(42));
        assert_ne!(take(42), take(43));
    }

    #[test]
    fn an_epoch_visits_each_window_once() {
        let tokens = tokens(129);
        let mut batches = TrainBatches::new(&tokens, 1, 16, 5).unwrap();
        let mut seen = Vec::new();
        batches.next_batch();
        while batches.epoch() == 1 {
            seen.extend(batches.next_batch().inputs);
        }
        // The first and the last batch are of other epochs or not recorded: no token twice all the same.
        seen.truncate(seen.len() - 16);
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
        assert!(count >= 16 * 6, "{count}");
    }

    proptest! {
        #[test]
        fn targets_follow_inputs(count in 2u16..400, rows in 1usize..5, sequence in 1usize..40, seed: u64) {
            let tokens = tokens(count);
            match TrainBatches::new(&tokens, rows, sequence, seed) {
                Ok(mut batches) => for _ in 0..20 {
                    let batch = batches.next_batch();
                    prop_assert_eq!(batch.inputs.len(), rows * sequence);
                    prop_assert_eq!(batch.targets.len(), rows * sequence);
                    for (input, target) in batch.inputs.iter().zip(&batch.targets) {
                        prop_assert_eq!(input + 1, *target);
                    }
                },
                Err(error) => prop_assert!(usize::from(count) <= sequence, "{}", error),
            }
        }
    }
}
