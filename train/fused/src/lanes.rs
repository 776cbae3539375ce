//! Sums and powers in the form that compilers turn into vectors.

/// How many sums run beside each other: two vectors of AVX-512.
const LANES: usize = 32;

/// The sum of `term(a, b)` over two slices of one length.
#[inline(always)]
pub(crate) fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (a_parts, a_rest) = a.as_chunks::<LANES>();
    let (b_parts, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| term(a, b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// e to the power of `x` to 3e-7 of it; of what is below -87 or above 88, to the power of these.
///
/// Cephes' `expf` (Moshier 1992), without a branch.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it leaves the whole part of a number in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + WHOLE;
    let whole = shifted - WHOLE;
    let r = x - whole * 0.693_359_375 + whole * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (p * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library() {
        for x in (-870..880).map(|x| x as f32 / 10.0) {
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 3e-7, "{x}: {ours} {exact}");
        }
        assert!(exp(-1e9) < 2e-38);
    }

    #[test]
    fn sums_take_in_the_rest() {
        let numbers: Vec<f32> = (0..77).map(|n| n as f32).collect();
        assert_eq!(sum(&numbers, &numbers, |a, _| a), 2926.0);
    }
}
