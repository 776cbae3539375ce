//! The one file that an experiment changes: karpathy's GPT, trained for a fixed time.
//!
//! `program.md` says what the game is. Everything in this file is fair game: the model, the optimizer,
//! the schedule, the constants. `prepare/` is locked: the data and the measure are the same for everybody;
//! so is `harness/`: the clock and the printed lines.
//!
//! ```text
//! OVERNIGHT_BUDGET_SECONDS=20 OVERNIGHT_SEED=42 target/release/train
//! ```
//!
//! From top to bottom: the constants, the model, the optimizer, the loop.

use std::process::ExitCode;

use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use fused::{Rotary, Tokens, attention, blend, capped_cross_entropy, embedding, linear, norm, relu_squared};
use harness::{Machine, Now, Run, Summary};
use prepare::{Batch, Dataset};
use rayon::prelude::*;

// ---------------------------------------------------------------------------------------------------
// Hyperparameters. After each, what the `search` proposer may try.
// ---------------------------------------------------------------------------------------------------

// The model.
const DEPTH: usize = 4; // 1..8
const WIDTH: usize = 128; // one of: 64, 128, 192, 256
const HEAD: usize = 32; // one of: 16, 32, 64
const HEADS_PER_KEY: usize = 1; // one of: 1, 2
const MLP_RATIO: usize = 4; // one of: 2, 3, 4, 6
const WINDOWS: &str = "SSSL"; // one of: "L", "SL", "SSSL", "SSL"
const CAP: f32 = 15.0; // 5.0..50.0 log

// The optimizers: Muon for the matrices of the blocks, AdamW for the rest.
const BATCH: usize = 8; // one of: 4, 8, 16, 32
const MATRIX_LR: f64 = 0.04; // 0.005..0.2 log
const EMBEDDING_LR: f64 = 0.6; // 0.05..2.0 log
const HEAD_LR: f64 = 0.004; // 0.0005..0.05 log
const SCALAR_LR: f64 = 0.5; // 0.05..2.0 log
const WEIGHT_DECAY: f64 = 0.2; // 0.0..0.5
const BETA_1: f64 = 0.8; // 0.6..0.95
const BETA_2: f64 = 0.95; // 0.9..0.999
const MOMENTUM: f64 = 0.95; // 0.8..0.98
// karpathy's is 1e-10. At first no block adds anything, so it is all the same how much of the stream it
// gets: those gradients are rounding, and of rounding a smaller number here makes whole steps.
const EPSILON: f64 = 1e-7; // fixed

// The learning rate over the time budget: up, level, down.
const WARMUP: f64 = 0.0; // 0.0..0.3
const COOLDOWN: f64 = 0.5; // 0.0..1.0
const FINAL_LR: f64 = 0.0; // 0.0..0.5

/// Rows that a GPU takes at once, when training and when evaluating; the batch is that many or more.
const ROWS_AT_ONCE: usize = 8; // fixed

const HEADS: usize = WIDTH / HEAD;
const KEY_HEADS: usize = HEADS / HEADS_PER_KEY;
/// Numbers of the stream that a gate sees.
const GATE: usize = 32; // fixed
const _: () = assert!(WIDTH.is_multiple_of(HEAD), "heads share the width");
const _: () = assert!(HEADS.is_multiple_of(HEADS_PER_KEY), "heads share keys");

// ---------------------------------------------------------------------------------------------------
// The model: nanochat's transformer, without biases and without weights in its norms.
// ---------------------------------------------------------------------------------------------------

/// A decoder-only transformer.
#[derive(Clone)]
struct Gpt {
    /// `[vocabulary, WIDTH]`.
    embed: Tensor<2>,
    blocks: Vec<Block>,
    /// `[WIDTH, vocabulary]`.
    head: Tensor<2>,
    /// `[1, DEPTH]`: how much of the stream and of its beginning each block gets.
    stream: Tensor<2>,
    beginning: Tensor<2>,
    rotary: Rotary,
}

/// Attention, then an MLP, each added to what came in. Matrices are `[in, out]`.
#[derive(Clone)]
struct Block {
    query: Tensor<2>,
    key: Tensor<2>,
    value: Tensor<2>,
    out: Tensor<2>,
    up: Tensor<2>,
    down: Tensor<2>,
    /// In every other block: the tokens' own values, `[vocabulary, key heads × HEAD]`, and how much of
    /// them each head takes, `[GATE, key heads]`.
    values: Option<[Tensor<2>; 2]>,
    /// Tokens before its own that a query sees, as a share of the context.
    window: f64,
}

