//! The sizes that a machine can afford.

use serde::{Deserialize, Serialize};

/// What every model of a lab shares: it reads `sequence` tokens of `vocabulary` kinds, and is judged on
/// the same number of them. The manifest records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Context length, in tokens.
    pub sequence: usize,
    /// Token ids to ask the tokenizer for, special ones included; little text may give fewer.
    pub vocabulary: usize,
    /// Most tokens that an evaluation scores.
    pub evaluation_tokens: usize,
}

impl Profile {
    /// For a few cores: an evaluation that a small model finishes in seconds.
    pub const CPU: Self = Self { sequence: 256, vocabulary: 1024, evaluation_tokens: 65_536 };

    /// For a GPU: the constants of karpathy's `prepare.py` (`MAX_SEQ_LEN`, `VOCAB_SIZE`, `EVAL_TOKENS`).
    pub const GPU: Self = Self { sequence: 2048, vocabulary: 8192, evaluation_tokens: 40 * 524_288 };

    /// The profile that `--profile` means.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "cpu" => Some(Self::CPU),
            "gpu" => Some(Self::GPU),
            _ => None,
        }
    }
}
