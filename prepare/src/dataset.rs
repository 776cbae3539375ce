//! The prepared data in memory.

use std::path::Path;
use std::sync::Arc;

use crate::Batch;
use crate::batches::TrainBatches;
use crate::documents::Documents;
use crate::error::PrepareError;
use crate::evaluate::{self, Evaluation};
use crate::manifest::{Manifest, Split};

/// Tokens to learn from and to be judged on.
#[derive(Debug)]
pub struct Dataset {
    manifest: Manifest,
    token_bytes: Vec<u8>,
    train: Arc<Documents>,
    val: Documents,
}

impl Dataset {
    /// Reads the data folder and checks every hash in its manifest: a few milliseconds for the offline
    /// corpus, about a second and 2 bytes of memory a token for a gigabyte of shards.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PrepareError> {
        let folder = folder.as_ref();
        let manifest = Manifest::read(folder)?;
        let token_bytes = manifest.token_bytes.read(folder)?;
        if token_bytes.len() != manifest.vocab_size || token_bytes.get(usize::from(manifest.bos)) != Some(&0)
        {
            return Err(PrepareError::Damaged {
                path: folder.join(&manifest.token_bytes.file),
                reason: format!("expected {} lengths, that of BOS 0", manifest.vocab_size),
            });
        }
        if manifest.profile.sequence == 0 {
            return Err(PrepareError::Zero("the sequence"));
        }
        let train = Arc::new(read_documents(folder, &manifest, &manifest.train)?);
        let val = read_documents(folder, &manifest, &manifest.val)?;
        Ok(Self { manifest, token_bytes, train, val })
    }

    /// Number of token ids; every token is below it.
    pub fn vocab_size(&self) -> usize {
        self.manifest.vocab_size
    }

    /// Context length in tokens, of training and of evaluation.
    pub fn sequence(&self) -> usize {
        self.manifest.profile.sequence
    }

    /// What was prepared.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Endless batches of `rows` × [`sequence`](Self::sequence) tokens of the train split, in an order
    /// that `seed` decides.
    pub fn train_batches(&self, rows: usize, seed: u64) -> Result<TrainBatches, PrepareError> {
        TrainBatches::new(Arc::clone(&self.train), rows, self.sequence(), seed)
    }

    /// Bits per byte on the validation split.
    ///
    /// `nats` gets batches of at most `rows` × [`sequence`](Self::sequence) tokens and returns the
    /// cross-entropy in nats of every target, in the batch's order. The same targets are asked for,
    /// each once, whatever `rows` is: as many as the profile says, or as fill rows in one pass.
    pub fn evaluate_bpb(
        &self,
        rows: usize,
        nats: impl FnMut(&Batch) -> Vec<f32>,
    ) -> Result<Evaluation, PrepareError> {
        evaluate::bits_per_byte(&self.val, &self.token_bytes, self.manifest.profile, rows, nats)
    }
}

fn read_documents(folder: &Path, manifest: &Manifest, split: &Split) -> Result<Documents, PrepareError> {
    let mut tokens = Vec::with_capacity(split.tokens);
    for shard in &split.shards {
        let bytes = shard.read(folder)?;
        tokens.extend(bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)));
    }
    let vocab_size = manifest.vocab_size;
    let damaged = |reason: String| PrepareError::Damaged { path: folder.to_path_buf(), reason };
    if tokens.len() != split.tokens || tokens.iter().any(|&token| usize::from(token) >= vocab_size) {
        return Err(damaged(format!("expected {} tokens below {vocab_size}", split.tokens)));
    }
    Documents::new(tokens, manifest.bos).ok_or_else(|| damaged("a split does not begin with BOS".to_owned()))
}
