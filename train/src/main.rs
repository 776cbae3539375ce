//! The one file that an experiment changes: a small GPT, trained for a fixed time on the CPU.
//!
//! `program.md` says what the game is. Everything in this file is fair game: the model, the optimizer,
//! the schedule, the constants. `prepare/` is locked: the data and the measure are the same for everybody.
//!
//! ```text
//! OVERNIGHT_BUDGET_SECONDS=20 OVERNIGHT_SEED=42 target/release/train
//! ```
//!
//! From top to bottom: the constants, the model, the optimizer, the loop, and what the loop around this
//! program relies on.
#![allow(clippy::print_stdout, reason = "the lines that it prints are its interface")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::module::{embedding, linear};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use prepare::{Batch, Dataset};
use rayon::prelude::*;

/// Keeps memory in the process: a step allocates and frees the same buffers as the one before.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// ---------------------------------------------------------------------------------------------------
// Hyperparameters. After each, what the `search` proposer may try.
// ---------------------------------------------------------------------------------------------------

// The model.
const DEPTH: usize = 3; // 1..8
const WIDTH: usize = 128; // one of: 64, 96, 128, 192, 256
const HEADS: usize = 4; // one of: 1, 2, 4, 8
const MLP_RATIO: usize = 4; // one of: 1, 2, 3, 4, 6
const SEQUENCE: usize = 64; // one of: 32, 64, 128, 256
const ACTIVATION: &str = "relu2"; // one of: "relu", "relu2", "gelu"
const TIED_HEAD: bool = false; // one of: true, false
const INIT_SCALE: f64 = 1.0; // 0.2..3.0 log

// The optimizer.
const BATCH: usize = 16; // one of: 4, 8, 16, 32, 64
const LEARNING_RATE: f64 = 1e-3; // 1e-4..3e-2 log
const WEIGHT_DECAY: f64 = 0.1; // 1e-3..1.0 log
const BETA_1: f64 = 0.9; // 0.8..0.98
const BETA_2: f64 = 0.99; // 0.9..0.999
const CLIP_NORM: f64 = 1.0; // 0.1..10.0 log

// The learning rate over the time budget: up, level, down.
const WARMUP: f64 = 0.05; // 0.0..0.3
const COOLDOWN: f64 = 0.3; // 0.0..1.0
const FINAL_LR: f64 = 0.05; // 0.0..0.5

const EVAL_ROWS: usize = 64; // fixed
const EXPLODED: f32 = 50.0; // fixed
const _: () = assert!(WIDTH.is_multiple_of(HEADS), "each head needs the same share of the width");

// ---------------------------------------------------------------------------------------------------
// The model: a pre-norm transformer without biases; positions come from ALiBi's slopes.
// ---------------------------------------------------------------------------------------------------

/// A decoder-only transformer.
#[derive(Clone)]
struct Gpt {
    /// `[vocab, WIDTH]`.
    embed: Tensor<2>,
    blocks: Vec<Block>,
    /// `[WIDTH, vocab]`; absent where the embedding serves.
    head: Option<Tensor<2>>,
}

/// Attention, then an MLP, each added to what came in.
#[derive(Clone)]
struct Block {
    /// `[WIDTH, 3 × WIDTH]`: query, key and value.
    qkv: Tensor<2>,
    /// `[WIDTH, WIDTH]`.
    out: Tensor<2>,
    /// `[WIDTH, MLP_RATIO × WIDTH]`.
    up: Tensor<2>,
    /// `[MLP_RATIO × WIDTH, WIDTH]`.
    down: Tensor<2>,
}

impl Gpt {
    fn new(vocab: usize, device: &Device) -> Self {
        let std = INIT_SCALE / (WIDTH as f64).sqrt();
        Self {
            embed: matrix(vocab, WIDTH, if TIED_HEAD { std } else { INIT_SCALE }, device),
            blocks: (0..DEPTH).map(|_| Block::new(device)).collect(),
            head: (!TIED_HEAD).then(|| matrix(WIDTH, vocab, 0.1 * std, device)),
        }
    }

