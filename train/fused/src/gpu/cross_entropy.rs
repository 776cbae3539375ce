//! The cross-entropy of capped logits, one cube for each target.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, cubecl};

use super::rows::{Rows, Team, total};
use super::{Card, OnGpu, empty, like, taken};
use crate::apply::Known;
use crate::cross_entropy::CrossEntropy;

/// cap · tanh(logit / cap), without an overflow on the way.
#[cube]
fn capped<N: Size>(logit: Vector<f32, N>, cap: f32) -> Vector<f32, N> {
    let power = (logit * Vector::new(2.0 / cap)).exp();
    let (one, two) = (Vector::new(1.0), Vector::new(2.0));
    Vector::new(cap) * (one - two / (power + one))
}

/// The sum of each row's e^(capped logit - cap): the cap is the largest that there can be.
#[cube(launch)]
fn forward<F: Float, I: Int, N: Size>(
    logits: &[Vector<F, N>],
    targets: &[I],
    nats: &mut [f32],
    sums: &mut [f32],
    cap: f32,
    #[comptime] team: Team,
    #[define(F, I)] _dtypes: [ElemType; 2],
) {
    let row = CUBE_POS;
    if row >= nats.len() {
        terminate!();
    }
    let start = row * team.vectors;
    let mut powers = Vector::<f32, N>::new(0.0);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        powers += (capped(Vector::cast_from(logits[start + index]), cap) - Vector::new(cap)).exp();
    }
    let sum = total(powers.vector_sum(), team);
    if UNIT_POS == 0 {
        let target = usize::cast_from(targets[row]);
        let vector = capped(Vector::<f32, N>::cast_from(logits[start + target / N::value()]), cap);
        let chosen = vector.extract_dynamic(target % N::value());
        nats[row] = sum.ln() + cap - chosen;
        sums[row] = sum;
    }
}

/// What every logit gets: its probability, less 1 for the target's, times the slope of the cap.
#[cube(launch)]
fn backward<F: Float, I: Int, N: Size>(
    logits: &[Vector<F, N>],
    targets: &[I],
    sums: &[f32],
    gradient: &[f32],
    of_logits: &mut [Vector<F, N>],
    cap: f32,
    #[comptime] team: Team,
    #[define(F, I)] _dtypes: [ElemType; 2],
) {
    let row = CUBE_POS;
    if row >= sums.len() {
        terminate!();
    }
    let start = row * team.vectors;
    let target = usize::cast_from(targets[row]);
    let (gradient, sum) = (gradient[row], sums[row]);
    for index in range_stepped(UNIT_POS as usize, team.vectors, team.units) {
        let capped = capped(Vector::<f32, N>::cast_from(logits[start + index]), cap);
        let share = capped / Vector::new(cap);
        let mut of_capped = (capped - Vector::new(cap)).exp() / Vector::new(sum);
        #[unroll]
        for lane in 0..N::value() {
            if index * N::value() + lane == target {
                let probability = of_capped.extract(lane);
                of_capped.insert(lane, probability - 1.0);
            }
        }
        let slope = Vector::new(1.0) - share * share;
        of_logits[start + index] = Vector::cast_from(of_capped * slope * Vector::new(gradient));
    }
}

impl OnGpu<1> for CrossEntropy {
    /// Saves the sum of each row's powers.
    fn forward<R: Card>(
        &self,
        [logits]: [CubeTensor<R>; 1],
        shape: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        let nats = empty(&logits, shape, DType::F32);
        let sums = like(&nats);
        let targets = R::ints(&self.targets);
        let dtypes = [logits.dtype, targets.dtype].map(dtype_to_storage_type);
        let Rows { cubes, cube, vector, team } = Rows::of(&logits, self.vocabulary);
        forward::launch::<R>(
            &nats.client,
            cubes,
            cube,
            vector,
            logits.into_buffer_arg(),
            targets.into_buffer_arg(),
            nats.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            self.cap,
            team,
            dtypes,
        );
        (nats, vec![sums])
    }

    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, 1>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; 1] {
        let [logits] = known.inputs;
        let [sums] = taken(known.saved);
        let of_logits = like(&logits);
        let targets = R::ints(&self.targets);
        let dtypes = [logits.dtype, targets.dtype].map(dtype_to_storage_type);
        let Rows { cubes, cube, vector, team } = Rows::of(&logits, self.vocabulary);
        backward::launch::<R>(
            &of_logits.client,
            cubes,
            cube,
            vector,
            logits.into_buffer_arg(),
            targets.into_buffer_arg(),
            sums.into_buffer_arg(),
            gradient.into_buffer_arg(),
            of_logits.clone().into_buffer_arg(),
            self.cap,
            team,
            dtypes,
        );
        [of_logits]
    }
}
