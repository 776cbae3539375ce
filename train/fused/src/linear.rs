//! The product with a matrix that learns.

use burn::tensor::Tensor;

use crate::apply::apply;
use crate::matrix::{View, product};
use crate::processor::{OnProcessor, Slices};

/// `x`, `[rows, sequence, in]`, times a matrix, `[in, out]`, in the numbers of `x`; what the matrix gets
/// for it is in the matrix's own.
pub fn linear(x: Tensor<3>, matrix: &Tensor<2>) -> Tensor<3> {
    let ([rows, sequence, _], [from, to]) = (x.dims(), matrix.dims());
    apply(Linear { rows, from, to }, [x, matrix.clone().unsqueeze()], [rows, sequence, to])
}

#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) rows: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Linear {
    /// As matrices: the input, the matrix and the output of so many places.
    fn views(&self, places: usize) -> [View; 3] {
        let view = |rows, columns| View::new(rows, columns, 0, columns);
        [view(places, self.from), view(self.from, self.to), view(places, self.to)]
    }
}

impl OnProcessor<2> for Linear {
    fn forward(&self, [x, matrix]: [&[f32]; 2]) -> (Vec<f32>, Vec<f32>) {
        let places = x.len() / self.from;
        let [input, weights, output] = self.views(places);
        let mut y = vec![0.0; places * self.to];
        product((&mut y, output), (x, input), (matrix, weights), 1.0, false);
        (y, Vec::new())
    }

    fn backward(&self, known: &Slices<'_, 2>, gradient: &[f32]) -> [Vec<f32>; 2] {
        let [x, matrix] = known.inputs;
        let [input, weights, output] = self.views(x.len() / self.from);
        let mut of_x = vec![0.0; x.len()];
        let mut of_matrix = vec![0.0; matrix.len()];
        let gradient = (gradient, output);
        product((&mut of_x, input), gradient, (matrix, weights.transposed()), 1.0, false);
        product((&mut of_matrix, weights), (x, input.transposed()), gradient, 1.0, false);
        [of_x, of_matrix]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            for (rows, from, to) in [(3, 32, 70), (1, 7, 4), (2, 128, 2048)] {
                let x = random([rows, 20, from], &device);
                let matrix = random([1, from, to], &device);
                same(
                    [x, matrix],
                    |[x, matrix]| linear(x, &matrix.squeeze_dim(0)),
                    |[x, matrix]| x.reshape([1, rows * 20, from]).matmul(matrix).reshape([rows, 20, to]),
                );
            }
        }
    }
}