    /// Every tensor that learns, always in the same order.
    fn parameters(&mut self) -> Vec<&mut Tensor<2>> {
        let blocks = self.blocks.iter_mut().flat_map(|b| [&mut b.qkv, &mut b.out, &mut b.up, &mut b.down]);
        std::iter::once(&mut self.embed).chain(blocks).chain(&mut self.head).collect()
    }

    /// Logits `[rows × sequence, vocab]` for tokens `[rows, sequence]`.
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [rows, sequence] = tokens.dims();
        let bias = attention_bias(sequence, &tokens.device());
        let mut x = norm(embedding(self.embed.clone(), tokens));
        for block in &self.blocks {
            x = block.forward(x, &bias);
        }
        let x = norm(x).reshape([rows * sequence, WIDTH]);
        match &self.head {
            Some(head) => linear(x, head.clone(), None),
            None => linear(x, self.embed.clone().transpose(), None),
        }
    }
}

impl Block {
    fn new(device: &Device) -> Self {
        let std = INIT_SCALE / (WIDTH as f64).sqrt();
        let hidden = MLP_RATIO * WIDTH;
        Self {
            qkv: matrix(WIDTH, 3 * WIDTH, std, device),
            // What is added to the stream begins at nothing, so that a deep model begins as a shallow one.
            out: matrix(WIDTH, WIDTH, 0.0, device),
            up: matrix(WIDTH, hidden, std, device),
            down: matrix(hidden, WIDTH, 0.0, device),
        }
    }

    fn forward(&self, x: Tensor<3>, bias: &Tensor<4>) -> Tensor<3> {
        let x = x.clone() + self.attend(norm(x), bias);
        let hidden = linear(norm(x.clone()), self.up.clone(), None);
        x + linear(activation(hidden), self.down.clone(), None)
    }

    fn attend(&self, x: Tensor<3>, bias: &Tensor<4>) -> Tensor<3> {
        let [rows, sequence, _] = x.dims();
        let qkv = linear(x, self.qkv.clone(), None);
        let part = |index: usize| {
            qkv.clone()
                .narrow(2, index * WIDTH, WIDTH)
                .reshape([rows, sequence, HEADS, WIDTH / HEADS])
                .swap_dims(1, 2)
        };
        // Norms on queries and keys bound the scores, which `MASKED` relies on.
        let (query, key, value) = (norm(part(0)), norm(part(1)), part(2));
        let scale = 1.0 / ((WIDTH / HEADS) as f64).sqrt();
        let scores = query.mul_scalar(scale).matmul(key.transpose()) + bias.clone();
        let mixed = softmax(scores, 3).matmul(value);
        linear(mixed.swap_dims(1, 2).reshape([rows, sequence, WIDTH]), self.out.clone(), None)
    }
}

/// What is added to the score of a later token. Its weight is below 1e-20, which a float's sum does not
/// see, and `exp` of it is a normal number, which is computed faster than an underflow.
const MASKED: f64 = -60.0; // fixed

/// `[1, HEADS, sequence, sequence]`: the further back, the lower, by another slope in each head.
fn attention_bias(sequence: usize, device: &Device) -> Tensor<4> {
    let mut bias = Vec::with_capacity(HEADS * sequence * sequence);
    for head in 1..=HEADS {
        let slope = 2f32.powf(-8.0 * head as f32 / HEADS as f32);
        for to in 0..sequence {
            bias.extend((0..sequence).map(|from| match to.checked_sub(from) {
                Some(distance) => -slope * distance as f32,
                None => MASKED as f32,
            }));
        }
    }
    Tensor::from_data(TensorData::new(bias, [1, HEADS, sequence, sequence]), device)
}

/// RMS norm over the last dimension, without a weight.
fn norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x / (mean_square + 1e-6).sqrt()
}

