//! Rotary positions (Su et al. 2021).

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use multiversion::multiversion;

use crate::apply::apply;
use crate::processor::{OnProcessor, Slices};

/// The wave length of the slowest pair is 2π times this, nearly.
const BASE: f32 = 10_000.0;

/// The angles of every position: pair `i` of a head of `d` numbers turns by `BASE^(-2i/d)` a position.
#[derive(Clone, Debug)]
pub struct Rotary {
    table: Arc<Table>,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) sequence: usize,
    pub(crate) half: usize,
    /// `[sequence, half]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// The same on the device that is asked to turn.
    pub(crate) on_device: [Tensor<2>; 2],
}

impl Rotary {
    /// Angles for `sequence` positions in heads of `head` numbers.
    ///
    /// # Panics
    ///
    /// Where that is an odd number: they turn in pairs.
    pub fn new(sequence: usize, head: usize, device: &Device) -> Self {
        assert!(head.is_multiple_of(2), "heads of {head} numbers: they turn in pairs");
        let half = head / 2;
        let angle = |index: usize| {
            let (position, pair) = (index / half, index % half);
            position as f32 * BASE.powf(-2.0 * pair as f32 / head as f32)
        };
        let (sin, cos) = (0..sequence * half).map(|index| angle(index).sin_cos()).unzip();
        let device = device.clone().inner();
        let tensor =
            |values: &Vec<f32>| Tensor::from_data(TensorData::new(values.clone(), [sequence, half]), &device);
        let on_device = [tensor(&cos), tensor(&sin)];
        Self { table: Arc::new(Table { sequence, half, cos, sin, on_device }) }
    }

    /// Turns `x`, `[rows, sequence, heads, head]`, each position by its angles.
    pub fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let shape = x.dims();
        apply(Turn { table: self.table.clone(), heads: shape[2] }, [x], shape)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) table: Arc<Table>,
    pub(crate) heads: usize,
}

impl OnProcessor<1> for Turn {
    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, Vec<f32>) {
        let mut output = vec![0.0; x.len()];
        turn(&self.table, self.heads, 1.0, x, &mut output);
        (output, Vec::new())
    }

    fn backward(&self, _: &Slices<'_, 1>, gradient: &[f32]) -> [Vec<f32>; 1] {
        let mut of_x = vec![0.0; gradient.len()];
        turn(&self.table, self.heads, -1.0, gradient, &mut of_x);
        [of_x]
    }
}

/// Turns by the angles, or with `sense` -1 back by them.
#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn turn(table: &Table, heads: usize, sense: f32, x: &[f32], output: &mut [f32]) {
    let half = table.half;
    let position = heads * 2 * half;
    for (index, (x, output)) in x.chunks_exact(position).zip(output.chunks_exact_mut(position)).enumerate() {
        let start = index % table.sequence * half;
        let (cos, sin) = (&table.cos[start..start + half], &table.sin[start..start + half]);
        for (x, output) in x.chunks_exact(2 * half).zip(output.chunks_exact_mut(2 * half)) {
            let (one, two) = x.split_at(half);
            let (to_one, to_two) = output.split_at_mut(half);
            for i in 0..half {
                let sin = sense * sin[i];
                to_one[i] = one[i] * cos[i] + two[i] * sin;
                to_two[i] = two[i] * cos[i] - one[i] * sin;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{devices, random, same};

    fn formula(rotary: &Rotary, x: Tensor<4>) -> Tensor<4> {
        let table = &rotary.table;
        let [cos, sin] = table
            .on_device
            .clone()
            .map(|angles| Tensor::from_inner(angles).reshape([1, table.sequence, 1, table.half]));
        let (one, two) = (x.clone().narrow(3, 0, table.half), x.narrow(3, table.half, table.half));
        let turned_one = one.clone() * cos.clone() + two.clone() * sin.clone();
        Tensor::cat(vec![turned_one, two * cos - one * sin], 3)
    }

    #[test]
    fn one_pass_is_the_formula() {
        for device in devices() {
            for head in [32, 6] {
                let rotary = Rotary::new(7, head, &device);
                same([random([2, 7, 3, head], &device)], |[x]| rotary.turn(x), |[x]| formula(&rotary, x));
            }
        }
    }

    #[test]
    fn the_first_position_stays_and_lengths_stay() {
        let rotary = Rotary::new(5, 8, &Device::flex());
        let x = random([1, 5, 1, 8], &Device::flex().autodiff()).inner();
        let y = rotary.turn(x.clone());
        let length = |t: &Tensor<4>| t.clone().square().sum_dim(3);
        let first = |t: Tensor<4>| t.narrow(1, 0, 1);
        assert!((length(&x) - length(&y)).abs().max().into_scalar::<f32>() < 1e-4);
        assert!((first(x) - first(y)).abs().max().into_scalar::<f32>() < 1e-6);
    }

    #[test]
    #[should_panic(expected = "they turn in pairs")]
    fn an_odd_head_is_refused() {
        Rotary::new(4, 25, &Device::flex());
    }
}
