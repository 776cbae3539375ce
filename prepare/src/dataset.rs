//! The prepared data in memory.

use std::path::Path;

use crate::Batch;
use crate::batches::TrainBatches;
use crate::error::PrepareError;
use crate::evaluate::{self, Evaluation};
use crate::manifest::{Manifest, Split};

/// Tokens to learn from and to be judged on.
#[derive(Debug)]
pub struct Dataset {
    manifest: Manifest,
    token_bytes: Vec<u8>,
    train: Vec<u16>,
    val: Vec<u16>,
}

impl Dataset {
    /// Reads the data folder and checks every hash in its manifest (a few milliseconds).
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PrepareError> {
        let folder = folder.as_ref();
        let manifest = Manifest::read(folder)?;
        let token_bytes = manifest.token_bytes.read(folder)?;
        if token_bytes.len() != manifest.vocab_size || token_bytes.contains(&0) {
            return Err(PrepareError::Damaged {
                path: folder.join(&manifest.token_bytes.file),
                reason: format!("expected {} lengths of 1 or more", manifest.vocab_size),
            });
        }
        let train = read_tokens(folder, &manifest.train, manifest.vocab_size)?;
        let val = read_tokens(folder, &manifest.val, manifest.vocab_size)?;
        Ok(Self { manifest, token_bytes, train, val })
    }

    /// Number of token ids; every token is below it.
    pub fn vocab_size(&self) -> usize {
        self.manifest.vocab_size
    }

    /// What was prepared.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Endless batches of `rows` × `sequence` tokens of the train split, in an order that `seed` decides.
    pub fn train_batches(
        &self,
        rows: usize,
        sequence: usize,
        seed: u64,
    ) -> Result<TrainBatches<'_>, PrepareError> {
        TrainBatches::new(&self.train, rows, sequence, seed)
    }

    /// Bits per byte on the validation split.
    ///
    /// `nats` gets batches of at most `rows` × `sequence` tokens and returns the cross-entropy in nats
    /// of every target, in the batch's order. Every target of the split is asked for exactly once,
    /// whatever `rows` and `sequence` are, so that models of different context are comparable.
    pub fn evaluate_bpb(
        &self,
        rows: usize,
        sequence: usize,
        nats: impl FnMut(&Batch) -> Vec<f32>,
    ) -> Result<Evaluation, PrepareError> {
        evaluate::bits_per_byte(&self.val, &self.token_bytes, rows, sequence, nats)
    }
}

fn read_tokens(folder: &Path, split: &Split, vocab_size: usize) -> Result<Vec<u16>, PrepareError> {
    let mut tokens = Vec::with_capacity(split.tokens);
    for shard in &split.shards {
        let bytes = shard.read(folder)?;
        tokens.extend(bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)));
    }
    if tokens.len() != split.tokens || tokens.iter().any(|&token| usize::from(token) >= vocab_size) {
        return Err(PrepareError::Damaged {
            path: folder.to_path_buf(),
            reason: format!("expected {} tokens below {vocab_size}", split.tokens),
        });
    }
    Ok(tokens)
}
