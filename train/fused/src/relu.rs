//! The squared rectifier (So et al. 2021).

use burn::tensor::Tensor;
use multiversion::multiversion;

use crate::apply::apply;
use crate::processor::{OnProcessor, Slices};

/// The square of what is above 0, and 0 else.
pub fn relu_squared<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    apply(ReluSquared, [x], shape)
}

#[derive(Clone, Debug)]
pub(crate) struct ReluSquared;

impl OnProcessor<1> for ReluSquared {
    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, Vec<f32>) {
        let mut output = vec![0.0; x.len()];
        forward(x, &mut output);
        (output, Vec::new())
    }

    fn backward(&self, known: &Slices<'_, 1>, gradient: &[f32]) -> [Vec<f32>; 1] {
        let mut of_x = vec![0.0; gradient.len()];
        backward(known.inputs[0], gradient, &mut of_x);
        [of_x]
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn forward(x: &[f32], output: &mut [f32]) {
    for (output, x) in output.iter_mut().zip(x) {
        let above = x.max(0.0);
        *output = above * above;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn backward(x: &[f32], gradient: &[f32], of_x: &mut [f32]) {
    for ((of_x, x), gradient) in of_x.iter_mut().zip(x).zip(gradient) {
        *of_x = 2.0 * x.max(0.0) * gradient;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};
    use burn::tensor::activation::relu;

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            same([random([3, 5, 70], &device)], |[x]| relu_squared(x), |[x]| relu(x).square());
        }
    }
}
