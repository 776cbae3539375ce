//! The root mean square norm (Zhang and Sennrich 2019), without a weight.

use burn::tensor::Tensor;
use multiversion::multiversion;

use crate::apply::apply;
use crate::lanes::sum;
use crate::processor::{OnProcessor, Slices};

/// What torch's `rms_norm` adds to the mean square.
pub(crate) const EPSILON: f32 = f32::EPSILON;

/// Each row over its last dimension is divided by the root of its mean square.
pub fn norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    apply(Norm { width: shape[D - 1] }, [x], shape)
}

#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) width: usize,
}

impl OnProcessor<1> for Norm {
    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, Vec<f32>) {
        let mut scales = vec![0.0; x.len() / self.width];
        let mut output = vec![0.0; x.len()];
        forward(x, self.width, &mut output, &mut scales);
        (output, scales)
    }

    fn backward(&self, known: &Slices<'_, 1>, gradient: &[f32]) -> [Vec<f32>; 1] {
        let mut of_x = vec![0.0; gradient.len()];
        backward(known.output, known.saved, gradient, self.width, &mut of_x);
        [of_x]
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn forward(x: &[f32], width: usize, output: &mut [f32], scales: &mut [f32]) {
    let rows = x.chunks_exact(width).zip(output.chunks_exact_mut(width));
    for ((x, output), scale) in rows.zip(scales) {
        *scale = 1.0 / (sum(x, x, |a, b| a * b) / width as f32 + EPSILON).sqrt();
        for (output, x) in output.iter_mut().zip(x) {
            *output = x * *scale;
        }
    }
}

/// With y = s·x and s of the row: dx = s·(dy - y·mean(dy·y)).
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn backward(y: &[f32], scales: &[f32], gradient: &[f32], width: usize, of_x: &mut [f32]) {
    let rows = y.chunks_exact(width).zip(gradient.chunks_exact(width)).zip(of_x.chunks_exact_mut(width));
    for (((y, gradient), of_x), scale) in rows.zip(scales) {
        let mean = sum(y, gradient, |a, b| a * b) / width as f32;
        for ((of_x, y), gradient) in of_x.iter_mut().zip(y).zip(gradient) {
            *of_x = scale * (gradient - y * mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};

    fn formula(x: Tensor<3>) -> Tensor<3> {
        let mean_square = x.clone().square().mean_dim(2);
        x / (mean_square + EPSILON).sqrt()
    }

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            for width in [32, 128, 37, 2000] {
                same([random([3, 5, width], &device)], |[x]| norm(x), |[x]| formula(x));
            }
        }
    }
}