/// What learns how.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Muon,
    AdamW { rate: f64, beta_1: f64 },
}

impl Gpt {
    /// Made on the processor, so that a seed means one model on every machine.
    fn new(vocabulary: usize, sequence: usize, device: &Device) -> Self {
        let row = |value: f64| Tensor::full([1, DEPTH], value, device);
        Self {
            embed: normal(vocabulary, WIDTH, 1.0, device),
            blocks: (0..DEPTH).map(|layer| Block::new(layer, vocabulary, device)).collect(),
            head: normal(WIDTH, vocabulary, 0.001, device),
            stream: row(1.0),
            beginning: row(0.1),
            rotary: Rotary::new(sequence, HEAD, device),
        }
    }

    /// Every tensor that learns and how, always in the same order.
    fn parameters(&mut self) -> Vec<(Rule, &mut Tensor<2>)> {
        // karpathy found his rates at a width of 768.
        let scale = (WIDTH as f64 / 768.0).powf(-0.5);
        let adamw = |rate, beta_1| Rule::AdamW { rate, beta_1 };
        let embedding = adamw(EMBEDDING_LR * scale, BETA_1);
        let mut all = vec![
            (embedding, &mut self.embed),
            (adamw(HEAD_LR * scale, BETA_1), &mut self.head),
            (adamw(SCALAR_LR * 0.01, BETA_1), &mut self.stream),
            (adamw(SCALAR_LR, 0.96), &mut self.beginning),
        ];
        for block in &mut self.blocks {
            let matrices = [
                &mut block.query,
                &mut block.key,
                &mut block.value,
                &mut block.out,
                &mut block.up,
                &mut block.down,
            ];
            all.extend(matrices.map(|matrix| (Rule::Muon, matrix)));
            if let Some([values, gate]) = &mut block.values {
                all.extend([(embedding, values), (Rule::Muon, gate)]);
            }
        }
        all
    }

    /// Logits `[rows × sequence, vocabulary]` for so many rows of tokens, computed in `low`.
    fn forward(&self, tokens: &Tokens, low: DType) -> Tensor<2> {
        let [rows, sequence] = tokens.dims();
        let share = |of: &Tensor<2>, layer| of.clone().narrow(1, layer, 1).reshape([1]);
        let beginning = norm(embedding(&self.embed, tokens).cast(low));
        let mut x = beginning.clone();
        for (layer, block) in self.blocks.iter().enumerate() {
            let shares = [share(&self.stream, layer), share(&self.beginning, layer)];
            x = block.forward(blend(x, beginning.clone(), shares), tokens, &self.rotary);
        }
        linear(norm(x), &self.head).reshape([rows * sequence, self.head.dims()[1]])
    }

    /// Operations on floating-point numbers for each token, forward and backward, as karpathy counts them:
    /// 6 for each weight of a matrix product, 12 for each number of each key that is seen.
    fn flops(&mut self, sequence: usize) -> f64 {
        let matrices = self.parameters().into_iter().filter(|(rule, _)| *rule == Rule::Muon);
        let weights: usize = matrices.map(|(_, matrix)| matrix.shape().num_elements()).sum();
        let weights = weights + self.head.shape().num_elements();
        let seen: f64 = self.blocks.iter().map(|block| block.window * sequence as f64).sum();
        6.0 * weights as f64 + 12.0 * WIDTH as f64 * seen
    }
}

impl Block {
    fn new(layer: usize, vocabulary: usize, device: &Device) -> Self {
        let (keys, hidden) = (KEY_HEADS * HEAD, MLP_RATIO * WIDTH);
        let bound = (3.0 / WIDTH as f64).sqrt();
        let zeros = |rows, columns| Tensor::zeros([rows, columns], device);
        let has_values = layer % 2 == (DEPTH - 1) % 2;
        let short = WINDOWS.as_bytes()[layer % WINDOWS.len()] == b'S' && layer + 1 < DEPTH;
        Self {
            query: uniform(WIDTH, WIDTH, bound, device),
            key: uniform(WIDTH, keys, bound, device),
            value: uniform(WIDTH, keys, bound, device),
            // What is added to the stream begins at nothing, so that a deep model begins as a shallow one.
            out: zeros(WIDTH, WIDTH),
            up: uniform(WIDTH, hidden, bound, device),
            down: zeros(hidden, WIDTH),
            values: has_values
                .then(|| [uniform(vocabulary, keys, bound, device), zeros(GATE.min(WIDTH), KEY_HEADS)]),
            window: if short { 0.5 } else { 1.0 },
        }
    }

