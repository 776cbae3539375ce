//! A weighted sum, one unit for each vector.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::{Numbers, Rows, Team, total};
use super::{Card, OnGpu, empty, like};
use crate::apply::Known;
use crate::blend::Blend;

#[cube(launch)]
fn forward<F: Float, N: Size>(
    one: &[Vector<F, N>],
    other: &[Vector<F, N>],
    first: &[f32],
    second: &[f32],
    output: &mut [Vector<F, N>],
    #[define(F)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < output.len() {
        let one = Vector::<f32, N>::cast_from(one[ABSOLUTE_POS]);
        let other = Vector::<f32, N>::cast_from(other[ABSOLUTE_POS]);
        let sum = one * Vector::new(first[0]) + other * Vector::new(second[0]);
        output[ABSOLUTE_POS] = Vector::cast_from(sum);
    }
}

/// Besides the gradients of both tensors, each cube's share of those of the weights.
#[cube(launch)]
fn backward<F: Float, N: Size>(
    one: &[Vector<F, N>],
    other: &[Vector<F, N>],
    first: &[f32],
    second: &[f32],
    gradient: &[Vector<F, N>],
    of_one: &mut [Vector<F, N>],
    of_other: &mut [Vector<F, N>],
    of_first: &mut [f32],
    of_second: &mut [f32],
    #[comptime] team: Team,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= of_first.len() {
        terminate!();
    }
    let start = row * team.vectors;
    let (first, second) = (Vector::<f32, N>::new(first[0]), Vector::<f32, N>::new(second[0]));
    let mut by_one = Vector::<f32, N>::new(0.0);
    let mut by_other = Vector::<f32, N>::new(0.0);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let gradient = Vector::<f32, N>::cast_from(gradient[start + index]);
        of_one[start + index] = Vector::cast_from(gradient * first);
        of_other[start + index] = Vector::cast_from(gradient * second);
        by_one += gradient * Vector::cast_from(one[start + index]);
        by_other += gradient * Vector::cast_from(other[start + index]);
    }
    let by_one = total(by_one.vector_sum(), team);
    let by_other = total(by_other.vector_sum(), team);
    if UNIT_POS == 0 {
        of_first[row] = by_one;
        of_second[row] = by_other;
    }
}

impl OnGpu<4> for Blend {
    fn forward<R: Card>(
        &self,
        [one, other, first, second]: [CubeTensor<R>; 4],
        _: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let output = like(&one);
        let Numbers { cubes, cube, vector } = Numbers::of(&one, one.meta.num_elements());
        forward::launch::<R>(
            &output.client,
            cubes,
            cube,
            vector,
            one.into_buffer_arg(),
            other.into_buffer_arg(),
            first.into_buffer_arg(),
            second.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            dtype_to_storage_type(output.dtype),
        );
        (output, Vec::new())
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 4>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 4] {
        let [one, other, first, second] = known.inputs;
        let [of_one, of_other] = [(); 2].map(|()| like(&one));
        let shape = one.meta.shape();
        let width = shape[shape.num_dims() - 1];
        let rows = one.meta.num_elements() / width;
        let [of_first, of_second] = [(); 2].map(|()| empty(&one, Shape::from([rows]), DType::F32));
        let Rows { cubes, cube, vector, team } = Rows::of(&one, width);
        let weight = first.meta.shape().clone();
        backward::launch::<R>(
            &of_one.client,
            cubes,
            cube,
            vector,
            one.into_buffer_arg(),
            other.into_buffer_arg(),
            first.into_buffer_arg(),
            second.into_buffer_arg(),
            gradient.into_buffer_arg(),
            of_one.clone().into_buffer_arg(),
            of_other.clone().into_buffer_arg(),
            of_first.clone().into_buffer_arg(),
            of_second.clone().into_buffer_arg(),
            team,
            dtype_to_storage_type(of_one.dtype),
        );
        let [of_first, of_second] = [of_first, of_second].map(|rows| {
            let sum = CubeBackend::<R>::float_sum(rows);
            CubeBackend::<R>::float_reshape(sum, weight.clone())
        });
        [of_one, of_other, of_first, of_second]
    }
}
