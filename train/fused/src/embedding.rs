//! Rows of a table by the tokens of a batch.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::apply::apply;
use crate::processor::{OnProcessor, Slices};

/// The tokens of a batch, and where in it each token of the vocabulary stands.
#[derive(Clone, Debug)]
pub struct Tokens {
    shape: [usize; 2],
    pub(crate) ids: Tensor<1, Int>,
    /// All places, those of token t from `starts[t]` to `starts[t + 1]`: what adds up a token's gradients.
    pub(crate) places: Tensor<1, Int>,
    pub(crate) starts: Tensor<1, Int>,
}

impl Tokens {
    /// Rows of tokens, one after another, of a vocabulary of that many.
    ///
    /// # Panics
    ///
    /// Where a token is not of the vocabulary, or the rows are not of one length.
    pub fn new(ids: &[i32], rows: usize, vocabulary: usize, device: &Device) -> Self {
        assert!(ids.len().is_multiple_of(rows), "{} tokens are no {rows} rows", ids.len());
        let mut starts = vec![0; vocabulary + 1];
        for &id in ids {
            starts[id as usize + 1] += 1;
        }
        for token in 0..vocabulary {
            starts[token + 1] += starts[token];
        }
        let mut places = vec![0; ids.len()];
        let mut next = starts.clone();
        for (place, &id) in ids.iter().enumerate() {
            let next = &mut next[id as usize];
            places[*next as usize] = place as i32;
            *next += 1;
        }
        let device = device.clone().inner();
        let tensor = |values: Vec<i32>| {
            let shape = [values.len()];
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        Self {
            shape: [rows, ids.len() / rows],
            ids: tensor(ids.to_vec()),
            places: tensor(places),
            starts: tensor(starts),
        }
    }

    /// Rows, and tokens of each.
    pub fn dims(&self) -> [usize; 2] {
        self.shape
    }
}

/// The row of `table`, `[vocabulary, width]`, of each token: `[rows, sequence, width]`.
pub fn embedding(table: &Tensor<2>, tokens: &Tokens) -> Tensor<3> {
    let ([rows, sequence], [_, width]) = (tokens.dims(), table.dims());
    apply(Embedding { tokens: tokens.clone(), width }, [table.clone()], [rows, sequence, width])
}

#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    pub(crate) tokens: Tokens,
    pub(crate) width: usize,
}

impl Embedding {
    /// Where in the table each token's row begins.
    fn starts(&self) -> Vec<usize> {
        self.tokens.ids.to_data().iter::<i32>().map(|id| id as usize * self.width).collect()
    }
}

impl OnProcessor<1> for Embedding {
    fn forward(&self, [table]: [&[f32]; 1]) -> (Vec<f32>, Vec<f32>) {
        let rows = self.starts().into_iter().flat_map(|start| &table[start..start + self.width]);
        (rows.copied().collect(), Vec::new())
    }

    fn backward(&self, known: &Slices<'_, 1>, gradient: &[f32]) -> [Vec<f32>; 1] {
        let mut of_table = vec![0.0; known.inputs[0].len()];
        for (start, gradient) in self.starts().into_iter().zip(gradient.chunks_exact(self.width)) {
            for (of_table, gradient) in of_table[start..start + self.width].iter_mut().zip(gradient) {
                *of_table += gradient;
            }
        }
        [of_table]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};
    use burn::tensor::module;

    #[test]
    fn one_pass_is_the_formula() {
        let ids: Vec<i32> = (0..60).map(|place| [7, 0, 7, 10, 3][place % 5] + (place / 55) as i32).collect();
        for device in devices() {
            for width in [32, 2000, 7] {
                let tokens = Tokens::new(&ids, 3, 13, &device);
                let indices = TensorData::new(ids.clone(), [3, 20]);
                let indices = Tensor::<2, Int>::from_data(indices, &device);
                same(
                    [random([13, width], &device)],
                    |[table]| embedding(&table, &tokens),
                    |[table]| module::embedding(table, indices.clone()),
                );
            }
        }
    }
}
