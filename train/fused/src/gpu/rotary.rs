//! Rotary positions, one unit for each vector of pairs.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::Numbers;
use super::{Card, OnGpu, like};
use crate::apply::Known;
use crate::rotary::Turn;

/// Turns by the angles, or with `sense` -1 back by them. A head is two halves of `half` vectors.
#[cube(launch)]
fn turn<F: Float, N: Size>(
    x: &[Vector<F, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    output: &mut [Vector<F, N>],
    heads: usize,
    sequence: usize,
    sense: f32,
    #[comptime] half: usize,
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS * 2 < output.len() {
        let (head, pair) = (ABSOLUTE_POS / half, ABSOLUTE_POS % half);
        let angle = head / heads % sequence * half + pair;
        let (cos, sin) = (cos[angle], sin[angle] * Vector::new(sense));
        let first = head * 2 * half + pair;
        let one = Vector::<f32, N>::cast_from(x[first]);
        let two = Vector::<f32, N>::cast_from(x[first + half]);
        output[first] = Vector::cast_from(one * cos + two * sin);
        output[first + half] = Vector::cast_from(two * cos - one * sin);
    }
}

impl Turn {
    fn launch<R: Card>(&self, x: CubeTensor<R>, sense: f32) -> CubeTensor<R> {
        let output = like(&x);
        let [cos, sin] = self.table.on_device.each_ref().map(R::floats);
        let Numbers { cubes, cube, vector } = Numbers::of(&x, self.table.half);
        turn::launch::<R>(
            &output.client,
            cubes,
            cube,
            vector,
            x.into_buffer_arg(),
            cos.into_buffer_arg(),
            sin.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            self.heads,
            self.table.sequence,
            sense,
            self.table.half / vector,
            dtype_to_storage_type(output.dtype),
        );
        output
    }
}

impl OnGpu<1> for Turn {
    fn forward<R: Card>(&self, [x]: [CubeTensor<R>; 1], _: Shape) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        (self.launch(x, 1.0), Vec::new())
    }

    fn backward<R: Card>(&self, _: Known<CubeBackend<R>, 1>, gradient: CubeTensor<R>) -> [CubeTensor<R>; 1] {
        [self.launch(gradient, -1.0)]
    }
}
