//! How experiments stand to each other: the baseline of each epoch, the best, what was kept.

use std::{cell::OnceCell, collections::HashMap};

use lab::{CommitId, Epoch, Experiment, Status};

use crate::number::fixed;

/// What is said of experiments that were not kept.
const OUTCOMES: [(Status, &str); 6] = [
    (Status::Discard, "discarded"),
    (Status::Crash, "crashed"),
    (Status::Timeout, "timed out"),
    (Status::Invalid, "invalid"),
    (Status::Suspect, "suspect"),
    (Status::Waiting, "waiting"),
];

/// What candidates have scored, by commit and epoch.
type Values<'a> = HashMap<(&'a CommitId, &'a Epoch), f64>;

/// Baselines, the best and counts of a list of experiments in the order of their numbers.
pub(crate) struct Standing<'a> {
    baselines: HashMap<&'a Epoch, f64>,
    /// In the order of their numbers.
    all: &'a [Experiment],
    /// The value of each kept candidate, by its commit and epoch, once one was asked for: few experiments build on
    /// another, and those that were kept are few.
    kept: OnceCell<Values<'a>>,
    /// The same of all.
    values: OnceCell<Values<'a>>,
    /// What is compared with the best: the epoch of the last baseline.
    current: Option<&'a Epoch>,
    /// The best of what was kept in the current epoch: that of the last baseline.
    pub(crate) best: Option<&'a Experiment>,
}

impl<'a> Standing<'a> {
    pub(crate) fn of(experiments: &'a [Experiment]) -> Self {
        let mut baselines = HashMap::new();
        for (experiment, value) in valued(experiments).filter(|(experiment, _)| experiment.record.baseline) {
            baselines.entry(&experiment.record.epoch).or_insert(value);
        }
        let current = lab::experiment::current(experiments).map(|experiment| &experiment.record.epoch);
        Self {
            baselines,
            all: experiments,
            kept: OnceCell::new(),
            values: OnceCell::new(),
            current,
            best: lab::experiment::best(experiments),
        }
    }

    /// Whether the experiment's value can be compared with the best.
    pub(crate) fn is_current(&self, experiment: &Experiment) -> bool {
        self.current == Some(&experiment.record.epoch)
    }

    /// The experiment's value minus its parent's; minus that of the best that it was compared with, where the parent's is
    /// not known.
    pub(crate) fn to_parent(&self, experiment: &Experiment) -> Option<f64> {
        let record = &experiment.record;
        let value = |parent| {
            let of = |(e, value): (&'a Experiment, f64)| ((&e.record.candidate, &e.record.epoch), value);
            let kept = |(e, _): &(&Experiment, f64)| e.record.status == Status::Keep;
            let key = (parent, &record.epoch);
            let known = self.kept.get_or_init(|| valued(self.all).filter(kept).map(of).collect()).get(&key);
            known.or_else(|| self.values.get_or_init(|| valued(self.all).map(of).collect()).get(&key))
        };
        let parent = record.parent.as_ref().and_then(value);
        let delta = parent.and_then(|parent| Some(record.value? - parent)).or(record.delta);
        delta.filter(|delta| delta.is_finite() && !record.baseline)
    }

    /// The value of the baseline that an experiment is to be compared with.
    pub(crate) fn baseline_of(&self, experiment: &Experiment) -> Option<f64> {
        self.baselines.get(&experiment.record.epoch).copied()
    }

    /// The experiment's value minus that of its epoch's baseline; none for a baseline itself.
    pub(crate) fn gain(&self, experiment: &Experiment) -> Option<f64> {
        let gain = experiment.record.value? - self.baseline_of(experiment)?;
        (!experiment.record.baseline && gain.is_finite()).then_some(gain)
    }

    pub(crate) fn is_best(&self, experiment: &Experiment) -> bool {
        self.best.is_some_and(|best| best.record.id == experiment.record.id)
    }
}

/// The experiments that have a finite value, with it.
pub(crate) fn valued(experiments: &[Experiment]) -> impl Iterator<Item = (&Experiment, f64)> {
    experiments.iter().filter_map(|experiment| {
        experiment.record.value.filter(|value| value.is_finite()).map(|value| (experiment, value))
    })
}

/// How many decimals tell the values apart, and show every gain as more than zero.
pub(crate) fn decimals(experiments: &[Experiment]) -> usize {
    let usual = crate::number::decimals(valued(experiments).map(|(_, value)| value));
    let gains = experiments.iter().filter(|e| improved(e)).filter_map(|e| e.record.delta);
    let needed =
        gains.filter(|gain| *gain != 0.0 && gain.is_finite()).map(|gain| (-gain.abs().log10()).ceil() as i64);
    let needed = needed.max().unwrap_or(0).max(0) as usize;
    usual.max(needed.min(6))
}

/// Whether it was kept and improved on something: a baseline is kept, but no improvement.
pub(crate) fn improved(experiment: &Experiment) -> bool {
    experiment.record.status == Status::Keep && !experiment.record.baseline
}

/// `5 kept of 16 tried (31%)`, and what failed; the baselines are not counted as tried.
pub(crate) fn tally(experiments: &[Experiment]) -> String {
    let tried: Vec<&Experiment> =
        experiments.iter().filter(|experiment| !experiment.record.baseline).collect();
    let kept = tried.iter().filter(|experiment| improved(experiment)).count();
    let mut parts = vec![if tried.is_empty() {
        "nothing tried yet".to_owned()
    } else {
        format!("{kept} kept of {} tried ({:.0}%)", tried.len(), kept as f64 / tried.len() as f64 * 100.0)
    }];
    for (status, words) in &OUTCOMES[1..] {
        let n = experiments.iter().filter(|experiment| experiment.record.status == *status).count();
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    }
    parts.join(", ")
}

/// What became of what was not kept, in words, by how many have each status: `22 discarded`, `4 crashed`.
pub(crate) fn not_kept(of: impl Fn(Status) -> usize) -> Vec<String> {
    let counted = OUTCOMES.into_iter().map(|(status, word)| (of(status), word)).filter(|(n, _)| *n > 0);
    counted.map(|(n, word)| format!("{} {word}", fixed(n as f64, 0))).collect()
}
