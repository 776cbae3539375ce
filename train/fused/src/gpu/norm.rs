//! The root mean square norm, one cube for each row.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::{Rows, Team, total};
use super::{Card, OnGpu, empty, like, taken};
use crate::apply::Known;
use crate::norm::{EPSILON, Norm};

#[cube(launch)]
fn forward<F: Float, N: Size>(
    x: &[Vector<F, N>],
    output: &mut [Vector<F, N>],
    scales: &mut [f32],
    #[comptime] team: Team,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= scales.len() {
        terminate!();
    }
    let start = row * team.vectors;
    let mut squares = Vector::<f32, N>::new(0.0);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let x = Vector::<f32, N>::cast_from(x[start + index]);
        squares += x * x;
    }
    let width = comptime!(team.vectors) * N::value();
    let mean = total(squares.vector_sum(), team) / f32::cast_from(width);
    let scale = (mean + EPSILON).inverse_sqrt();
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let x = Vector::<f32, N>::cast_from(x[start + index]);
        output[start + index] = Vector::cast_from(x * Vector::new(scale));
    }
    if UNIT_POS == 0 {
        scales[row] = scale;
    }
}

/// With y = s·x and s of the row: dx = s·(dy - y·mean(dy·y)).
#[cube(launch)]
fn backward<F: Float, N: Size>(
    y: &[Vector<F, N>],
    scales: &[f32],
    gradient: &[Vector<F, N>],
    of_x: &mut [Vector<F, N>],
    #[comptime] team: Team,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= scales.len() {
        terminate!();
    }
    let start = row * team.vectors;
    let mut products = Vector::<f32, N>::new(0.0);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        products += Vector::cast_from(y[start + index]) * Vector::cast_from(gradient[start + index]);
    }
    let width = comptime!(team.vectors) * N::value();
    let mean = Vector::<f32, N>::new(total(products.vector_sum(), team) / f32::cast_from(width));
    let scale = Vector::<f32, N>::new(scales[row]);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let y = Vector::<f32, N>::cast_from(y[start + index]);
        let gradient = Vector::<f32, N>::cast_from(gradient[start + index]);
        of_x[start + index] = Vector::cast_from(scale * (gradient - y * mean));
    }
}

impl OnGpu<1> for Norm {
    /// Saves the scale of each row.
    fn forward<R: Card>(&self, [x]: [CubeTensor<R>; 1], _: Shape) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let output = like(&x);
        let scales = empty(&x, Shape::from([x.meta.num_elements() / self.width]), DType::F32);
        let Rows { cubes, cube, vector, team } = Rows::of(&x, self.width);
        forward::launch::<R>(
            &output.client,
            cubes,
            cube,
            vector,
            x.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            scales.clone().into_buffer_arg(),
            team,
            dtype_to_storage_type(output.dtype),
        );
        (output, vec![scales])
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 1>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 1] {
        let of_x = like(&gradient);
        let [scales] = taken(known.saved);
        let Rows { cubes, cube, vector, team } = Rows::of(&gradient, self.width);
        backward::launch::<R>(
            &of_x.client,
            cubes,
            cube,
            vector,
            known.output.into_buffer_arg(),
            scales.into_buffer_arg(),
            gradient.into_buffer_arg(),
            of_x.clone().into_buffer_arg(),
            team,
            dtype_to_storage_type(of_x.dtype),
        );
        [of_x]
    }
}
