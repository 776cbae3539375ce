//! The product with a matrix that learns.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

use super::matrix::{product, reshape, transposed};
use super::{Card, OnGpu, empty, like, taken};
use crate::apply::Known;
use crate::linear::Linear;

/// The side of what a cube computes of a product, nearly, and how many of those a card does at once.
const TILE: usize = 128;
const TILES: usize = 128;

impl Linear {
    /// In how many parts the places are added up: a small matrix by one product would be a few cubes' work.
    fn parts(&self) -> usize {
        let tiles = self.from.div_ceil(TILE) * self.to.div_ceil(TILE);
        if tiles < TILES { self.rows } else { 1 }
    }
}

impl OnGpu<2> for Linear {
    /// Saves the matrix in the numbers of `x`.
    fn forward<R: Card>(
        &self,
        [x, matrix]: [CubeTensor<R>; 2],
        shape: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let places = x.meta.num_elements() / self.from;
        let matrix = cast(matrix, x.dtype);
        let output = empty(&x, shape, x.dtype);
        let to = reshape(output.clone(), [1, places, self.to]);
        product(reshape(x, [1, places, self.from]), matrix.clone(), to);
        (output, vec![matrix])
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 2>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 2] {
        let [x, learning] = known.inputs;
        let [matrix] = taken(known.saved);
        let places = x.meta.num_elements() / self.from;
        let of_x = like(&x);
        let to = reshape(of_x.clone(), [1, places, self.from]);
        product(reshape(gradient.clone(), [1, places, self.to]), transposed(matrix), to);

        let parts = self.parts();
        let of_parts = empty(&x, Shape::from([parts, self.from, self.to]), DType::F32);
        let x = reshape(x, [parts, places / parts, self.from]);
        let gradient = reshape(gradient, [parts, places / parts, self.to]);
        product(transposed(x), gradient, of_parts.clone());
        let of_matrix = if parts == 1 { of_parts } else { CubeBackend::<R>::float_sum_dim(of_parts, 0) };
        [of_x, cast(of_matrix, learning.dtype)]
    }
}