    fn forward(&self, x: Tensor<3>, tokens: &Tokens, rotary: &Rotary) -> Tensor<3> {
        let x = x.clone() + self.attend(norm(x), tokens, rotary);
        let hidden = relu_squared(linear(norm(x.clone()), &self.up));
        x + linear(hidden, &self.down)
    }

    fn attend(&self, x: Tensor<3>, tokens: &Tokens, rotary: &Rotary) -> Tensor<3> {
        let [rows, sequence, _] = x.dims();
        let heads =
            |matrix: &Tensor<2>, heads| linear(x.clone(), matrix).reshape([rows, sequence, heads, HEAD]);
        let turned = |x| norm(rotary.turn(x));
        let query = turned(heads(&self.query, HEADS));
        let key = turned(heads(&self.key, KEY_HEADS));
        let mut value = heads(&self.value, KEY_HEADS);
        if let Some([values, gate]) = &self.values {
            let [seen, _] = gate.dims();
            let gate = sigmoid(linear(x.clone().narrow(2, 0, seen), gate)) * 2.0;
            let own = embedding(values, tokens).cast(x.dtype());
            value = value + own.reshape([rows, sequence, KEY_HEADS, HEAD]) * gate.unsqueeze_dim(3);
        }
        let window = (self.window * sequence as f64) as usize;
        let mixed = attention(query, key, value, window);
        linear(mixed.reshape([rows, sequence, WIDTH]), &self.out)
    }
}

fn normal(rows: usize, columns: usize, std: f64, device: &Device) -> Tensor<2> {
    random(rows, columns, Distribution::Normal(0.0, std), device)
}

fn uniform(rows: usize, columns: usize, bound: f64, device: &Device) -> Tensor<2> {
    random(rows, columns, Distribution::Uniform(-bound, bound), device)
}

fn random(rows: usize, columns: usize, distribution: Distribution, device: &Device) -> Tensor<2> {
    let numbers = Tensor::<2>::random([rows, columns], distribution, &Device::flex());
    Tensor::from_data(numbers.into_data(), device)
}

// ---------------------------------------------------------------------------------------------------
// The optimizers.
// ---------------------------------------------------------------------------------------------------

/// What has been learned of each parameter's gradients.
struct Optimizer {
    moments: Vec<Moments>,
    machine: Machine,
}

/// Running means of a gradient and of its square: for Muon that of a whole row or column.
struct Moments {
    mean: Tensor<2>,
    square: Tensor<2>,
}

/// How a step learns, by how far the run is.
struct Pace {
    /// The learning rates' multiplier.
    multiplier: f64,
    /// Muon's momentum.
    momentum: f64,
    /// Muon's weight decay.
    decay: f64,
    /// The step's number, from 1.
    step: i32,
}

impl Pace {
    fn new(now: Now) -> Self {
        let warm = (now.step as f64 / 300.0).min(1.0);
        Self {
            multiplier: schedule(now.progress),
            momentum: (1.0 - warm) * 0.85f64.min(MOMENTUM) + warm * MOMENTUM,
            decay: WEIGHT_DECAY * (1.0 - now.progress),
            step: now.step as i32 + 1,
        }
    }
}

/// The learning rate's multiplier; `progress` is the share of the budget that is spent, 0 to 1.
fn schedule(progress: f64) -> f64 {
    let left = 1.0 - progress.clamp(0.0, 1.0);
    let down = if left < COOLDOWN { left / COOLDOWN } else { 1.0 };
    // Not quite 0 at first: a step that does nothing is wasted.
    let up = if progress < WARMUP { (progress / WARMUP).max(0.02) } else { 1.0 };
    up * (FINAL_LR + (1.0 - FINAL_LR) * down)
}

impl Optimizer {
    fn new(model: &mut Gpt, machine: &Machine) -> Self {
        let moments = model.parameters().into_iter().map(|(rule, parameter)| {
            let [rows, columns] = parameter.dims();
            let square = match rule {
                Rule::AdamW { .. } => [rows, columns],
                Rule::Muon if columns >= rows => [1, columns],
                Rule::Muon => [rows, 1],
            };
            Moments { mean: parameter.zeros_like(), square: Tensor::zeros(square, &parameter.device()) }
        });
        Self { moments: moments.collect(), machine: machine.clone() }
    }

