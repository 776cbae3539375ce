//! Causal attention within a window.

use burn::tensor::Tensor;
use multiversion::multiversion;

use crate::apply::apply;
use crate::lanes::{exp, sum};
use crate::matrix::{View, product};
use crate::processor::{OnProcessor, Slices};

/// What each query sees of the values at its own place and at up to `window` places before it.
///
/// `query` is `[rows, sequence, heads, head]`, as is the result; `key` and `value` are
/// `[rows, sequence, kv_heads, head]`, where each of their heads serves `heads / kv_heads` of the query's.
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, window: usize) -> Tensor<4> {
    let shape = query.dims();
    let kv_heads = key.dims()[2];
    assert!(shape[2].is_multiple_of(kv_heads), "{} heads cannot share {kv_heads}", shape[2]);
    apply(Attention { shape, kv_heads, window }, [query, key, value], shape)
}

/// Queries that are dealt with at once: their keys stay in the cache, and few of them are seen by none.
const BLOCK: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Attention {
    /// Rows, sequence, heads, head.
    pub(crate) shape: [usize; 4],
    pub(crate) kv_heads: usize,
    pub(crate) window: usize,
}

/// Some queries of one head, and the keys that any of them sees.
struct Block {
    /// The queries' first place, and that of the keys.
    first: usize,
    from: usize,
    /// `[queries, head]` in the query and in the output.
    query: View,
    /// `[keys, head]` in the key and in the value.
    key: View,
    /// `[queries, keys]` in the saved weights.
    weights: View,
}

impl Attention {
    /// All queries, in the order in which their weights are saved.
    fn blocks(&self) -> Vec<Block> {
        let [rows, sequence, heads, head] = self.shape;
        let mut saved = 0;
        let mut blocks = Vec::with_capacity(rows * heads * sequence.div_ceil(BLOCK));
        for (row, of_head) in (0..rows).flat_map(|row| (0..heads).map(move |head| (row, head))) {
            let kv_head = of_head * self.kv_heads / heads;
            for first in (0..sequence).step_by(BLOCK) {
                let end = sequence.min(first + BLOCK);
                let from = first.saturating_sub(self.window);
                let place =
                    |place: usize, heads: usize, of: usize| ((row * sequence + place) * heads + of) * head;
                let (queries, keys) = (end - first, end - from);
                blocks.push(Block {
                    first,
                    from,
                    query: View::new(queries, head, place(first, heads, of_head), heads * head),
                    key: View::new(keys, head, place(from, self.kv_heads, kv_head), self.kv_heads * head),
                    weights: View::new(queries, keys, saved, keys),
                });
                saved += queries * keys;
            }
        }
        blocks
    }

    pub(crate) fn scale(&self) -> f32 {
        1.0 / (self.shape[3] as f32).sqrt()
    }
}

impl OnProcessor<3> for Attention {
    /// Saves the weights of all blocks.
    fn forward(&self, [query, key, value]: [&[f32]; 3]) -> (Vec<f32>, Vec<f32>) {
        let blocks = self.blocks();
        let saved =
            blocks.last().map_or(0, |block| block.weights.start + block.weights.rows * block.weights.columns);
        let mut weights = vec![0.0; saved];
        let mut output = vec![0.0; query.len()];
        for block in blocks {
            let scores = (&mut weights[..], block.weights);
            product(scores, (query, block.query), (key, block.key.transposed()), self.scale(), false);
            for (index, row) in block.weights.rows_of(&mut weights).enumerate() {
                let place = block.first + index;
                let seen = place.saturating_sub(self.window).max(block.from) - block.from;
                to_weights(row, seen, place + 1 - block.from);
            }
            product((&mut output, block.query), (&weights, block.weights), (value, block.key), 1.0, false);
        }
        (output, weights)
    }

