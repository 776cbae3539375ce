//! What must stay true of `main.rs`, whatever an experiment changes in it.

use std::sync::{Mutex, PoisonError};

use super::*;

const VOCABULARY: usize = 50;

/// The same numbers whatever tests run beside this one: all of them draw from one generator.
fn drawn<T>(draw: impl FnOnce() -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    Device::flex().seed(42);
    draw()
}

fn untrained() -> Gpt {
    drawn(|| Gpt::new(VOCABULARY, 8, &Device::flex()))
}

/// Two rows of eight tokens, in no particular order.
fn batch() -> Batch {
    let inputs: Vec<i32> = (0..16).map(|n| n * 7 % VOCABULARY as i32).collect();
    let targets = inputs.iter().map(|n| (n + 7) % VOCABULARY as i32).collect();
    Batch { rows: 2, sequence: 8, inputs, targets }
}

/// A model whose blocks do something: at first they add nothing to the stream.
fn model() -> Gpt {
    let mut model = untrained();
    drawn(|| {
        for (_, parameter) in model.parameters() {
            let [rows, columns] = parameter.dims();
            *parameter = normal(rows, columns, 0.3, &Device::flex());
        }
    });
    model
}

/// The loss before each of some steps on one batch.
fn learn(mut model: Gpt, steps: usize, threads: usize) -> Vec<f32> {
    let machine = Machine::cpu(threads);
    let mut optimizer = Optimizer::new(&mut model, &machine);
    let step = |step| {
        let (gradients, loss) = gradients(&model, &batch(), &machine);
        optimizer.step(&mut model, gradients, &Pace::new(Now { progress: 0.3, step }));
        loss.into_scalar()
    };
    (0..steps).map(step).collect()
}

#[test]
fn no_token_sees_the_ones_after_it() {
    let (model, machine) = (model(), Machine::cpu(1));
    let before = evaluate(&model, &batch(), &machine);
    let mut changed = batch();
    changed.inputs[5] += 1;
    let after = evaluate(&model, &changed, &machine);
    assert_eq!(before[..5], after[..5]);
    assert!(before[5..8].iter().zip(&after[5..8]).all(|(before, after)| (before - after).abs() > 1e-6));
    assert_eq!(before[8..], after[8..]);
}

#[test]
fn threads_do_not_change_the_gradients() {
    let model = model();
    let (one, loss_one) = gradients(&model, &batch(), &Machine::cpu(1));
    let (two, loss_two) = gradients(&model, &batch(), &Machine::cpu(2));
    assert!((loss_one - loss_two).abs().into_scalar::<f32>() < 1e-5);
    for (one, two) in one.into_iter().zip(two) {
        let size: f32 = one.clone().abs().max().into_scalar();
        let difference: f32 = (one - two).abs().max().into_scalar();
        assert!(difference < 1e-5 * (1.0 + size), "{difference} of {size}");
    }
}

#[test]
fn every_parameter_learns() {
    let machine = Machine::cpu(2);
    let mut model = model();
    let mut before = model.clone();
    let mut optimizer = Optimizer::new(&mut model, &machine);
    let (gradients, _) = gradients(&model, &batch(), &machine);
    optimizer.step(&mut model, gradients, &Pace::new(Now { progress: 0.3, step: 0 }));
    for (index, ((_, before), (_, now))) in
        before.parameters().into_iter().zip(model.parameters()).enumerate()
    {
        let change: f32 = (now.clone() - before.clone()).abs().max().into_scalar();
        assert!(change > 0.0 && change.is_finite(), "parameter {index}: {change}");
    }
}

#[test]
fn it_learns_one_batch_by_heart() {
    let losses = learn(model(), 60, 2);
    assert!(losses[0] > 1.0 && losses[59] < 0.1 * losses[0], "{losses:?}");
}

/// As a run begins, on a thread and on two, which add up in another order.
#[test]
fn rounding_does_not_decide_the_first_steps() {
    let model = untrained();
    let losses = [1, 2].map(|threads| learn(model.clone(), 4, threads));
    let apart = losses[0].iter().zip(&losses[1]).map(|(one, two)| (one - two).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-3, "{losses:?}");
}

#[test]
fn a_matrix_s_update_is_orthonormal() {
    for (rows, columns) in [(16, 48), (48, 16), (32, 32)] {
        let x = orthogonal(drawn(|| normal(rows, columns, 3.0, &Device::flex())));
        let short =
            if rows > columns { x.clone().transpose().matmul(x) } else { x.clone().matmul(x.transpose()) };
        let diagonal: f32 =
            (short.clone() * Tensor::eye(rows.min(columns), &Device::flex())).sum().into_scalar();
        let all: f32 = short.square().sum().into_scalar();
        let size = rows.min(columns) as f32;
        // Polar Express ends near 1, not at it.
        assert!(
            (diagonal / size - 1.0).abs() < 0.25 && (all / size - 1.0).abs() < 0.5,
            "{diagonal} {all} {size}"
        );
    }
}

#[test]
fn the_schedule_ends_at_its_final_rate() {
    assert!((schedule(1.0) - FINAL_LR).abs() < 1e-9 || COOLDOWN == 0.0);
    let all: Vec<f64> = (0..=100).map(|percent| schedule(f64::from(percent) / 100.0)).collect();
    assert!(all.iter().all(|multiplier| (0.0..=1.0).contains(multiplier)));
    assert!(all.iter().any(|multiplier| *multiplier > 0.9) && schedule(0.0) > 0.0 && schedule(2.0) <= 1.0);
}

#[test]
fn operations_are_counted_as_karpathy_counts_them() {
    let mut model = untrained();
    let weights: usize = model
        .blocks
        .iter()
        .flat_map(|block| {
            let gate = block.values.as_ref().map(|[_, gate]| gate);
            let matrices = [&block.query, &block.key, &block.value, &block.out, &block.up, &block.down];
            matrices.into_iter().chain(gate).map(|matrix| matrix.shape().num_elements())
        })
        .sum();
    let seen: f64 = model.blocks.iter().map(|block| 256.0 * block.window).sum();
    let expected = 6.0 * (weights + WIDTH * VOCABULARY) as f64 + 12.0 * WIDTH as f64 * seen;
    assert!((model.flops(256) - expected).abs() < 1.0);
}
