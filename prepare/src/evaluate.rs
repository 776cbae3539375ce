//! Bits per byte: the measure that does not depend on the vocabulary.

use crate::batches::Batch;
use crate::error::PrepareError;

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Bits per byte: `nats / (ln 2 × bytes)`.
    pub bpb: f64,
    /// Total cross-entropy of the targets, in nats.
    pub nats: f64,
    /// Bytes of text that the targets stand for.
    pub bytes: usize,
    /// Number of targets.
    pub tokens: usize,
}

/// Asks `nats` for every token of `val` but the first, each exactly once.
pub(crate) fn bits_per_byte(
    val: &[u16],
    token_bytes: &[u8],
    rows: usize,
    sequence: usize,
    mut nats: impl FnMut(&Batch) -> Vec<f32>,
) -> Result<Evaluation, PrepareError> {
    for (name, value) in [("the batch", rows), ("the sequence", sequence)] {
        if value == 0 {
            return Err(PrepareError::Zero(name));
        }
    }
    let targets = val.len().saturating_sub(1);
    if targets == 0 {
        return Err(PrepareError::TooShort { split: "val", tokens: val.len(), sequence });
    }
    let mut total = 0.0;
    let mut ask = |starts: &[usize], sequence: usize| -> Result<(), PrepareError> {
        let batch = Batch::windows(val, starts, sequence);
        let answer = nats(&batch);
        let expected = batch.targets.len();
        if answer.len() != expected {
            let found = answer.len();
            let text = format!("{found} values for {expected} targets");
            return Err(PrepareError::BadNats(text));
        }
        // A cross-entropy is a number and not negative; rounding may put a certain token just below 0.
        if let Some(bad) = answer.iter().find(|nats| !(**nats >= -1e-3 && nats.is_finite())) {
            let text = format!("{bad} is not a cross-entropy in nats");
            return Err(PrepareError::BadNats(text));
        }
        total += answer.iter().map(|&nats| f64::from(nats)).sum::<f64>();
        Ok(())
    };
    let whole = targets / sequence;
    let starts: Vec<usize> = (0..whole).map(|row| row * sequence).collect();
    for starts in starts.chunks(rows) {
        ask(starts, sequence)?;
    }
    // What is left over, as one shorter row.
    if !targets.is_multiple_of(sequence) {
        ask(&[whole * sequence], targets % sequence)?;
    }
    let bytes = val[1..].iter().map(|&token| usize::from(token_bytes[usize::from(token)])).sum();
    Ok(Evaluation {
        bpb: total / (std::f64::consts::LN_2 * bytes as f64),
        nats: total,
        bytes,
        tokens: targets,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bpb_by_hand() {
        // Targets 1, 2, 0 of 2, 5 and 1 bytes; each costs ln 16 nats = 4 bits: 12 bits in 8 bytes.
        let result =
            bits_per_byte(&[0, 1, 2, 0], &[1, 2, 5], 8, 2, |batch| vec![16f32.ln(); batch.targets.len()])
                .unwrap();
        assert_eq!((result.tokens, result.bytes), (3, 8));
        assert!((result.bpb - 1.5).abs() < 1e-6, "{}", result.bpb);
    }

    #[test]
    fn nonsense_is_refused() {
        let ask = |answer: Vec<f32>| bits_per_byte(&[0, 1, 0], &[1, 1], 1, 2, |_| answer.clone());
        for answer in [vec![1.0], vec![1.0, f32::NAN], vec![1.0, -1.0], vec![f32::INFINITY; 2]] {
            assert!(matches!(ask(answer), Err(PrepareError::BadNats(_))));
        }
        assert!(ask(vec![1.0, 0.0]).is_ok());
    }

    proptest! {
        #[test]
        fn every_target_once_whatever_the_shape(count in 2u16..300, rows in 1usize..5, sequence in 1usize..50) {
            let val: Vec<u16> = (0..count).collect();
            let token_bytes = vec![1; usize::from(count)];
            let mut seen = Vec::new();
            let result = bits_per_byte(&val, &token_bytes, rows, sequence, |batch| {
                seen.extend(batch.targets.clone());
                assert!(batch.rows <= rows && batch.sequence <= sequence);
                vec![1.0; batch.targets.len()]
            }).unwrap();
            prop_assert_eq!(&seen, &(1..i32::from(count)).collect::<Vec<_>>());
            prop_assert_eq!(result.bytes, usize::from(count) - 1);
        }
    }
}
