//! Rows of a table by tokens; a token's gradients are added up by one cube, always in the same order.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::CubeCountSelection;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::vector_of;
use super::{Card, OnGpu, like};
use crate::apply::Known;
use crate::embedding::Embedding;

/// Units of a cube: `columns` of them stand beside each other, the others take further places of the token.
const UNITS: usize = 256;

#[cube(launch)]
fn backward<F: Float, G: Float, I: Int, N: Size>(
    gradient: &[Vector<G, N>],
    places: &[I],
    starts: &[I],
    of_table: &mut [Vector<F, N>],
    cubes_each: usize,
    vectors: usize,
    #[comptime] columns: usize,
    #[define(F, G, I)] _dtypes: [ElemType; 3],
) {
    let lanes = comptime!(UNITS / columns);
    let token = CUBE_POS / cubes_each;
    if token + 1 >= starts.len() {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let column = CUBE_POS % cubes_each * columns + unit % columns;
    let mut sum = Vector::<f32, N>::new(0.0);
    if column < vectors {
        let (start, end) = (usize::cast_from(starts[token]), usize::cast_from(starts[token + 1]));
        for index in range_stepped(start + unit / columns, end, lanes) {
            let place = usize::cast_from(places[index]);
            sum += Vector::cast_from(gradient[place * vectors + column]);
        }
    }
    let mut sums = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    sums[unit] = sum;
    sync_cube();
    if unit < columns && column < vectors {
        for lane in 1..lanes {
            sum += sums[lane * columns + unit];
        }
        of_table[token * vectors + column] = Vector::cast_from(sum);
    }
}

impl OnGpu<1> for Embedding {
    fn forward<R: Card>(
        &self,
        [table]: [CubeTensor<R>; 1],
        shape: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let rows = CubeBackend::<R>::float_select(table, 0, R::ints(&self.tokens.ids));
        (CubeBackend::<R>::float_reshape(rows, shape), Vec::new())
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 1>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 1] {
        let [table] = known.inputs;
        let of_table = like(&table);
        let [places, starts] = [&self.tokens.places, &self.tokens.starts].map(R::ints);
        let vector = vector_of(&table, |size| self.width.is_multiple_of(size));
        let vectors = self.width / vector;
        let columns = vectors.next_power_of_two().min(UNITS);
        let cubes_each = vectors.div_ceil(columns);
        let tokens = table.meta.num_elements() / self.width;
        let dtypes = [table.dtype, gradient.dtype, places.dtype].map(dtype_to_storage_type);
        backward::launch::<R>(
            &table.client,
            CubeCountSelection::new(&table.client, (tokens * cubes_each) as u32).cube_count(),
            CubeDim::new_1d(UNITS as u32),
            vector,
            gradient.into_buffer_arg(),
            places.into_buffer_arg(),
            starts.into_buffer_arg(),
            of_table.clone().into_buffer_arg(),
            cubes_each,
            vectors,
            columns,
            dtypes,
        );
        [of_table]
    }
}