fn activation(x: Tensor<3>) -> Tensor<3> {
    match ACTIVATION {
        "relu" => relu(x),
        "relu2" => relu(x).square(),
        _ => gelu(x),
    }
}

fn matrix(rows: usize, columns: usize, std: f64, device: &Device) -> Tensor<2> {
    let shape = [rows, columns];
    if std > 0.0 {
        Tensor::random(shape, Distribution::Normal(0.0, std), device)
    } else {
        Tensor::zeros(shape, device)
    }
}

/// The cross-entropy in nats of each target.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits.clone() - logits.detach().max_dim(1);
    let chosen = logits.clone().gather(1, targets.unsqueeze_dim(1));
    (logits.exp().sum_dim(1).log() - chosen).squeeze_dim(1)
}

// ---------------------------------------------------------------------------------------------------
// The optimizer.
// ---------------------------------------------------------------------------------------------------

/// `AdamW` (Loshchilov and Hutter 2019), with one norm over all gradients for clipping.
struct AdamW {
    steps: i32,
    /// Running means of the gradient and of its square, for each parameter.
    moments: Vec<[Tensor<2>; 2]>,
}

impl AdamW {
    fn new(model: &mut Gpt) -> Self {
        let zeros = |parameter: &mut Tensor<2>| [parameter.zeros_like(), parameter.zeros_like()];
        Self { steps: 0, moments: model.parameters().into_iter().map(zeros).collect() }
    }

    fn step(&mut self, model: &mut Gpt, gradients: Vec<Tensor<2>>, learning_rate: f64) {
        self.steps += 1;
        let squares = gradients.iter().map(|g| f64::from(g.clone().square().sum().into_scalar::<f32>()));
        let clip = (CLIP_NORM / (squares.sum::<f64>().sqrt() + 1e-6)).min(1.0);
        // The running means begin at 0; these make up for it.
        let unbias_1 = 1.0 - BETA_1.powi(self.steps);
        let unbias_2 = 1.0 - BETA_2.powi(self.steps);
        for ((parameter, moments), gradient) in
            model.parameters().into_iter().zip(&mut self.moments).zip(gradients)
        {
            let gradient = gradient * clip;
            let [mean, square] = moments.clone();
            let mean = mean * BETA_1 + gradient.clone() * (1.0 - BETA_1);
            let square = square * BETA_2 + gradient.square() * (1.0 - BETA_2);
            *moments = [mean.clone(), square.clone()];
            let update = mean / unbias_1 / ((square / unbias_2).sqrt() + 1e-8);
            let kept = parameter.clone() * (1.0 - learning_rate * WEIGHT_DECAY);
            *parameter = kept - update * learning_rate;
        }
    }
}

/// The learning rate's multiplier; `progress` is the share of the budget that is spent, 0 to 1.
fn schedule(progress: f64) -> f64 {
    let up = if WARMUP > 0.0 { (progress / WARMUP).min(1.0) } else { 1.0 };
    let left = 1.0 - progress.clamp(0.0, 1.0);
    let down = if left < COOLDOWN { left / COOLDOWN } else { 1.0 };
    // Not quite 0 at first: a step that does nothing is wasted.
    up.max(0.02) * (FINAL_LR + (1.0 - FINAL_LR) * down)
}

// ---------------------------------------------------------------------------------------------------
// The loop.
// ---------------------------------------------------------------------------------------------------