    fn backward(&self, known: &Slices<'_, 3>, gradient: &[f32]) -> [Vec<f32>; 3] {
        let [query, key, value] = known.inputs;
        let weights = known.saved;
        let mut of_query = vec![0.0; query.len()];
        let mut of_key = vec![0.0; key.len()];
        let mut of_value = vec![0.0; value.len()];
        let mut of_scores = Vec::new();
        for block in self.blocks() {
            let (queries, keys) = (block.weights.rows, block.weights.columns);
            let scores = View::new(queries, keys, 0, keys);
            let of_output = (gradient, block.query);
            product((&mut of_value, block.key), (weights, block.weights.transposed()), of_output, 1.0, true);
            of_scores.clear();
            of_scores.resize(queries * keys, 0.0);
            product((&mut of_scores, scores), of_output, (value, block.key.transposed()), 1.0, false);
            let start = block.weights.start;
            through_weights(&weights[start..start + queries * keys], &mut of_scores, keys);
            let to_query = (&mut of_query[..], block.query);
            product(to_query, (&of_scores, scores), (key, block.key), self.scale(), true);
            let to_key = (&mut of_key[..], block.key);
            product(to_key, (&of_scores, scores.transposed()), (query, block.query), self.scale(), true);
        }
        [of_query, of_key, of_value]
    }
}

impl View {
    /// The rows of a matrix whose rows lie one after another without a gap.
    fn rows_of(self, slice: &mut [f32]) -> impl Iterator<Item = &mut [f32]> {
        slice[self.start..self.start + self.rows * self.columns].chunks_exact_mut(self.columns)
    }
}

/// Scores become weights in place: softmax over `from..to`, 0 elsewhere.
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn to_weights(row: &mut [f32], from: usize, to: usize) {
    row[..from].fill(0.0);
    row[to..].fill(0.0);
    let seen = &mut row[from..to];
    let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in seen.iter_mut() {
        *score = exp(*score - largest);
    }
    let scale = 1.0 / sum(seen, seen, |weight, _| weight);
    for weight in seen.iter_mut() {
        *weight *= scale;
    }
}

/// Gradients of weights become those of scores in place: w·(dw - Σ w·dw).
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn through_weights(weights: &[f32], gradient: &mut [f32], keys: usize) {
    for (weights, gradient) in weights.chunks_exact(keys).zip(gradient.chunks_exact_mut(keys)) {
        let mean = sum(weights, gradient, |weight, gradient| weight * gradient);
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient = weight * (*gradient - mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};
    use burn::tensor::Int;
    use burn::tensor::activation::softmax;

    /// All scores of all queries, and what a query does not see struck out.
    fn formula([query, key, value]: [Tensor<4>; 3], window: usize) -> Tensor<4> {
        let [_, sequence, heads, head] = query.dims();
        let [query, key, value] = [query, key, value].map(|tensor| {
            let [rows, _, own, _] = tensor.dims();
            let tensor = tensor.swap_dims(1, 2).unsqueeze_dim::<5>(2);
            Tensor::cat(vec![tensor; heads / own], 2).reshape([rows, heads, sequence, head])
        });
        let places = Tensor::<1, Int>::arange(0..sequence as i64, &query.device());
        let distance = places.clone().unsqueeze_dim::<2>(1) - places.unsqueeze::<2>();
        let hidden = distance.clone().lower_elem(0).bool_or(distance.greater_elem(window as i64));
        let scores = query.matmul(key.transpose()) / (head as f32).sqrt();
        let weights = softmax(scores.mask_fill(hidden.unsqueeze::<4>(), -1e30), 3);
        weights.matmul(value).swap_dims(1, 2)
    }

    #[test]
    fn one_pass_is_the_formula() {
        let sizes = [(7, 4, 7), (150, 4, 150), (150, 2, 40), (130, 1, 0), (65, 4, 64), (1100, 2, 300)];
        for device in devices() {
            for (sequence, kv_heads, window) in sizes {
                let queries = random([2, sequence, 4, 16], &device);
                let [keys, values] = [(); 2].map(|()| random([2, sequence, kv_heads, 16], &device));
                same(
                    [queries, keys, values],
                    |[q, k, v]| attention(q, k, v, window),
                    |inputs| formula(inputs, window),
                );
            }
        }
    }
}
