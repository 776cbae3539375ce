//! Bits per byte: the measure that does not depend on the vocabulary.

use crate::batches::Batch;
use crate::documents::Documents;
use crate::error::PrepareError;
use crate::packing::Packer;
use crate::profile::Profile;

/// The result of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Bits per byte: `nats / (ln 2 × bytes)`.
    pub bpb: f64,
    /// Total cross-entropy, in nats, of the targets that stand for text.
    pub nats: f64,
    /// Bytes of text that the targets stand for.
    pub bytes: usize,
    /// Number of targets, special tokens included.
    pub tokens: usize,
}

/// karpathy's `evaluate_bpb`: packed rows of the documents in file order, special tokens in neither sum.
///
/// His loader begins again where the documents end. Here they are read once at most, so that little
/// text is scored once rather than in parts twice.
pub(crate) fn bits_per_byte(
    documents: &Documents,
    token_bytes: &[u8],
    profile: Profile,
    rows: usize,
    mut nats: impl FnMut(&Batch) -> Vec<f32>,
) -> Result<Evaluation, PrepareError> {
    if rows == 0 {
        return Err(PrepareError::Zero("the batch"));
    }
    let sequence = profile.sequence;
    let mut packer = Packer::new(documents.in_order());
    let mut rows_left = profile.evaluation_tokens / sequence;
    let mut total = Evaluation { bpb: 0.0, nats: 0.0, bytes: 0, tokens: 0 };
    while rows_left > 0 {
        let batch = Batch::pack(&mut packer, documents.tokens(), rows.min(rows_left), sequence);
        if batch.rows == 0 {
            break;
        }
        rows_left -= batch.rows;
        let answer = nats(&batch);
        check(&answer, batch.targets.len())?;
        for (nats, &target) in answer.iter().zip(&batch.targets) {
            let bytes = usize::from(token_bytes[target as usize]);
            if bytes > 0 {
                total.nats += f64::from(*nats);
                total.bytes += bytes;
            }
        }
        total.tokens += batch.targets.len();
    }
    if total.bytes == 0 {
        return Err(PrepareError::TooShort { split: "val", tokens: documents.tokens().len(), sequence });
    }
    total.bpb = total.nats / (std::f64::consts::LN_2 * total.bytes as f64);
    Ok(total)
}

fn check(answer: &[f32], expected: usize) -> Result<(), PrepareError> {
    if answer.len() != expected {
        let found = answer.len();
        return Err(PrepareError::BadNats(format!("{found} values for {expected} targets")));
    }
    // A cross-entropy is a number and not negative; rounding may put a certain token just below 0.
    match answer.iter().find(|nats| !(**nats >= -1e-3 && nats.is_finite())) {
        Some(bad) => Err(PrepareError::BadNats(format!("{bad} is not a cross-entropy in nats"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn profile(sequence: usize, evaluation_tokens: usize) -> Profile {
        Profile { sequence, vocabulary: 6, evaluation_tokens }
    }

    #[test]
    fn bpb_by_hand() {
        // Targets 1, 2, BOS, 1 of 2, 5, 0 and 2 bytes. Those of text cost ln 8 nats = 3 bits: 9 bits in 9.
        let documents = Documents::new(vec![0, 1, 2, 0, 1], 0).unwrap();
        let result = bits_per_byte(&documents, &[0, 2, 5], profile(4, 4), 8, |batch| {
            batch.targets.iter().map(|&target| if target == 0 { 99.0 } else { 8f32.ln() }).collect()
        })
        .unwrap();
        assert_eq!((result.tokens, result.bytes), (4, 9));
        assert!((result.bpb - 1.0).abs() < 1e-6, "{}", result.bpb);
    }

    /// The value that karpathy's `make_dataloader` and `evaluate_bpb` give, transcribed without torch:
    /// 1500 documents, T = 8, `EVAL_TOKENS` = 320, tokens of 0 (BOS) to 5 bytes.
    #[test]
    fn bpb_is_that_of_the_reference() {
        let mut tokens = Vec::new();
        for document in 0..1500 {
            tokens.push(0);
            tokens.extend((0..document * 5 % 13).map(|k| (1 + (document * 3 + k * k) % 5) as u16));
        }
        let documents = Documents::new(tokens, 0).unwrap();
        for rows in [1, 4, 7, 100] {
            let result = bits_per_byte(&documents, &[0, 1, 2, 3, 4, 5], profile(8, 320), rows, |batch| {
                let nats = |(index, (input, target)): (usize, (&i32, &i32))| {
                    0.25 * (1 + (target * 7 + (index % 8) as i32 + input) % 9) as f32
                };
                batch.inputs.iter().zip(&batch.targets).enumerate().map(nats).collect()
            })
            .unwrap();
            assert_eq!((result.nats, result.bytes, result.tokens), (414.0, 960, 320));
            assert!((result.bpb - 0.622_162_236_383_365_5).abs() < 1e-15, "{}", result.bpb);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let documents = Documents::new(vec![0, 1, 1], 0).unwrap();
        let ask =
            |answer: Vec<f32>| bits_per_byte(&documents, &[0, 1], profile(2, 100), 1, |_| answer.clone());
        for answer in [vec![1.0], vec![1.0, f32::NAN], vec![1.0, -1.0], vec![f32::INFINITY; 2]] {
            assert!(matches!(ask(answer), Err(PrepareError::BadNats(_))));
        }
        assert!(ask(vec![1.0, 0.0]).is_ok());
        let short = bits_per_byte(&documents, &[0, 1], profile(3, 100), 1, |_| vec![]);
        assert!(matches!(short, Err(PrepareError::TooShort { split: "val", .. })));
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_rows(
            lengths in prop::collection::vec(2usize..30, 1..80),
            rows in 2usize..9,
            sequence in 1usize..40,
            most in 1usize..2000,
        ) {
            let tokens = lengths.iter().flat_map(|&n| (0..n).map(|k| (k % 6) as u16 * u16::from(k > 0)));
            let mut tokens: Vec<u16> = tokens.collect();
            tokens.push(0); // A document of no text.
            let documents = Documents::new(tokens, 0).unwrap();
            let profile = profile(sequence, most);
            let run = |rows| bits_per_byte(&documents, &[0, 1, 2, 3, 4, 5], profile, rows, |batch| {
                batch.targets.iter().map(|&target| target as f32).collect()
            });
            match (run(1), run(rows)) {
                (Ok(one), Ok(many)) => {
                    prop_assert_eq!(one, many);
                    prop_assert!(one.tokens <= most && one.tokens % sequence == 0);
                }
                (Err(one), Err(many)) => prop_assert_eq!(one.to_string(), many.to_string()),
                (one, many) => prop_assert!(false, "{one:?} {many:?}"),
            }
        }
    }
}
