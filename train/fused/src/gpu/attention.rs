//! Attention as products of matrices, some queries at a time, with one kernel between them for the weights.
//!
//! Tensors are `[groups, shared, sequence, head]` here: a group is a row's head of keys, `shared` are the
//! heads of queries that it serves. Weights are `[groups, shared, sequence, sequence]`, of which each block
//! of queries has written the columns that any of them sees.

use std::ops::Range;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::matrix::{narrow, product, reshape, transposed};
use super::rows::{Rows, Team, largest, total};
use super::{Card, OnGpu, empty, like, taken};
use crate::apply::Known;
use crate::attention::Attention;

/// Queries that are dealt with at once: enough for a product of matrices to be fast, and few enough for
/// most of what they do not see to be left out.
const BLOCK: usize = 512;

/// Scores become weights: softmax over what a query sees, 0 elsewhere.
#[cube(launch)]
fn to_weights<F: Float, N: Size>(
    scores: &[Vector<f32, N>],
    weights: &mut [Vector<F, N>],
    place: Places,
    scale: f32,
    #[comptime] team: Team,
    #[define(F)] _dtype: ElemType,
) {
    let start = CUBE_POS * team.vectors;
    if start >= scores.len() {
        terminate!();
    }
    let query = place.query();
    let to = place.start() / N::value();
    let last = query - place.from;
    let first = max(query, place.from + place.window) - place.from - place.window;

    let mut most = f32::new(-1e30);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let score = scores[start + index];
        #[unroll]
        for lane in 0..N::value() {
            let key = index * N::value() + lane;
            if key >= first && key <= last {
                most = max(most, score.extract(lane));
            }
        }
    }
    let most = largest(most, team);
    let mut sum = 0.0f32;
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let power = ((scores[start + index] - Vector::new(most)) * Vector::new(scale)).exp();
        #[unroll]
        for lane in 0..N::value() {
            let key = index * N::value() + lane;
            if key >= first && key <= last {
                sum += power.extract(lane);
            }
        }
    }
    let share = 1.0 / total(sum, team);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let power = ((scores[start + index] - Vector::new(most)) * Vector::new(scale)).exp();
        let mut weight = Vector::<f32, N>::new(0.0);
        #[unroll]
        for lane in 0..N::value() {
            let key = index * N::value() + lane;
            if key >= first && key <= last {
                weight.insert(lane, power.extract(lane) * share);
            }
        }
        weights[to + index] = Vector::cast_from(weight);
    }
}

/// Gradients of weights become those of scores: w·(dw - Σ w·dw).
#[cube(launch)]
fn through_weights<F: Float, N: Size>(
    weights: &[Vector<F, N>],
    of_weights: &[Vector<f32, N>],
    of_scores: &mut [Vector<F, N>],
    place: Places,
    scale: f32,
    #[comptime] team: Team,
    #[define(F)] _dtype: ElemType,
) {
    let start = CUBE_POS * team.vectors;
    if start >= of_weights.len() {
        terminate!();
    }
    let to = place.start() / N::value();

    let mut products = Vector::<f32, N>::new(0.0);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        products += Vector::cast_from(weights[to + index]) * of_weights[start + index];
    }
    let mean = Vector::<f32, N>::new(total(products.vector_sum(), team));
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let weight = Vector::<f32, N>::cast_from(weights[to + index]);
        let of_score = weight * (of_weights[start + index] - mean) * Vector::new(scale);
        of_scores[to + index] = Vector::cast_from(of_score);
    }
}

/// Which queries a launch is about, and which keys any of them sees.
#[derive(CubeType, CubeLaunch)]
struct Places {
    first: usize,
    queries: usize,
    from: usize,
    sequence: usize,
    window: usize,
}

#[cube]
impl Places {
    /// The place of the cube's query.
    fn query(&self) -> usize {
        self.first + CUBE_POS % self.queries
    }

    /// Where in all weights those of the cube's query begin.
    fn start(&self) -> usize {
        (CUBE_POS / self.queries * self.sequence + self.query()) * self.sequence + self.from
    }
}

/// Some queries and the keys that any of them sees.
#[derive(Clone, Debug)]
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
}

impl Attention {
    fn blocks_of_queries(&self) -> impl Iterator<Item = Block> {
        let (sequence, window) = (self.shape[1], self.window);
        (0..sequence).step_by(BLOCK).map(move |first| {
            let end = sequence.min(first + BLOCK);
            // Whole blocks of keys, so that a block of keys knows which queries wrote its columns.
            Block { queries: first..end, keys: first.saturating_sub(window) / BLOCK * BLOCK..end }
        })
    }

    /// Some keys and the queries that wrote their columns.
    fn blocks_of_keys(&self) -> impl Iterator<Item = Block> {
        let (sequence, window) = (self.shape[1], self.window);
        (0..sequence).step_by(BLOCK).map(move |first| {
            let end = sequence.min(first + BLOCK);
            let last = (end - 1 + window) / BLOCK * BLOCK + BLOCK;
            Block { queries: first..sequence.min(last), keys: first..end }
        })
    }

    fn shared(&self) -> usize {
        self.shape[2] / self.kv_heads
    }

