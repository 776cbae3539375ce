//! What of many points is drawn, so that ten thousand stay smooth and the picture stays true.

use crate::number::fixed;

/// What is said where of `all` points only some are drawn.
pub(super) fn few(drawn: usize, all: usize, what: &str) -> Option<String> {
    let said = || {
        let (drawn, all) = (fixed(drawn as f64, 0), fixed(all as f64, 0));
        format!("of {all} {what} {drawn} are drawn, taken by chance")
    };
    (drawn < all).then(said)
}

/// The pieces of a series: what is not a number interrupts it.
pub(super) fn pieces(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let is_number = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let runs = points.chunk_by(|a, b| is_number(a) && is_number(b));
    runs.filter(|run| run.first().is_some_and(is_number)).map(<[_]>::to_vec).collect()
}

/// A series by pieces, with at most about `most` points: the lowest and the highest of each of equal stretches, so
/// that no spike is lost. The second value says whether any were left out.
pub(super) fn line(points: &[(f64, f64)], most: usize) -> (Vec<Vec<(f64, f64)>>, bool) {
    let mut pieces = pieces(points);
    let all: usize = pieces.iter().map(Vec::len).sum();
    if all <= most {
        return (pieces, false);
    }
    for piece in &mut pieces {
        let share = (piece.len() * most / all).max(4);
        if piece.len() > share {
            *piece = ends(piece, share);
        }
    }
    (pieces, true)
}

fn ends(piece: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let stretch = piece.len().div_ceil(most / 2);
    let mut out = Vec::with_capacity(most + 2);
    for part in piece.chunks(stretch) {
        let by_value = |a: &&(usize, (f64, f64)), b: &&(usize, (f64, f64))| a.1.1.total_cmp(&b.1.1);
        let numbered: Vec<(usize, (f64, f64))> = part.iter().copied().enumerate().collect();
        let (Some(low), Some(high)) = (numbered.iter().min_by(by_value), numbered.iter().max_by(by_value))
        else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        out.push(first.1);
        if first.0 != second.0 {
            out.push(second.1);
        }
    }
    // The ends are what people read.
    if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
        if out.first() != Some(first) {
            out.insert(0, *first);
        }
        if out.last() != Some(last) {
            out.push(*last);
        }
    }
    out
}

/// At most `most` of some separate things, in their order: each has the same chance, and the same ones are drawn each
/// time.
pub(super) fn by_chance<T>(things: Vec<T>, most: usize) -> Vec<T> {
    if things.len() <= most {
        return things;
    }
    let mut dice: Vec<u64> = (0..things.len() as u64).map(mixed).collect();
    let limit = *dice.select_nth_unstable(most).1;
    things.into_iter().zip(0..).filter(|(_, i)| mixed(*i) < limit).map(|(thing, _)| thing).collect()
}

/// A number that looks like chance, different for each `i`: Steele, Lea and Flood's `SplitMix64`.
fn mixed(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sampling_keeps_spikes_and_ends() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        points[5432].1 = 9.0;
        let (few, sampled) = line(&points, 400);
        assert!(sampled && few.len() == 1 && few[0].len() <= 402, "{}", few[0].len());
        assert!(few[0].contains(&(5432.0, 9.0)));
        assert_eq!((few[0][0].0, few[0][few[0].len() - 1].0), (0.0, 9999.0));
    }

    #[test]
    fn what_is_not_a_number_interrupts_a_line() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0), (f64::NAN, f64::NAN), (0.0, 5.0)];
        assert_eq!(pieces(&points), [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 4.0)], vec![(0.0, 5.0)]]);
        assert!(pieces(&[(0.0, f64::NAN), (f64::INFINITY, 1.0)]).is_empty());
    }

    #[test]
    fn some_of_many_are_spread_like_all_of_them() {
        let few = by_chance((0..10_000).collect::<Vec<u32>>(), 1000);
        assert_eq!(few.len(), 1000);
        assert!(few.windows(2).all(|pair| pair[0] < pair[1]));
        // In each tenth about a tenth of them: 9.5 is the standard deviation of so many.
        for tenth in 0..10 {
            let there = few.iter().filter(|i| **i / 1000 == tenth).count();
            assert!((60..=140).contains(&there), "{there} in the tenth {tenth}");
        }
        assert_eq!(by_chance(vec![3, 1, 2], 3), [3, 1, 2]);
    }

    proptest! {
        #[test]
        fn a_sample_is_of_the_line(values in prop::collection::vec(prop::num::f64::ANY, 0..300), most in 4_usize..60) {
            let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect();
            let (few, sampled) = line(&points, most);
            let whole = pieces(&points);
            prop_assert_eq!(few.len(), whole.len());
            for (few, whole) in few.iter().zip(&whole) {
                prop_assert!(few.iter().all(|point| whole.contains(point)));
                prop_assert_eq!((few.first(), few.last()), (whole.first(), whole.last()));
            }
            prop_assert!(sampled || few == whole);
        }
    }
}
