//! The factor of a covariance by Cholesky's way. In a few lines here, for the loops of a library's general one are not
//! joined with ours when each is compiled by itself.

/// The lower triangle `L` of a positive definite matrix `L Lᵀ`, by rows.
pub(super) struct Factor {
    rows: Vec<f64>,
    size: usize,
}

impl Factor {
    /// Of a symmetric matrix of so many rows: what is below its diagonal, by rows, and the value on all of it. `None`
    /// where it is not positive definite.
    pub(super) fn new(size: usize, below: &[f64], diagonal: f64) -> Option<Self> {
        let mut rows: Vec<f64> = Vec::with_capacity(start(size));
        let mut rest = below;
        for i in 0..size {
            let (below, later) = rest.split_at_checked(i)?;
            rest = later;
            for (j, covariance) in below.iter().enumerate() {
                let (of_i, of_j) = (&rows[start(i)..start(i) + j], &rows[start(j)..start(j) + j]);
                let value = (covariance - dot(of_i, of_j)) / rows[start(j) + j];
                rows.push(value);
            }
            let row = &rows[start(i)..];
            let left = diagonal - dot(row, row);
            // Not a number is not above zero either.
            if left.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
                return None;
            }
            rows.push(left.sqrt());
        }
        Some(Self { rows, size })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.rows[start(i)..=start(i) + i]
    }

    /// The logarithm of the determinant of `L`.
    pub(super) fn log_determinant(&self) -> f64 {
        (0..self.size).map(|i| self.row(i)[i].ln()).sum()
    }

    /// `x` of `L x = b`.
    pub(super) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(self.size);
        for (i, b) in b.iter().enumerate() {
            let row = self.row(i);
            x.push((b - dot(&row[..i], &x)) / row[i]);
        }
        x
    }

    /// `x` of `L Lᵀ x = b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.forward(b);
        for i in (0..self.size).rev() {
            let row = self.row(i);
            x[i] /= row[i];
            let found = x[i];
            for (x, factor) in x[..i].iter_mut().zip(row) {
                *x -= factor * found;
            }
        }
        x
    }
}

/// Where a row begins.
fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// The sum of products, eight at a time, as the processor can. By indices, for the steps of iterators are calls where
/// they are compiled beside it.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let length = a.len().min(b.len());
    let (a, rest_a) = a[..length].as_chunks::<LANES>();
    let (b, rest_b) = b[..length].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    let mut at = 0;
    while at < a.len() && at < b.len() {
        let (a, b) = (&a[at], &b[at]);
        let mut lane = 0;
        while lane < LANES {
            sums[lane] += a[lane] * b[lane];
            lane += 1;
        }
        at += 1;
    }
    let (mut sum, mut at) = (0.0, 0);
    while at < rest_a.len() && at < rest_b.len() {
        sum += rest_a[at] * rest_b[at];
        at += 1;
    }
    sums.iter().sum::<f64>() + sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is solved, the matrix gives it back.
        #[test]
        fn what_is_solved_is_given_back(size in 1_usize..40, seed in prop::collection::vec(0.0..0.9_f64, 800), b in prop::collection::vec(-5.0..5.0_f64, 40)) {
            let below = |i: usize, j: usize| seed[start(i.max(j)) % 700 + i.min(j)] / size as f64;
            let entries: Vec<f64> = (0..size).flat_map(|i| (0..i).map(move |j| below(i, j))).collect();
            let factor = Factor::new(size, &entries, 1.0).unwrap();
            let x = factor.solve(&b[..size]);
            for i in 0..size {
                let back: f64 = (0..size).map(|j| x[j] * if i == j { 1.0 } else { below(i, j) }).sum();
                prop_assert!((back - b[i]).abs() < 1e-9, "{} is {}", back, b[i]);
            }
            let known = factor.forward(&b[..size]);
            prop_assert!((dot(&known, &known) - dot(&b[..size], &x)).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_none() {
        assert!(Factor::new(2, &[2.0], 1.0).is_none());
        assert!(Factor::new(2, &[f64::NAN], 1.0).is_none());
        assert_eq!(Factor::new(1, &[], 4.0).unwrap().log_determinant(), 2.0_f64.ln());
    }
}
