//! The cross-entropy of logits that are capped smoothly (Gemma 2, 2024).

use burn::tensor::{Int, Tensor};
use multiversion::multiversion;

use crate::apply::apply;
use crate::lanes::{exp, sum};
use crate::processor::{OnProcessor, Slices};

/// The cross-entropy in nats of each target, `[targets]`, from logits `[targets, vocabulary]`, of which
/// each is `cap · tanh(logit / cap)` first.
///
/// # Panics
///
/// Where the cap is not above 0 and at most 80: e to the power of its negative has to be a number of full precision.
pub fn capped_cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, cap: f32) -> Tensor<1> {
    assert!(cap > 0.0 && cap <= 80.0, "a cap of {cap}: it has to be above 0 and at most 80");
    let [rows, vocabulary] = logits.dims();
    let targets = if targets.device().is_autodiff() { targets.inner() } else { targets };
    apply(CrossEntropy { targets, vocabulary, cap }, [logits], [rows])
}

#[derive(Clone, Debug)]
pub(crate) struct CrossEntropy {
    pub(crate) targets: Tensor<1, Int>,
    pub(crate) vocabulary: usize,
    pub(crate) cap: f32,
}

impl CrossEntropy {
    fn targets(&self) -> Vec<usize> {
        self.targets.to_data().iter::<i32>().map(|target| target as usize).collect()
    }
}

impl OnProcessor<1> for CrossEntropy {
    /// Saves the sum of each row's powers.
    fn forward(&self, [logits]: [&[f32]; 1]) -> (Vec<f32>, Vec<f32>) {
        let mut sums = vec![0.0; logits.len() / self.vocabulary];
        power_sums(logits, self.vocabulary, self.cap, &mut sums);
        let rows = logits.chunks_exact(self.vocabulary).zip(self.targets()).zip(&sums);
        let nats = rows.map(|((row, target), sum)| sum.ln() + self.cap - capped(row[target], self.cap));
        (nats.collect(), sums)
    }

    fn backward(&self, known: &Slices<'_, 1>, gradient: &[f32]) -> [Vec<f32>; 1] {
        let logits = known.inputs[0];
        let mut of_logits = vec![0.0; logits.len()];
        backward(logits, known.saved, gradient, self.cap, self.vocabulary, &mut of_logits);
        let rows = of_logits.chunks_exact_mut(self.vocabulary).zip(logits.chunks_exact(self.vocabulary));
        for (((row, logits), target), gradient) in rows.zip(self.targets()).zip(gradient) {
            let share = capped(logits[target], self.cap) / self.cap;
            row[target] -= gradient * (1.0 - share * share);
        }
        [of_logits]
    }
}

#[inline(always)]
fn capped(logit: f32, cap: f32) -> f32 {
    cap * (1.0 - 2.0 / (exp(2.0 * logit / cap) + 1.0))
}

/// The sum over each row of e^(capped logit - cap): the cap is the largest that there can be.
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn power_sums(logits: &[f32], vocabulary: usize, cap: f32, sums: &mut [f32]) {
    for (row, total) in logits.chunks_exact(vocabulary).zip(sums) {
        *total = sum(row, row, |logit, _| exp(capped(logit, cap) - cap));
    }
}

/// What every logit gets: its probability, times the slope of the cap. The target's own part is missing.
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn backward(
    logits: &[f32],
    sums: &[f32],
    gradient: &[f32],
    cap: f32,
    vocabulary: usize,
    of_logits: &mut [f32],
) {
    let rows = logits.chunks_exact(vocabulary).zip(of_logits.chunks_exact_mut(vocabulary));
    for (((row, of_row), total), gradient) in rows.zip(sums).zip(gradient) {
        let scale = gradient / total;
        for (of_logit, &logit) in of_row.iter_mut().zip(row) {
            let capped = capped(logit, cap);
            let share = capped / cap;
            *of_logit = scale * exp(capped - cap) * (1.0 - share * share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};
    use burn::tensor::Device;
    use burn::tensor::activation::{log_softmax, tanh};

    fn formula(logits: Tensor<2>, targets: Tensor<1, Int>, cap: f32) -> Tensor<1> {
        let logits = tanh(logits / cap) * cap;
        let chosen = log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1));
        chosen.squeeze_dim::<1>(1).neg()
    }

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            let targets = Tensor::<1, Int>::from_ints([3, 0, 69, 5, 5, 1], &device);
            for vocabulary in [70, 2048] {
                let logits = random([6, vocabulary], &device) * 20.0;
                same(
                    [logits],
                    |[x]| capped_cross_entropy(x, targets.clone(), 15.0),
                    |[x]| formula(x, targets.clone(), 15.0),
                );
            }
        }
    }

    #[test]
    fn by_hand() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[0.0, 0.0, 0.0, 0.0], [1e6, 0.0, -1e6, 0.0]], &device);
        let nats = capped_cross_entropy(logits, Tensor::from_ints([2, 2], &device), 15.0).into_data();
        let nats: Vec<f32> = nats.iter::<f32>().collect();
        assert!((nats[0] - 4f32.ln()).abs() < 1e-6 && (nats[1] - 30.0).abs() < 1e-5, "{nats:?}");
    }

    #[test]
    #[should_panic(expected = "a cap of 100")]
    fn a_cap_beyond_which_powers_are_no_numbers_is_refused() {
        let logits = random([2, 3], &Device::flex());
        let targets = Tensor::from_data([0, 1], &Device::flex());
        capped_cross_entropy(logits, targets, 100.0);
    }
}
