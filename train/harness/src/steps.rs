//! The clock of a run, and the line of each step.

use std::time::{Duration, Instant};

use crate::settings::Run;
use crate::summary::Summary;

/// Steps on a GPU before the clock starts: they compile and choose kernels (karpathy's MFU leaves out ten).
const WARM_UP: usize = 10;

/// A loss above this one, in nats, will not come back.
const EXPLODED: f32 = 100.0;

/// How often a line is printed at most; where the steps are counted, each has its line.
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// Where a run stands before a step.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The share of the run that is done, 0 to 1.
    pub progress: f64,
    /// The step's number, from 0.
    pub step: usize,
}

/// What the steps of a run have taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    steps: usize,
    tokens: usize,
    /// What counts against the budget.
    time: Duration,
    /// Of the steps that count, the operations on floating-point numbers.
    operations: f64,
    /// The running mean of the loss, on its way from 0.
    smooth: f32,
    /// When the last step ended; before that, when the first began.
    since: Option<Instant>,
}

/// The steps of a run, until its budget is spent.
#[derive(Debug)]
pub struct Steps<'a> {
    run: &'a Run,
    tokens: usize,
    flops: f64,
    warm_up: usize,
    printed: Option<Instant>,
    line: Option<String>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(run: &'a Run, tokens: usize, flops: f64) -> Self {
        Self {
            run,
            tokens,
            flops,
            warm_up: if run.machine.is_cpu() { 0 } else { WARM_UP },
            printed: None,
            line: None,
        }
    }

    /// Begins a step; nothing once the time is up.
    #[expect(clippy::should_implement_trait, reason = "a step is ended by `done`, which needs the steps too")]
    pub fn next(&mut self) -> Option<Now> {
        let progress = self.progress();
        if progress >= 1.0 {
            self.print();
            return None;
        }
        let mut taken = self.run.taken.get();
        taken.since.get_or_insert_with(Instant::now);
        self.run.taken.set(taken);
        Some(Now { progress, step: taken.steps })
    }

    /// By the clock, or by the number of steps where that is limited: then two runs are the same.
    fn progress(&self) -> f64 {
        let taken = self.run.taken.get();
        match self.run.limit {
            Some(limit) => taken.steps as f64 / limit as f64,
            None => taken.time.div_duration_f64(self.run.budget).min(1.0),
        }
    }

    /// Ends the step: its loss in nats, the learning rate's multiplier and the pass over the data. What was done since the
    /// last one ended is part of it.
    ///
    /// # Errors
    ///
    /// The loss is not a number, or it has exploded.
    pub fn done(&mut self, loss: f32, multiplier: f64, epoch: usize) -> Result<(), String> {
        let (now, mut taken) = (Instant::now(), self.run.taken.get());
        if !loss.is_finite() || loss > EXPLODED {
            return Err(format!("the loss is {loss} at step {}: training diverged", taken.steps));
        }
        let time = taken.since.replace(now).map_or(Duration::ZERO, |since| now - since);
        if taken.steps >= self.warm_up {
            taken.time += time;
            taken.operations += self.tokens as f64 * self.flops;
        }
        taken.smooth = 0.9 * taken.smooth + 0.1 * loss;
        taken.steps += 1;
        taken.tokens += self.tokens;
        self.run.taken.set(taken);
        self.line = Some(self.line(multiplier, epoch, time));
        let every = self.run.limit.is_some();
        if every || self.printed.is_none_or(|printed| printed.elapsed() >= BETWEEN_LINES) {
            self.print();
        }
        Ok(())
    }

    /// karpathy's line of the step that has ended.
    fn line(&self, multiplier: f64, epoch: usize, time: Duration) -> String {
        let taken = self.run.taken.get();
        let rate = self.tokens as f64 / time.as_secs_f64();
        let mfu = self.mfu(self.flops * rate).map_or_else(String::new, |mfu| format!(" | mfu: {mfu:.1}%"));
        format!(
            "step {:05} ({:.1}%) | loss: {:.6} | lrm: {multiplier:.2} | dt: {}ms | tok/sec: {}{mfu} | epoch: {epoch} | remaining: {:.0}s",
            taken.steps - 1,
            100.0 * self.progress(),
            taken.smooth / (1.0 - 0.9f32.powi(taken.steps as i32)),
            time.as_millis(),
            thousands(rate),
            self.run.budget.saturating_sub(taken.time).as_secs_f64(),
        )
    }

    /// The share of the card's peak, in percent, at so many operations a second.
    fn mfu(&self, rate: f64) -> Option<f64> {
        self.run.machine.peak.map(|peak| 100.0 * rate / peak)
    }

    /// Prints the last step, unless it has been.
    fn print(&mut self) {
        if let Some(line) = self.line.take() {
            println!("{line}");
            self.printed = Some(Instant::now());
        }
    }

    /// What the run came to: its bits per byte, parameters that learn, and layers.
    pub fn summary(&self, val_bpb: f64, parameters: usize, depth: usize) -> Summary {
        let Taken { steps, tokens, time, operations, .. } = self.run.taken.get();
        Summary {
            val_bpb,
            training: time,
            total: self.run.begun.elapsed(),
            machine: self.run.machine.clone(),
            mfu_percent: self.mfu(operations / time.as_secs_f64()).filter(|_| operations > 0.0),
            tokens,
            steps,
            parameters,
            depth,
        }
    }
}