    fn step(&mut self, model: &mut Gpt, gradients: Vec<Tensor<2>>, pace: &Pace) {
        let Self { moments, machine } = self;
        let change = |(((rule, parameter), moments), gradient): (((_, &mut Tensor<2>), &mut Moments), _)| {
            *parameter = match rule {
                Rule::Muon => moments.muon(parameter.clone(), gradient, pace, machine.low),
                Rule::AdamW { rate, beta_1 } => {
                    moments.adamw(parameter.clone(), &gradient, rate * pace.multiplier, beta_1, pace.step)
                }
            };
        };
        // A GPU has a queue and a share of memory for each thread that asks it.
        let parameters = model.parameters();
        if machine.is_cpu() {
            parameters.into_par_iter().zip(moments).zip(gradients).for_each(change);
        } else {
            parameters.into_iter().zip(moments).zip(gradients).for_each(change);
        }
    }
}

impl Moments {
    /// Kingma and Ba 2014, without decay.
    fn adamw(
        &mut self,
        parameter: Tensor<2>,
        gradient: &Tensor<2>,
        rate: f64,
        beta_1: f64,
        step: i32,
    ) -> Tensor<2> {
        self.mean = mix(&self.mean, gradient, beta_1);
        self.square = mix(&self.square, &gradient.clone().square(), BETA_2);
        // The running means begin at 0; these make up for it.
        let unbias_1 = 1.0 - beta_1.powi(step);
        let unbias_2 = 1.0 - BETA_2.powi(step);
        let size = (self.square.clone() / unbias_2).sqrt() + EPSILON;
        parameter - self.mean.clone() / size * (rate / unbias_1)
    }

    /// Muon (Jordan 2024) with Polar Express, `NorMuon`'s variance and cautious decay, as karpathy has it.
    fn muon(&mut self, parameter: Tensor<2>, gradient: Tensor<2>, pace: &Pace, low: DType) -> Tensor<2> {
        self.mean = mix(&self.mean, &gradient, pace.momentum);
        let ahead = mix(&gradient, &self.mean, 1.0 - pace.momentum);
        let update = orthogonal(ahead.cast(low)).cast(DType::F32);

        let [rows, columns] = update.dims();
        let along = usize::from(columns < rows);
        let mean_square = update.clone().square().mean_dim(along);
        self.square = mix(&self.square, &mean_square, BETA_2);
        let scale = self.square.clone().clamp_min(1e-10).sqrt().recip();
        // The update keeps its length; only its shares change.
        let before = mean_square.clone().sum().sqrt();
        let after = (mean_square * scale.clone().square()).sum().sqrt().clamp_min(1e-10);
        let update = update * scale * (before / after).unsqueeze::<2>();

        let rate = MATRIX_LR * pace.multiplier * (columns as f64 / rows as f64).max(1.0).sqrt();
        let against = (update.clone() * parameter.clone()).lower_elem(0.0);
        let decay = parameter.clone().mask_fill(against, 0.0) * (rate * pace.decay);
        parameter - update * rate - decay
    }
}

/// `keep` of the one and the rest of the other.
fn mix(one: &Tensor<2>, other: &Tensor<2>, keep: f64) -> Tensor<2> {
    one.clone() * keep + other.clone() * (1.0 - keep)
}

/// Polar Express (Amsel et al. 2025), five rounds.
const POLAR: [[f64; 3]; 5] = [
    [8.156_554_524_902_461, -22.483_292_925_577_95, 15.878_769_915_207_462],
    [4.042_929_935_166_739, -2.808_917_465_908_714, 0.500_017_845_105_131_6],
    [3.891_667_802_292_660_7, -2.772_484_153_217_685, 0.506_064_817_850_339_3],
    [3.285_753_657_755_655, -2.368_129_493_342_537_6, 0.464_490_242_330_031_06],
    [2.346_541_325_859_637_7, -1.709_782_838_268_708_1, 0.423_235_511_693_053_2],
];

/// A matrix near `x` whose shorter side is orthonormal.
fn orthogonal(x: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let length = x.clone().cast(DType::F32).square().sum().sqrt() * 1.02 + 1e-6;
    let mut x = x.clone() / length.unsqueeze::<2>().cast(x.dtype());
    for [a, b, c] in POLAR {
        let tall = rows > columns;
        let transposed = x.clone().transpose();
        let inner = if tall { transposed.matmul(x.clone()) } else { x.clone().matmul(transposed) };
        let inner = inner.clone() * b + inner.clone().matmul(inner) * c;
        x = x.clone() * a + if tall { x.matmul(inner) } else { inner.matmul(x) };
    }
    x
}

// ---------------------------------------------------------------------------------------------------
// The loop.
// ---------------------------------------------------------------------------------------------------

