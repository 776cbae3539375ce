//! What a night would bring, from what a rehearsal has measured: arithmetic alone.

use lab::settings::format_bytes;
use serde::Serialize;

/// How long a night is where nobody says.
pub(super) const NIGHT: f64 = 8.0;
/// Standard deviations of the difference of two runs that are told from noise.
const SURE: f64 = 2.0;
/// The mean range of two draws from a normal distribution, in standard deviations.
const RANGE: f64 = 1.128;

/// What was measured, and what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// Until the night ends, in hours; none was said where it is `None`.
    pub(super) hours: Option<f64>,
    /// After how many experiments it ends.
    pub(super) planned: Option<u64>,
    /// US dollars that proposing may cost.
    pub(super) max_cost: Option<f64>,
    /// Runs at once.
    pub(super) slots: u32,
    /// Seconds of a whole run: what tonight's takes.
    pub(super) run: f64,
    /// Seconds of a build that has its caches.
    pub(super) build: f64,
    /// Seconds per experiment that are neither built, run nor proposed.
    pub(super) overhead: f64,
    /// Seconds before the first run: set-up and first build.
    pub(super) first: f64,
    /// Seconds of a proposal.
    pub(super) latency: f64,
    /// Whether the next candidate is made while one runs.
    pub(super) ahead: bool,
    /// How many candidates are made at once.
    pub(super) at_once: u32,
    /// US dollars of a proposal.
    pub(super) usd: f64,
    /// Bytes that stay of an experiment.
    pub(super) bytes: u64,
    /// The values of two runs that differ in their seed alone.
    pub(super) pair: Option<(f64, f64)>,
    /// How many runs all this is from.
    pub(super) runs: usize,
}

/// What limits the number of experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    /// The time.
    Hours,
    /// `--experiments`.
    Experiments,
    /// `--max-cost`.
    Cost,
}

/// A forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Forecast {
    /// The night's length in hours.
    pub(super) hours: f64,
    /// Whether that length was said.
    pub(super) said: bool,
    /// How many experiments it has, the baseline among them.
    pub(super) experiments: u64,
    /// What ends it.
    pub(super) limit: Limit,
    /// Seconds from one experiment of a slot to the next.
    pub(super) seconds: f64,
    /// US dollars for proposals.
    pub(super) usd: f64,
    /// Bytes by which the disk grows.
    pub(super) bytes: u64,
    /// The smallest gain that can be told from noise; `None` where the noise is not known.
    pub(super) gain: Option<f64>,
    /// From how many runs it is.
    pub(super) runs: usize,
}

impl Measured {
    /// Seconds from one experiment of a slot to the next. A proposer that works ahead holds a slot up only where it
    /// takes longer than the runs of all slots.
    fn each(&self) -> f64 {
        let slots = f64::from(self.slots.max(1));
        let busy = self.run + self.build + self.overhead;
        let making = self.latency / f64::from(self.at_once.max(1)).min(slots);
        let each = if self.ahead { busy } else { busy + self.latency };
        each.max(making * slots).max(0.001)
    }

    /// What the night brings.
    pub(super) fn forecast(&self) -> Forecast {
        let hours = self.hours.unwrap_or(NIGHT);
        let seconds = self.each();
        // The baseline is run alone, after set-up and the first build.
        let baseline = self.first + self.run + self.overhead;
        let left = hours * 3600.0 - baseline;
        let in_time = if left < 0.0 { 0 } else { 1 + (left / seconds * f64::from(self.slots.max(1))) as u64 };
        let mut found = (in_time, Limit::Hours);
        if let Some(planned) = self.planned.filter(|planned| *planned < found.0) {
            found = (planned, Limit::Experiments);
        }
        // The proposal that goes beyond it is still run.
        if let Some(most) = self.max_cost.filter(|_| self.usd > 0.0) {
            let affordable = (most / self.usd).ceil() as u64 + 1;
            if affordable < found.0 {
                found = (affordable, Limit::Cost);
            }
        }
        let (experiments, limit) = found;
        Forecast {
            hours,
            said: self.hours.is_some(),
            experiments,
            limit,
            seconds,
            usd: self.usd * experiments.saturating_sub(1) as f64,
            bytes: self.bytes * experiments,
            gain: self.gain(),
            runs: self.runs,
        }
    }

    /// Two standard deviations of the difference of two runs, as far as one pair tells.
    fn gain(&self) -> Option<f64> {
        let (a, b) = self.pair?;
        let range = (a - b).abs();
        (range > 0.0 && range.is_finite()).then_some(SURE * std::f64::consts::SQRT_2 * range / RANGE)
    }
}

impl Forecast {
    /// The forecast in a sentence or two.
    pub(super) fn words(&self, metric: &str) -> String {
        let length = if self.said {
            hours(self.hours)
        } else {
            format!("{} (nobody said how long)", hours(self.hours))
        };
        let mut parts = vec![format!(
            "about {} {} in {length}",
            self.experiments,
            if self.experiments == 1 { "experiment" } else { "experiments" }
        )];
        if self.usd > 0.0 {
            parts.push(format!("about {} USD", dollars(self.usd)));
        }
        parts.push(match self.gain {
            Some(gain) => format!("gains of at least {} in {metric} can be told from noise", digits(gain)),
            None => "the noise is not known".to_owned(),
        });
        let mut text =
            format!("Tonight: {}; the disk grows by {}.", parts.join(", "), format_bytes(self.bytes));
        match self.limit {
            Limit::Cost => text.push_str(" What ends it is --max-cost."),
            Limit::Experiments => {
                let busy = self.seconds * self.experiments as f64 / 3600.0;
                text.push_str(&format!(" What ends it is --experiments, after about {}.", hours(busy)));
            }
            Limit::Hours => {}
        }
        text.push_str(&format!(
            "\nA forecast from {} {}: {} from one experiment of a slot to the next.",
            self.runs,
            if self.runs == 1 { "run" } else { "runs" },
            time(self.seconds)
        ));
        text
    }
}

