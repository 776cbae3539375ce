#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

/// Documents of these lengths, one after another in memory.
fn ranges(lengths: &[usize]) -> Vec<Range<usize>> {
    let starts = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end - length)
    });
    starts.zip(lengths).map(|(start, length)| start..start + length).collect()
}

/// Made by the `while pos < row_capacity` loop of karpathy's `make_dataloader`, transcribed for lists:
/// 24 documents again and again, a buffer of 10, arriving in fours, rows of 16. (document, tokens).
const REFERENCE: [&[(usize, usize)]; 14] = [
    &[(8, 13), (0, 1), (3, 2)],
    &[(2, 12), (13, 4)],
    &[(14, 12), (5, 4)],
    &[(1, 11), (17, 5)],
    &[(15, 11), (16, 1), (23, 1), (22, 3)],
    &[(4, 10), (11, 6)],
    &[(2, 12), (3, 4)],
    &[(1, 11), (0, 1), (5, 4)],
    &[(12, 10), (19, 6)],
    &[(4, 10), (11, 6)],
    &[(8, 13), (20, 3)],
    &[(6, 16)],
    &[(14, 12), (13, 4)],
    &[(15, 11), (12, 5)],
];

#[test]
fn rows_are_those_of_the_reference() {
    let lengths: Vec<usize> = (0..24).map(|i| 1 + (i * i * 7 + 3 * i) % 23).collect();
    let documents = ranges(&lengths);
    let mut packer = Packer::with_buffer(documents.iter().cloned().cycle(), 10, 4);
    for expected in REFERENCE {
        let row = packer.row(16).unwrap();
        let number = |piece: &Range<usize>| documents.iter().position(|d| d.start == piece.start).unwrap();
        let found: Vec<_> = row.iter().map(|piece| (number(piece), piece.len())).collect();
        assert_eq!(found, expected);
    }
}

/// 1200 rows of 257 from 3072 documents (24 whole batches) of up to 400 tokens with the real buffer: the hash of every
/// token's place in memory is the one that the same transcription gives.
#[test]
fn many_rows_are_those_of_the_reference() {
    let mut x = 1;
    let lengths: Vec<usize> = (0..3072)
        .map(|_| {
            x = x * 48_271 % 2_147_483_647;
            1 + x % 400
        })
        .collect();
    assert_eq!(lengths.iter().sum::<usize>(), 613_205);
    let mut packer = Packer::new(ranges(&lengths).into_iter().cycle());
    let mut hash = 0u64;
    for token in (0..1200).flat_map(|_| packer.row(257).unwrap()).flatten() {
        hash = hash.wrapping_mul(31).wrapping_add(token as u64 + 1);
    }
    assert_eq!(hash, 783_970_222_193_229_118);
}

/// His search, word for word.
fn linear(buffer: &[Range<usize>], remaining: usize) -> (usize, usize) {
    let (mut best_index, mut best_length) = (None, 0);
    for (index, document) in buffer.iter().enumerate() {
        if document.len() <= remaining && document.len() > best_length {
            (best_index, best_length) = (Some(index), document.len());
        }
    }
    match best_index {
        Some(index) => (index, best_length),
        None => ((0..buffer.len()).min_by_key(|&index| buffer[index].len()).unwrap(), remaining),
    }
}

proptest! {
    #[test]
    fn one_pass_places_every_document_once(
        lengths in prop::collection::vec(1usize..40, 1..300),
        buffer in 1usize..50,
        arriving in 1usize..9,
        capacity in 1usize..60,
    ) {
        let documents = ranges(&lengths);
        let mut packer = Packer::with_buffer(documents.iter().cloned(), buffer, arriving);
        let mut coming = documents.chunks(arriving);
        let mut waiting: Vec<Range<usize>> = Vec::new();
        let mut placed = 0;
        while let Some(row) = packer.row(capacity) {
            prop_assert_eq!(row.iter().map(Range::len).sum::<usize>(), capacity);
            let mut left = capacity;
            for (index, piece) in row.iter().enumerate() {
                while waiting.len() < buffer {
                    let Some(arrived) = coming.next() else { break };
                    waiting.extend_from_slice(arrived);
                }
                let (chosen, taken) = linear(&waiting, left);
                let document = waiting.remove(chosen);
                prop_assert_eq!(piece, &(document.start..document.start + taken));
                // Only the last piece of a row may be cropped.
                prop_assert!(taken == document.len() || index + 1 == row.len());
                left -= taken;
                placed += 1;
            }
            prop_assert_eq!(packer.placed(), placed);
        }
        // What no row got was too little to fill one.
        let rest: usize = waiting.iter().chain(coming.flatten()).map(Range::len).sum();
        prop_assert!(rest < capacity, "{rest} tokens left");
    }
}