fn train(settings: &Settings, data: &Dataset) -> Result<Summary, String> {
    let device = Device::flex();
    device.seed(settings.seed);
    let mut model = Gpt::new(data.vocab_size(), &device);
    let mut optimizer = AdamW::new(&mut model);
    let mut batches = data.train_batches(BATCH, SEQUENCE, settings.seed).map_err(|error| explain(&error))?;
    let mut log = StepLog::new(settings.budget);

    let begin = Instant::now();
    let mut steps = 0;
    while begin.elapsed() < settings.budget {
        let started = Instant::now();
        let progress = begin.elapsed().div_duration_f64(settings.budget);
        let (grads, loss) = gradients(&model, &batches.next_batch(), settings.threads);
        if loss.is_nan() || loss > EXPLODED {
            return Err(format!("the loss is {loss} at step {steps}: training diverged"));
        }
        let lrm = schedule(progress);
        optimizer.step(&mut model, grads, LEARNING_RATE * lrm);
        log.step(steps, loss, lrm, batches.epoch(), started.elapsed(), begin.elapsed());
        steps += 1;
    }
    log.print();
    let training = begin.elapsed();

    let result = data
        .evaluate_bpb(EVAL_ROWS, SEQUENCE, |batch| evaluate(&model, batch, settings.threads))
        .map_err(|error| explain(&error))?;
    Ok(Summary {
        val_bpb: result.bpb,
        training,
        tokens: steps * BATCH * SEQUENCE,
        steps,
        params: model.parameters().iter().map(|parameter| parameter.shape().num_elements()).sum(),
    })
}

/// Gradients of the mean loss over the batch, and that loss; each thread takes some of the rows.
fn gradients(model: &Gpt, batch: &Batch, threads: usize) -> (Vec<Tensor<2>>, f32) {
    let count = batch.targets.len() as f32;
    let parts = on_threads(batch, threads, |part| {
        let mut model = model.clone();
        for parameter in model.parameters() {
            *parameter = parameter.clone().autodiff().require_grad();
        }
        let (inputs, targets) = tensors(part, &Device::flex());
        let loss = cross_entropy(model.forward(inputs), targets).sum() / count;
        let mut gradients = loss.backward();
        let gradients: Vec<_> = model
            .parameters()
            .into_iter()
            .map(|parameter| {
                parameter.grad_remove(&mut gradients).unwrap_or_else(|| parameter.zeros_like().inner())
            })
            .collect();
        (gradients, loss.into_scalar::<f32>())
    });
    let sum = |one: (Vec<Tensor<2>>, f32), two: (Vec<Tensor<2>>, f32)| {
        (one.0.into_iter().zip(two.0).map(|(one, two)| one + two).collect(), one.1 + two.1)
    };
    parts.into_iter().reduce(sum).expect("a batch has rows")
}

/// The cross-entropy in nats of every target of the batch.
fn evaluate(model: &Gpt, batch: &Batch, threads: usize) -> Vec<f32> {
    on_threads(batch, threads, |part| {
        let (inputs, targets) = tensors(part, &Device::flex());
        let nats = cross_entropy(model.forward(inputs), targets);
        nats.into_data().iter::<f32>().collect::<Vec<f32>>()
    })
    .concat()
}

/// Splits the rows of a batch over threads; results are in the order of the rows.
fn on_threads<T: Send>(batch: &Batch, threads: usize, work: impl Fn(&Batch) -> T + Sync) -> Vec<T> {
    let rows = batch.rows.div_ceil(threads);
    let tokens = rows * batch.sequence;
    batch
        .inputs
        .par_chunks(tokens)
        .zip(batch.targets.par_chunks(tokens))
        .map(|(inputs, targets)| {
            work(&Batch {
                rows: inputs.len() / batch.sequence,
                sequence: batch.sequence,
                inputs: inputs.to_vec(),
                targets: targets.to_vec(),
            })
        })
        .collect()
}

fn tensors(batch: &Batch, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let shape = [batch.rows, batch.sequence];
    (
        Tensor::from_data(TensorData::new(batch.inputs.clone(), shape), device),
        Tensor::from_data(TensorData::new(batch.targets.clone(), [batch.targets.len()]), device),
    )
}

// ---------------------------------------------------------------------------------------------------
// What the loop around this program relies on: two settings in, step lines and a summary out.
// ---------------------------------------------------------------------------------------------------

