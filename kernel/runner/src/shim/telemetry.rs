//! What a run makes of its GPU: sampled while it is on, beside what it prints itself.
//!
//! One `nvidia-smi` answers every second for as long as the run takes. It is no part of the run: it is ended first, and
//! what the run left behind is counted without it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lab::Seconds;
use lab::metrics::Row;
use nix::sys::signal::{SigSet, Signal};

use super::job::Watch;
use crate::processes::Process;

/// How long its end may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Milliseconds from one sample to the next.
const EVERY: &str = "--loop-ms=1000";
const QUERY: &str = "--query-gpu=utilization.gpu,memory.used,power.draw";
/// What each of the answer's columns is in a run's rows.
const COLUMNS: [&str; 3] = ["gpu_utilization", "gpu_memory_mb", "gpu_power_w"];

/// What is known of a GPU at one moment.
type Sample = (f64, [Option<f64>; 3]);

/// The samples of a run.
#[derive(Default)]
pub(super) struct Telemetry {
    sampling: Option<(Child, Process, Receiver<Sample>)>,
    sums: Sums,
}

#[derive(Debug, Default)]
struct Sums {
    utilization: (f64, u32),
    peak: Option<f64>,
    energy: f64,
    last: Option<(f64, f64)>,
}

impl Telemetry {
    /// Begins to sample, where there is a GPU to watch.
    pub(super) fn start(watch: Option<&Watch>, start: Instant) -> Self {
        let sampling = watch.and_then(|watch| {
            let mut command = Command::new(&watch.program);
            command.args([QUERY, "--format=csv,noheader,nounits", EVERY, "-i", &watch.gpu]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = tie(&mut command).spawn().ok()?;
            let process = Process::of(i32::try_from(child.id()).ok()?)?;
            let output = child.stdout.take()?;
            let (sender, samples) = channel();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let sample = parse(&line).map(|sample| (start.elapsed().as_secs_f64(), sample));
                    if sample.is_some_and(|sample| sender.send(sample).is_err()) {
                        break;
                    }
                }
            });
            Some((child, process, samples))
        });
        Self { sampling, sums: Sums::default() }
    }

    /// Whether it samples.
    pub(super) fn is_on(&self) -> bool {
        self.sampling.is_some()
    }

    /// The samples since the last time, as rows of the step that the run has come to.
    pub(super) fn rows(&mut self, step: u64) -> Vec<Row> {
        let Some((_, _, samples)) = &self.sampling else { return Vec::new() };
        let mut rows = Vec::new();
        while let Ok((time, sample)) = samples.try_recv() {
            self.sums.add(time, sample);
            let values = COLUMNS.iter().zip(sample);
            let values = values.filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect();
            rows.push(Row { step, time: Seconds(time), values });
        }
        rows
    }

    /// Ends the sampling; nothing of it is left then, unless it hangs in the driver: a run is not to wait for that.
    pub(super) fn stop(&mut self) {
        if let Some((child, process, _)) = &mut self.sampling {
            process.signal(Signal::SIGKILL);
            let until = Instant::now() + PATIENCE;
            // Whoever reaps everything may have been first.
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// What it comes to, by name.
    pub(super) fn summary(&self) -> BTreeMap<String, f64> {
        let Sums { utilization: (sum, count), peak, energy, last } = &self.sums;
        let mean = (*count > 0).then(|| sum / f64::from(*count));
        let energy = last.is_some().then_some(energy / 3600.0);
        [("mean_gpu_utilization", mean), ("peak_gpu_memory_mb", *peak), ("gpu_energy_wh", energy)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

impl Sums {
    fn add(&mut self, time: f64, [utilization, memory, power]: [Option<f64>; 3]) {
        if let Some(utilization) = utilization {
            self.utilization.0 += utilization;
            self.utilization.1 += 1;
        }
        if let Some(memory) = memory {
            self.peak = Some(self.peak.unwrap_or(0.0).max(memory));
        }
        if let Some(power) = power {
            // The first sample counts from the run's start.
            let (before, then) = self.last.unwrap_or((0.0, power));
            self.energy += (time - before).max(0.0) * f64::midpoint(then, power);
            self.last = Some((time, power));
        }
    }
}

/// One line of the answer, such as `93, 45060, 412.35`; what the GPU does not tell is `[N/A]`.
fn parse(line: &str) -> Option<[Option<f64>; 3]> {
    let values: Vec<Option<f64>> = line.split(',').map(|field| field.trim().parse().ok()).collect();
    let values: [Option<f64>; 3] = values.try_into().ok()?;
    values.iter().any(Option::is_some).then_some(values)
}

/// Lets a command end with this process, and have the signals that it is used to.
fn tie(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let prepare = || -> std::io::Result<()> {
        SigSet::empty().thread_set_mask()?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe system calls are made; nothing is allocated.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_not_told_is_left_out() {
        assert_eq!(parse("93, 45060, 412.35"), Some([Some(93.0), Some(45060.0), Some(412.35)]));
        assert_eq!(parse("[N/A], 512, [N/A]"), Some([None, Some(512.0), None]));
        assert_eq!(parse("[N/A], [N/A], [N/A]"), None);
        assert_eq!(parse("Unable to determine the device handle"), None);
    }

    #[test]
    fn power_over_time_is_energy() {
        let mut telemetry = Telemetry::default();
        assert!(telemetry.summary().is_empty() && telemetry.rows(3).is_empty());
        for (time, power) in [(0.0, 300.0), (1800.0, 300.0), (3600.0, 500.0)] {
            telemetry.sums.add(time, [Some(power / 5.0), Some(power), Some(power)]);
        }
        let summary: Vec<(String, f64)> = telemetry.summary().into_iter().collect();
        assert_eq!(summary[0], ("gpu_energy_wh".to_owned(), 350.0));
        assert_eq!(summary[2], ("peak_gpu_memory_mb".to_owned(), 500.0));
        assert!((summary[1].1 - 73.33).abs() < 0.01);
    }
}