/// `12345.6` as `12,345`.
fn thousands(number: f64) -> String {
    let digits = (number as u64).to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().flat_map(std::str::from_utf8).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::machine::Machine;

    fn run(seconds: u64, limit: Option<usize>) -> Run {
        Run {
            budget: Duration::from_secs(seconds),
            seed: 1,
            machine: Machine::cpu(2),
            limit,
            begun: Instant::now(),
            taken: Cell::default(),
        }
    }

    #[test]
    fn lines_read_as_karpathy_s() {
        let mut run = run(20, None);
        let (time, smooth) = (Duration::from_secs(5), 3.25 * (1.0 - 0.9f32));
        run.taken.set(Taken { steps: 1, time, smooth, ..Taken::default() });
        let line = run.steps(1024, 1e6).line(1.0, 1, Duration::from_millis(310));
        assert_eq!(
            line,
            "step 00000 (25.0%) | loss: 3.250000 | lrm: 1.00 | dt: 310ms | tok/sec: 3,303 | epoch: 1 | remaining: 15s"
        );
        run.machine.peak = Some(1e12);
        let line = run.steps(1024, 1e6).line(1.0, 1, Duration::from_millis(310));
        assert!(line.contains(" | tok/sec: 3,303 | mfu: 0.3% | epoch: 1 | "), "{line}");
        assert_eq!([0.9, 123.0, 1234.5, 1_690_000.0].map(thousands), ["0", "123", "1,234", "1,690,000"]);
    }

    #[test]
    fn a_limit_of_steps_ends_it_and_is_its_clock() {
        let run = run(3600, Some(2));
        let mut steps = run.steps(10, 1.0);
        let mut moments = Vec::new();
        while let Some(Now { progress, step }) = steps.next() {
            moments.push((progress, step));
            assert_eq!(steps.done(2.0, 1.0, 1), Ok(()));
        }
        assert_eq!(moments, [(0.0, 0), (0.5, 1)]);
        assert_eq!(steps.summary(1.0, 1, 1).tokens, 20);
    }

    #[test]
    fn steps_of_another_size_go_on_with_the_same_budget() {
        let run = run(3600, Some(3));
        let mut steps = run.steps(10, 1.0);
        steps.next();
        assert_eq!(steps.done(2.0, 1.0, 1), Ok(()));
        let mut steps = run.steps(100, 1.0);
        assert_eq!(steps.next().map(|now| now.step), Some(1));
        std::iter::from_fn(|| steps.next().map(|_| steps.done(2.0, 1.0, 1))).for_each(drop);
        assert_eq!((steps.summary(1.0, 1, 1).tokens, steps.summary(1.0, 1, 1).steps), (210, 3));
    }

    #[test]
    fn what_is_done_between_steps_counts() {
        let run = run(3600, None);
        let mut steps = run.steps(10, 1.0);
        steps.next();
        assert_eq!(steps.done(2.0, 1.0, 1), Ok(()));
        let between = Instant::now();
        while between.elapsed() < Duration::from_millis(20) {}
        let before = run.taken.get().time;
        steps.next();
        assert_eq!(steps.done(2.0, 1.0, 1), Ok(()));
        assert!(run.taken.get().time - before >= Duration::from_millis(20));
    }

    #[test]
    fn a_loss_that_is_no_number_or_explodes_ends_it() {
        let run = run(3600, None);
        let mut steps = run.steps(10, 1.0);
        steps.next();
        let error = steps.done(f32::NAN, 1.0, 1).unwrap_err();
        assert_eq!(error, "the loss is NaN at step 0: training diverged");
        assert!(steps.done(f32::NEG_INFINITY, 1.0, 1).is_err());
        assert!(steps.done(101.0, 1.0, 1).is_err() && steps.done(99.0, 1.0, 1).is_ok());
    }
}