/// What the environment asks for.
struct Settings {
    budget: Duration,
    seed: u64,
    threads: usize,
}

impl Settings {
    fn from_environment() -> Result<Self, String> {
        let budget = variable("OVERNIGHT_BUDGET_SECONDS", 300.0)?;
        Ok(Self {
            budget: Duration::try_from_secs_f64(budget)
                .ok()
                .filter(|budget| !budget.is_zero())
                .ok_or(format!("OVERNIGHT_BUDGET_SECONDS is {budget}, not a time above 0"))?,
            seed: variable("OVERNIGHT_SEED", 42)?,
            threads: rayon::current_num_threads(),
        })
    }
}

fn variable<T: std::str::FromStr>(name: &str, default: T) -> Result<T, String> {
    match std::env::var(name) {
        Err(std::env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{name}: {error}")),
        Ok(text) => text.trim().parse().map_err(|_| format!("{name}: `{text}` is not a number from 0 up")),
    }
}

/// Prints karpathy's step lines, at most ten a second.
struct StepLog {
    budget: Duration,
    smooth: f32,
    printed: Option<Instant>,
    line: Option<String>,
}

impl StepLog {
    fn new(budget: Duration) -> Self {
        Self { budget, smooth: 0.0, printed: None, line: None }
    }

    fn step(&mut self, step: usize, loss: f32, lrm: f64, epoch: usize, dt: Duration, spent: Duration) {
        self.smooth = 0.9 * self.smooth + 0.1 * loss;
        let smooth = self.smooth / (1.0 - 0.9f32.powi(step as i32 + 1));
        self.line = Some(format!(
            "step {step:05} ({:.1}%) | loss: {smooth:.6} | lrm: {lrm:.2} | dt: {}ms | tok/sec: {} | epoch: {epoch} | remaining: {:.0}s",
            100.0 * spent.div_duration_f64(self.budget).min(1.0),
            dt.as_millis(),
            thousands((BATCH * SEQUENCE) as f64 / dt.as_secs_f64()),
            self.budget.saturating_sub(spent).as_secs_f64(),
        ));
        if self.printed.is_none_or(|printed| printed.elapsed() >= Duration::from_millis(100)) {
            self.print();
        }
    }

    /// Prints the last step, unless it has been.
    fn print(&mut self) {
        if let Some(line) = self.line.take() {
            println!("{line}");
            self.printed = Some(Instant::now());
        }
    }
}

struct Summary {
    val_bpb: f64,
    training: Duration,
    tokens: usize,
    steps: usize,
    params: usize,
}

fn main() -> ExitCode {
    let begin = Instant::now();
    let run = Settings::from_environment().and_then(|settings| {
        let data = Dataset::open("data").map_err(|error| explain(&error))?;
        train(&settings, &data)
    });
    match run {
        Ok(summary) => {
            println!("---");
            println!("val_bpb:          {:.6}", summary.val_bpb);
            println!("training_seconds: {:.1}", summary.training.as_secs_f64());
            println!("total_seconds:    {:.1}", begin.elapsed().as_secs_f64());
            println!("peak_rss_mb:      {:.1}", peak_rss_mb());
            println!("total_tokens_M:   {:.3}", summary.tokens as f64 / 1e6);
            println!("num_steps:        {}", summary.steps);
            println!("num_params_M:     {:.2}", summary.params as f64 / 1e6);
            println!("depth:            {DEPTH}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("FAIL: {message}");
            ExitCode::FAILURE
        }
    }
}

fn explain(error: &prepare::PrepareError) -> String {
    format!("{error}; {}", error.hint())
}

/// `12345.6` as `12,345`.
fn thousands(number: f64) -> String {
    let digits = (number as u64).to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.extend(group.iter().map(|&digit| char::from(digit)));
    }
    text
}

/// The most memory that this process has held, as Linux counts it; 0 elsewhere.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

#[cfg(test)]
mod tests;
