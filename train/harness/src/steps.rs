//! The clock of a run, and the line of each step.

use std::time::{Duration, Instant};

use crate::card;
use crate::settings::Run;
use crate::summary::Summary;

/// Steps on a GPU before the clock starts: they compile and choose kernels (karpathy leaves out ten).
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

/// The steps of a run, until its budget is spent.
#[derive(Debug)]
pub struct Steps<'a> {
    run: &'a Run,
    tokens: usize,
    flops: f64,
    /// Operations a second that the card does at most.
    peak: Option<f64>,
    warm_up: usize,
    step: usize,
    /// When the step began.
    started: Instant,
    /// What counts against the budget.
    spent: Duration,
    smooth: f32,
    printed: Option<Instant>,
    line: Option<String>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(run: &'a Run, tokens: usize, flops: f64) -> Self {
        let on_gpu = !run.machine.is_cpu();
        Self {
            run,
            tokens,
            flops,
            peak: on_gpu.then(card::name).flatten().and_then(|name| card::peak(&name)),
            warm_up: if on_gpu { WARM_UP } else { 0 },
            step: 0,
            started: Instant::now(),
            spent: Duration::ZERO,
            smooth: 0.0,
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
        self.started = Instant::now();
        Some(Now { progress, step: self.step })
    }

    /// By the clock, or by the number of steps where that is limited: then two runs are the same.
    fn progress(&self) -> f64 {
        match self.run.limit {
            Some(limit) => self.step as f64 / limit as f64,
            None => self.spent.div_duration_f64(self.run.budget).min(1.0),
        }
    }

    /// Ends the step: its loss in nats, the learning rate's multiplier and the pass over the data.
    ///
    /// # Errors
    ///
    /// The loss is not a number, or it has exploded.
    pub fn done(&mut self, loss: f32, multiplier: f64, epoch: usize) -> Result<(), String> {
        if loss.is_nan() || loss > EXPLODED {
            return Err(format!("the loss is {loss} at step {}: training diverged", self.step));
        }
        let time = self.started.elapsed();
        if self.step >= self.warm_up {
            self.spent += time;
        }
        self.smooth = 0.9 * self.smooth + 0.1 * loss;
        self.step += 1;
        self.line = Some(self.line(multiplier, epoch, time));
        let every = self.run.limit.is_some();
        if every || self.printed.is_none_or(|printed| printed.elapsed() >= BETWEEN_LINES) {
            self.print();
        }
        Ok(())
    }

    /// karpathy's line of the step that has ended.
    fn line(&self, multiplier: f64, epoch: usize, time: Duration) -> String {
        let rate = self.tokens as f64 / time.as_secs_f64();
        let mfu = self.mfu(rate).map_or_else(String::new, |mfu| format!(" | mfu: {mfu:.1}%"));
        format!(
            "step {:05} ({:.1}%) | loss: {:.6} | lrm: {multiplier:.2} | dt: {}ms | tok/sec: {}{mfu} | epoch: {epoch} | remaining: {:.0}s",
            self.step - 1,
            100.0 * self.progress(),
            self.smooth / (1.0 - 0.9f32.powi(self.step as i32)),
            time.as_millis(),
            thousands(rate),
            self.run.budget.saturating_sub(self.spent).as_secs_f64(),
        )
    }

    /// The share of the card's peak, in percent, at so many tokens a second.
    fn mfu(&self, rate: f64) -> Option<f64> {
        self.peak.map(|peak| 100.0 * self.flops * rate / peak)
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
        let counted = self.step.saturating_sub(self.warm_up) * self.tokens;
        let rate = counted as f64 / self.spent.as_secs_f64();
        Summary {
            val_bpb,
            training: self.spent,
            total: self.run.begun.elapsed(),
            machine: self.run.machine.clone(),
            mfu_percent: self.mfu(rate).filter(|_| counted > 0),
            tokens: self.step * self.tokens,
            steps: self.step,
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
    use super::*;
    use crate::machine::Machine;

    fn run(seconds: u64, limit: Option<usize>) -> Run {
        Run {
            budget: Duration::from_secs(seconds),
            seed: 1,
            machine: Machine::cpu(2),
            limit,
            begun: Instant::now(),
        }
    }

    #[test]
    fn lines_read_as_karpathy_s() {
        let run = run(20, None);
        let mut steps = run.steps(1024, 1e6);
        steps.spent = Duration::from_secs(5);
        steps.step = 1;
        steps.smooth = 3.25 * (1.0 - 0.9f32);
        let line = steps.line(1.0, 1, Duration::from_millis(310));
        assert_eq!(
            line,
            "step 00000 (25.0%) | loss: 3.250000 | lrm: 1.00 | dt: 310ms | tok/sec: 3,303 | epoch: 1 | remaining: 15s"
        );
        steps.peak = Some(1e12);
        let line = steps.line(1.0, 1, Duration::from_millis(310));
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
    fn a_loss_that_is_no_number_or_explodes_ends_it() {
        let run = run(3600, None);
        let mut steps = run.steps(10, 1.0);
        steps.next();
        let error = steps.done(f32::NAN, 1.0, 1).unwrap_err();
        assert_eq!(error, "the loss is NaN at step 0: training diverged");
        assert!(steps.done(101.0, 1.0, 1).is_err() && steps.done(99.0, 1.0, 1).is_ok());
    }
}