/// `8 h`, `2.5 h`, `12 min`.
pub(super) fn hours(hours: f64) -> String {
    if hours < 0.995 {
        return time(hours * 3600.0);
    }
    format!("{} h", trimmed(format!("{hours:.1}")))
}

/// `0.4 s`, `45 s`, `5 min 20 s`.
pub(super) fn time(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{} s", trimmed(format!("{seconds:.1}")));
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// Two digits that count: `0.0021`, `1.3`, `120`.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = 1 - value.abs().log10().floor() as i32;
    let step = 10_f64.powi(-decimals);
    let rounded = (value / step).round() * step;
    if decimals > 8 { format!("{value:.1e}") } else { format!("{rounded:.*}", decimals.max(0) as usize) }
}

/// A value as it was printed, without digits that are the machine's alone.
pub(super) fn value(value: f64) -> String {
    if (1e-3..1e9).contains(&value.abs()) || value == 0.0 {
        trimmed(format!("{value:.6}"))
    } else {
        format!("{value:.4e}")
    }
}

/// `11`, `1.50`, `0.043`.
pub(super) fn dollars(usd: f64) -> String {
    if usd >= 10.0 {
        format!("{usd:.0}")
    } else if usd >= 0.1 {
        format!("{usd:.2}")
    } else {
        digits(usd)
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured() -> Measured {
        Measured {
            hours: Some(8.0),
            planned: None,
            max_cost: None,
            slots: 1,
            run: 325.0,
            build: 4.0,
            overhead: 1.0,
            first: 120.0,
            latency: 60.0,
            ahead: true,
            at_once: 1,
            usd: 0.13,
            bytes: 14_000_000,
            pair: Some((0.9979, 0.9987)),
            runs: 3,
        }
    }

    #[test]
    fn a_night_in_words() {
        insta::assert_snapshot!(measured().forecast().words("val_bpb"), @r"
        Tonight: about 86 experiments in 8 h, about 11 USD, gains of at least 0.0020 in val_bpb can be told from noise; the disk grows by 1.2 GB.
        A forecast from 3 runs: 5 min 30 s from one experiment of a slot to the next.
        ");
        let short = Measured { hours: None, usd: 0.0, pair: None, planned: Some(12), ..measured() };
        insta::assert_snapshot!(short.forecast().words("val_bpb"), @r"
        Tonight: about 12 experiments in 8 h (nobody said how long), the noise is not known; the disk grows by 168 MB. What ends it is --experiments, after about 1.1 h.
        A forecast from 3 runs: 5 min 30 s from one experiment of a slot to the next.
        ");
    }

    #[test]
    fn a_proposer_that_works_ahead_holds_up_only_where_it_is_slower_than_the_runs() {
        let each = |measured: Measured| measured.forecast().seconds;
        assert_eq!(each(measured()), 330.0);
        assert_eq!(each(Measured { ahead: false, ..measured() }), 390.0);
        assert_eq!(each(Measured { latency: 500.0, ..measured() }), 500.0);
        // Four slots want four proposals in the time of one run.
        assert_eq!(each(Measured { latency: 100.0, slots: 4, ..measured() }), 400.0);
        assert_eq!(each(Measured { latency: 100.0, slots: 4, at_once: 4, ..measured() }), 330.0);
    }

    #[test]
    fn what_ends_first_is_named() {
        let cheap = Measured { max_cost: Some(1.0), ..measured() }.forecast();
        assert_eq!((cheap.experiments, cheap.limit), (9, Limit::Cost));
        let few = Measured { planned: Some(5), ..measured() }.forecast();
        assert_eq!((few.experiments, few.limit), (5, Limit::Experiments));
        let none = Measured { hours: Some(0.05), ..measured() }.forecast();
        assert_eq!((none.experiments, none.limit), (0, Limit::Hours));
    }

    #[test]
    fn the_same_value_twice_tells_no_noise() {
        assert_eq!(Measured { pair: Some((1.0, 1.0)), ..measured() }.forecast().gain, None);
        let gain = measured().forecast().gain.unwrap_or_default();
        assert!((gain - 0.0008 * 2.507).abs() < 1e-5, "{gain}");
    }

    #[test]
    fn figures_are_short() {
        let all = [
            hours(8.0),
            hours(2.5),
            hours(0.2),
            time(0.42),
            time(45.2),
            time(320.0),
            time(7260.0),
            digits(0.002_13),
            digits(1.26),
            digits(123.0),
            dollars(11.2),
            dollars(1.5),
            dollars(0.043),
            value(1.046_532),
            value(12_345.5),
            value(3e-7),
        ];
        insta::assert_snapshot!(all.join(" | "), @"8 h | 2.5 h | 12 min | 0.4 s | 45 s | 5 min 20 s | 2 h 1 min | 0.0021 | 1.3 | 120 | 11 | 1.50 | 0.043 | 1.046532 | 12345.5 | 3.0000e-7");
    }

    proptest! {
        #[test]
        fn more_time_is_never_less(hours in 0.0_f64..100.0, more in 0.0_f64..10.0, slots in 1_u32..17) {
            let of = |hours| Measured { hours: Some(hours), slots, ..measured() }.forecast().experiments;
            prop_assert!(of(hours) <= of(hours + more));
        }
    }
}
