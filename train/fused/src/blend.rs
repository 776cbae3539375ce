//! A weighted sum of two tensors, whose weights learn.

use burn::tensor::Tensor;
use multiversion::multiversion;

use crate::apply::apply;
use crate::lanes::sum;
use crate::processor::{OnProcessor, Slices};

/// `weights[0]` of the one and `weights[1]` of the other; a weight is a single number.
pub fn blend<const D: usize>(one: Tensor<D>, other: Tensor<D>, weights: [Tensor<1>; 2]) -> Tensor<D> {
    let shape = one.dims();
    let [first, second] = weights.map(Tensor::unsqueeze::<D>);
    apply(Blend, [one, other, first, second], shape)
}

#[derive(Clone, Debug)]
pub(crate) struct Blend;

impl OnProcessor<4> for Blend {
    fn forward(&self, [one, other, first, second]: [&[f32]; 4]) -> (Vec<f32>, Vec<f32>) {
        let mut output = vec![0.0; one.len()];
        forward([one, other], [first[0], second[0]], &mut output);
        (output, Vec::new())
    }

    fn backward(&self, known: &Slices<'_, 4>, gradient: &[f32]) -> [Vec<f32>; 4] {
        let [one, other, first, second] = known.inputs;
        let of = |weight: f32| gradient.iter().map(|gradient| gradient * weight).collect();
        let of_weight = |values: &[f32]| vec![sum(values, gradient, |value, gradient| value * gradient)];
        [of(first[0]), of(second[0]), of_weight(one), of_weight(other)]
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn forward([one, other]: [&[f32]; 2], [first, second]: [f32; 2], output: &mut [f32]) {
    for ((output, one), other) in output.iter_mut().zip(one).zip(other) {
        *output = first * one + second * other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            let [one, other] = [(); 2].map(|()| random([3, 5, 70], &device));
            let [first, second] = [(); 2].map(|()| random([1, 1, 1], &device));
            let weight = |weight: Tensor<3>| weight.reshape([1]);
            same(
                [one, other, first, second],
                |[one, other, first, second]| blend(one, other, [weight(first), weight(second)]),
                |[one, other, first, second]| one * first + other * second,
            );
        }
    }
}