fn train(run: &Run, data: &Dataset) -> Result<Summary, String> {
    let machine = &run.machine;
    Device::flex().seed(run.seed);
    let mut model = Gpt::new(data.vocab_size(), data.sequence(), &machine.device);
    let mut optimizer = Optimizer::new(&mut model, machine);
    let mut batches = data.train_batches(BATCH, run.seed).map_err(|error| harness::explain(&error))?;

    let mut steps = run.steps(BATCH * data.sequence(), model.flops(data.sequence()));
    while let Some(now) = steps.next() {
        let pace = Pace::new(now);
        let (gradients, loss) = gradients(&model, &batches.next_batch(), machine);
        optimizer.step(&mut model, gradients, &pace);
        steps.done(loss.into_scalar(), pace.multiplier, batches.epoch())?;
    }

    let rows = ROWS_AT_ONCE * machine.threads;
    let result = data
        .evaluate_bpb(rows, |batch| evaluate(&model, batch, machine))
        .map_err(|error| harness::explain(&error))?;
    let parameters = model.parameters().iter().map(|(_, parameter)| parameter.shape().num_elements()).sum();
    Ok(steps.summary(result.bpb, parameters, DEPTH))
}

/// Gradients of the mean loss over the batch, and that loss.
fn gradients(model: &Gpt, batch: &Batch, machine: &Machine) -> (Vec<Tensor<2>>, Tensor<1>) {
    let count = batch.targets.len() as f32;
    let parts = in_parts(batch, machine, |part| {
        let mut model = model.clone();
        for (_, parameter) in model.parameters() {
            *parameter = Tensor::from_inner(parameter.clone()).require_grad();
        }
        let loss = nats(&model, part, machine).sum() / count;
        let mut gradients = loss.backward();
        let gradients: Vec<_> = model
            .parameters()
            .into_iter()
            .map(|(_, parameter)| match parameter.grad_remove(&mut gradients) {
                Some(gradient) => gradient.no_grad(),
                None => parameter.zeros_like().inner(),
            })
            .collect();
        (gradients, loss.inner())
    });
    let sum = |one: (Vec<Tensor<2>>, Tensor<1>), two: (Vec<Tensor<2>>, Tensor<1>)| {
        (one.0.into_iter().zip(two.0).map(|(one, two)| one + two).collect(), one.1 + two.1)
    };
    parts.reduce(sum).expect("a batch has rows")
}

/// The cross-entropy in nats of every target of the batch.
fn evaluate(model: &Gpt, batch: &Batch, machine: &Machine) -> Vec<f32> {
    let parts = in_parts(batch, machine, |part| nats(model, part, machine).into_data());
    parts.flat_map(|part| part.iter::<f32>().collect::<Vec<f32>>()).collect()
}

/// The cross-entropy in nats of every target, on the device of the model.
fn nats(model: &Gpt, batch: &Batch, machine: &Machine) -> Tensor<1> {
    let device = model.embed.device();
    let [vocabulary, _] = model.embed.dims();
    let tokens = Tokens::new(&batch.inputs, batch.rows, vocabulary, &device);
    let targets = TensorData::new(batch.targets.clone(), [batch.targets.len()]);
    let logits = model.forward(&tokens, machine.low);
    capped_cross_entropy(logits, Tensor::from_data(targets, &device), CAP)
}

/// Works on some rows at a time: beside each other on the processor's threads, one after the other on a
/// GPU. Results are in the order of the rows.
fn in_parts<T: Send>(
    batch: &Batch,
    machine: &Machine,
    work: impl Fn(&Batch) -> T + Sync,
) -> impl Iterator<Item = T> {
    let rows = if machine.is_cpu() { batch.rows.div_ceil(machine.threads) } else { ROWS_AT_ONCE };
    let tokens = rows * batch.sequence;
    let part = |(inputs, targets): (&[i32], &[i32])| {
        work(&Batch {
            rows: inputs.len() / batch.sequence,
            sequence: batch.sequence,
            inputs: inputs.to_vec(),
            targets: targets.to_vec(),
        })
    };
    let results: Vec<T> = if machine.is_cpu() {
        batch.inputs.par_chunks(tokens).zip(batch.targets.par_chunks(tokens)).map(part).collect()
    } else {
        batch.inputs.chunks(tokens).zip(batch.targets.chunks(tokens)).map(part).collect()
    };
    results.into_iter()
}

fn main() -> ExitCode {
    harness::main(train)
}

#[cfg(test)]
mod tests;
