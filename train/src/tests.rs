//! What must stay true of `main.rs`, whatever an experiment changes in it.

use super::*;

const VOCAB: usize = 50;

/// Two rows of eight tokens, in no particular order.
fn batch() -> Batch {
    let inputs: Vec<i32> = (0..16).map(|n| n * 7 % VOCAB as i32).collect();
    let targets = inputs.iter().map(|n| (n + 7) % VOCAB as i32).collect();
    Batch { rows: 2, sequence: 8, inputs, targets }
}

/// A model whose blocks do something: at first they add nothing to the stream.
fn model() -> Gpt {
    let device = Device::flex();
    let mut model = Gpt::new(VOCAB, &device);
    for parameter in model.parameters() {
        let [rows, columns] = parameter.dims();
        *parameter = matrix(rows, columns, 0.1, &device);
    }
    model
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

#[test]
fn no_token_sees_the_ones_after_it() {
    let model = model();
    let before = evaluate(&model, &batch(), 1);
    let mut changed = batch();
    changed.inputs[5] += 1;
    let after = evaluate(&model, &changed, 1);
    assert_eq!(before[..5], after[..5]);
    assert!(before[5..8].iter().zip(&after[5..8]).all(|(before, after)| (before - after).abs() > 1e-6));
    assert_eq!(before[8..], after[8..]);
}

#[test]
fn cross_entropy_by_hand() {
    let device = Device::flex();
    let logits = Tensor::from_floats([[0.0, 0.0, 0.0, 0.0], [1000.0, 0.0, 0.0, 0.0]], &device);
    let nats = cross_entropy(logits, Tensor::from_ints([2, 1], &device)).into_data();
    let nats: Vec<f32> = nats.iter::<f32>().collect();
    assert!((nats[0] - 4f32.ln()).abs() < 1e-6 && (nats[1] - 1000.0).abs() < 1e-3, "{nats:?}");
}

#[test]
fn threads_do_not_change_the_gradients() {
    let model = model();
    let (one, loss_one) = gradients(&model, &batch(), 1);
    let (two, loss_two) = gradients(&model, &batch(), 2);
    assert!((loss_one - loss_two).abs() < 1e-5);
    for (one, two) in one.into_iter().zip(two) {
        let difference: f32 = (one - two).abs().max().into_scalar();
        assert!(difference < 1e-5, "{difference}");
    }
}

#[test]
fn it_learns_one_batch_by_heart() {
    let device = Device::flex();
    device.seed(1);
    let mut model = Gpt::new(VOCAB, &device);
    let mut optimizer = AdamW::new(&mut model);
    let before = mean(&evaluate(&model, &batch(), 1));
    assert!((before - (VOCAB as f32).ln()).abs() < 0.5, "{before}");
    for _ in 0..30 {
        let (gradients, _) = gradients(&model, &batch(), 2);
        optimizer.step(&mut model, gradients, 1e-2);
    }
    let after = mean(&evaluate(&model, &batch(), 1));
    assert!(after < 0.3 * before, "{before} {after}");
}

#[test]
fn the_schedule_goes_up_then_down() {
    let end = schedule(1.0);
    assert!((end - FINAL_LR).abs() < 1e-9 || COOLDOWN == 0.0);
    let mut most = 0f64;
    for percent in 0..=100 {
        let lrm = schedule(f64::from(percent) / 100.0);
        assert!((0.0..=1.0).contains(&lrm));
        most = most.max(lrm);
    }
    assert!(most > 0.9 && schedule(2.0) <= most && schedule(0.0) > 0.0);
}

#[test]
fn step_lines_read_as_karpathy_s() {
    let mut log = StepLog::new(Duration::from_secs(20));
    log.printed = Some(Instant::now());
    log.step(0, 3.25, 1.0, 1, Duration::from_millis(310), Duration::from_secs(5));
    let line = log.line.unwrap_or_default();
    assert!(line.starts_with("step 00000 (25.0%) | loss: 3.250000 | lrm: 1.00 | dt: 310ms | tok/sec: "));
    assert!(line.ends_with(" | epoch: 1 | remaining: 15s"), "{line}");
    assert_eq!([0.9, 123.0, 1234.5, 1_690_000.0].map(thousands), ["0", "123", "1,234", "1,690,000"]);
}