    /// From `[rows, sequence, heads, head]`; of the heads, `shared` stand beside each other.
    fn by_head<R: Card>(&self, tensor: CubeTensor<R>, shared: usize) -> CubeTensor<R> {
        let [rows, sequence, _, head] = self.shape;
        let groups = rows * self.kv_heads;
        reshape(
            into_contiguous(CubeBackend::<R>::float_swap_dims(tensor, 1, 2)),
            [groups, shared, sequence, head],
        )
    }

    /// Back to `[rows, sequence, heads, head]`.
    fn by_place<R: Card>(&self, tensor: CubeTensor<R>, heads: usize) -> CubeTensor<R> {
        let [rows, sequence, _, head] = self.shape;
        CubeBackend::<R>::float_swap_dims(reshape(tensor, [rows, heads, sequence, head]), 1, 2)
    }

    fn weights_shape(&self) -> Shape {
        let [rows, sequence, ..] = self.shape;
        Shape::from([rows * self.kv_heads, self.shared(), sequence, sequence])
    }

    /// Room for a number of each query and key of a block.
    fn scores<R: Card>(&self, beside: &CubeTensor<R>, block: &Block) -> CubeTensor<R> {
        let [groups, shared, ..] = self.weights_shape().dims::<4>();
        let shape = Shape::from([groups, shared, block.queries.len(), block.keys.len()]);
        empty(beside, shape, DType::F32)
    }

    fn places<R: Card>(&self, block: &Block) -> PlacesLaunch<R> {
        let (first, queries, from) = (block.queries.start, block.queries.len(), block.keys.start);
        PlacesLaunch::new(first, queries, from, self.shape[1], self.window)
    }

    /// A launch of one cube for each query of a block.
    fn rows<R: Card>(&self, scores: &CubeTensor<R>, block: &Block) -> Rows {
        Rows::in_runs(scores, block.keys.len(), self.shape[1])
    }
}

impl OnGpu<3> for Attention {
    /// Saves the query, the key and the value by head, and the weights.
    fn forward<R: Card>(
        &self,
        [query, key, value]: [CubeTensor<R>; 3],
        _: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let query = self.by_head(query, self.shared());
        let [key, value] = [key, value].map(|tensor| self.by_head(tensor, 1));
        let output = like(&query);
        let weights = empty(&query, self.weights_shape(), query.dtype);
        for block in self.blocks_of_queries() {
            let scores = self.scores(&query, &block);
            let keys = transposed(part(&key, &block.keys));
            product(part(&query, &block.queries), keys, scores.clone());
            let Rows { cubes, cube, vector, team } = self.rows(&scores, &block);
            to_weights::launch::<R>(
                &query.client,
                cubes,
                cube,
                vector,
                scores.into_buffer_arg(),
                weights.clone().into_buffer_arg(),
                self.places(&block),
                self.scale(),
                team,
                dtype_to_storage_type(weights.dtype),
            );
            let seen = columns(part(&weights, &block.queries), &block.keys);
            product(seen, part(&value, &block.keys), part(&output, &block.queries));
        }
        (into_contiguous(self.by_place(output, self.shape[2])), vec![query, key, value, weights])
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 3>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 3] {
        let [query, key, value, weights] = taken(known.saved);
        let gradient = self.by_head(gradient, self.shared());
        let [of_query, of_key, of_value] = [(); 3].map(|()| like(&query));
        let of_scores = like(&weights);
        for block in self.blocks_of_queries() {
            let of_weights = self.scores(&query, &block);
            let values = transposed(part(&value, &block.keys));
            product(part(&gradient, &block.queries), values, of_weights.clone());
            let Rows { cubes, cube, vector, team } = self.rows(&of_weights, &block);
            through_weights::launch::<R>(
                &query.client,
                cubes,
                cube,
                vector,
                weights.clone().into_buffer_arg(),
                of_weights.into_buffer_arg(),
                of_scores.clone().into_buffer_arg(),
                self.places(&block),
                self.scale(),
                team,
                dtype_to_storage_type(weights.dtype),
            );
            let seen = columns(part(&of_scores, &block.queries), &block.keys);
            product(seen, part(&key, &block.keys), part(&of_query, &block.queries));
        }
        for block in self.blocks_of_keys() {
            let by = |tensor| transposed(columns(part(tensor, &block.queries), &block.keys));
            product(by(&of_scores), part(&query, &block.queries), part(&of_key, &block.keys));
            product(by(&weights), part(&gradient, &block.queries), part(&of_value, &block.keys));
        }
        let [of_key, of_value] = [of_key, of_value].map(|tensor| {
            let summed = if self.shared() == 1 { tensor } else { CubeBackend::<R>::float_sum_dim(tensor, 1) };
            self.by_place(summed, self.kv_heads)
        });
        [self.by_place(of_query, self.shape[2]), of_key, of_value]
    }
}

/// Some places of a tensor, where they lie.
fn part<R: Card>(tensor: &CubeTensor<R>, places: &Range<usize>) -> CubeTensor<R> {
    narrow(tensor.clone(), 2, places)
}

/// Some columns of a tensor, where they lie.
fn columns<R: Card>(tensor: CubeTensor<R>, columns: &Range<usize>) -> CubeTensor<R> {
    narrow(tensor, 3, columns)
}
