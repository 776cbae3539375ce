//! What models score that know frequencies alone.

/// How often each token and each byte occurs in a split.
pub(super) struct Counts {
    tokens: Vec<u64>,
    bytes: [u64; 256],
}

impl Counts {
    pub(super) fn new(vocab_size: usize) -> Self {
        Self { tokens: vec![0; vocab_size], bytes: [0; 256] }
    }

    pub(super) fn add(&mut self, tokens: &[u16], text: &str) {
        for &token in tokens {
            self.tokens[usize::from(token)] += 1;
        }
        for byte in text.bytes() {
            self.bytes[usize::from(byte)] += 1;
        }
    }
}

/// Bits per byte on `val` of models that know only frequencies in `train`: of tokens, and of bytes.
///
/// Special tokens (of no bytes) are not scored, as in the evaluation.
pub(super) fn baselines(train: &Counts, val: &Counts, token_bytes: &[u8]) -> (f64, f64) {
    let val_bytes: u64 = val.bytes.iter().sum();
    let scored: Vec<u64> = val
        .tokens
        .iter()
        .zip(token_bytes)
        .map(|(&count, &bytes)| if bytes > 0 { count } else { 0 })
        .collect();
    let tokens = unigram_bits(&train.tokens, &scored);
    let bytes = unigram_bits(&train.bytes, &val.bytes);
    (tokens / val_bytes as f64, bytes / val_bytes as f64)
}

/// Every symbol counts once more than it occurs, so that none is impossible.
fn unigram_bits(train: &[u64], val: &[u64]) -> f64 {
    let total = train.iter().sum::<u64>() as f64 + train.len() as f64;
    train.iter().zip(val).map(|(&known, &asked)| -(asked as f64) * ((known + 1) as f64 / total).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_by_hand() {
        // Token 1 has 1 + 1 of 3 + 1 + 4 = 8 parts: 2 bits. BOS (token 0) is free. Two bytes.
        let (mut train, mut val) = (Counts::new(4), Counts::new(4));
        train.add(&[0, 1, 2, 2], "");
        val.add(&[0, 1], "ab");
        let (tokens, bytes) = baselines(&train, &val, &[0, 2, 1, 1]);
        assert!((tokens - 1.0).abs() < 1e-12, "{tokens}");
        assert!((bytes - 8.0).abs() < 1e-12, "256 bytes, none of them known: {bytes}");
    }
}
