//! The squared rectifier, one unit for each vector.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::Numbers;
use super::{Card, OnGpu, like};
use crate::apply::Known;
use crate::relu::ReluSquared;

#[cube(launch)]
fn forward<F: Float, N: Size>(
    x: &[Vector<F, N>],
    output: &mut [Vector<F, N>],
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < output.len() {
        let above = max(Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]), Vector::new(0.0));
        output[ABSOLUTE_POS] = Vector::cast_from(above * above);
    }
}

#[cube(launch)]
fn backward<F: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    of_x: &mut [Vector<F, N>],
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < of_x.len() {
        let above = max(Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]), Vector::new(0.0));
        let gradient = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
        of_x[ABSOLUTE_POS] = Vector::cast_from(Vector::new(2.0) * above * gradient);
    }
}

impl OnGpu<1> for ReluSquared {
    fn forward<R: Card>(&self, [x]: [CubeTensor<R>; 1], _: Shape) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let output = like(&x);
        let Numbers { cubes, cube, vector } = Numbers::of(&x, x.meta.num_elements());
        forward::launch::<R>(
            &output.client,
            cubes,
            cube,
            vector,
            x.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            dtype_to_storage_type(output.dtype),
        );
        (output, Vec::new())
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 1>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 1] {
        let [x] = known.inputs;
        let of_x = like(&x);
        let Numbers { cubes, cube, vector } = Numbers::of(&x, x.meta.num_elements());
        backward::launch::<R>(
            &of_x.client,
            cubes,
            cube,
            vector,
            x.into_buffer_arg(),
            gradient.into_buffer_arg(),
            of_x.clone().into_buffer_arg(),
            dtype_to_storage_type(of_x.dtype),
        );
        [of_x]
    }
}
