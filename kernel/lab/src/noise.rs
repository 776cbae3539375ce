//! The noise of a metric: how far two runs of the same candidate are apart.
//!
//! ```
//! assert_eq!(lab::noise(&[]), None, "nothing was run twice");
//! ```

use std::collections::BTreeMap;

use crate::{CommitId, Experiment, experiment::current};

/// What repeated runs say of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The standard deviation of one run, pooled over all candidates that were run more than once.
    pub deviation: f64,
    /// Its degrees of freedom: how many more runs there were than candidates.
    pub freedom: usize,
    /// How many candidates were run more than once.
    pub candidates: usize,
    /// Whether their runs had different seeds: the noise of one seed says nothing of another's.
    pub seeds: bool,
}

/// The noise of the metric in the current epoch, which is that of the last baseline; `None` where no candidate has two
/// values. `experiments` are in the order of the ledger.
///
/// Runs count together where they tried the same commit under the same terms: the runs of one experiment, baselines
/// that were run again, a candidate that was tried twice. What failed counts nowhere.
pub fn noise(experiments: &[Experiment]) -> Option<Noise> {
    let repeated: Vec<Vec<Run>> = repeats(experiments).into_values().filter(|runs| runs.len() > 1).collect();
    let freedom: usize = repeated.iter().map(|runs| runs.len() - 1).sum();
    if freedom == 0 {
        return None;
    }
    let squares: f64 = repeated.iter().map(|runs| squares(runs)).sum();
    let seeds = repeated.iter().any(|runs| runs.iter().any(|run| run.seed != runs[0].seed));
    Some(Noise { deviation: (squares / freedom as f64).sqrt(), freedom, candidates: repeated.len(), seeds })
}

/// One run's value, and the seed that it had, where that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The metric.
    pub value: f64,
    /// The seed.
    pub seed: Option<u64>,
}

/// The values of the current epoch by the commit that was run, for each that has any; once or more often.
pub fn repeats(experiments: &[Experiment]) -> BTreeMap<&CommitId, Vec<Run>> {
    let mut found: BTreeMap<&CommitId, Vec<Run>> = BTreeMap::new();
    let Some(current) = current(experiments) else { return found };
    for record in
        experiments.iter().map(|experiment| &experiment.record).filter(|r| r.epoch == current.record.epoch)
    {
        let runs = record.runs.iter().filter_map(|run| Some(Run { value: run.value?, seed: Some(run.seed) }));
        let mut runs: Vec<Run> = runs.filter(|run| run.value.is_finite()).collect();
        if runs.is_empty() {
            let value = record.value.filter(|value| value.is_finite());
            runs.extend(value.map(|value| Run { value, seed: None }));
        }
        if !runs.is_empty() {
            found.entry(&record.candidate).or_default().extend(runs);
        }
    }
    found
}

/// The mean of their values.
pub fn mean(runs: &[Run]) -> f64 {
    runs.iter().map(|run| run.value).sum::<f64>() / runs.len() as f64
}

/// The squares of what each differs from their mean by.
fn squares(runs: &[Run]) -> f64 {
    let mean = mean(runs);
    runs.iter().map(|run| (run.value - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    /// An experiment that tried a commit in an epoch, with these values.
    fn tried(candidate: &str, epoch: &str, values: &[(u64, Option<f64>)]) -> Experiment {
        let runs: Vec<_> = values
            .iter()
            .map(|(seed, value)| json!({"seed": seed, "value": value, "seconds": 1.0, "exit": "0"}))
            .collect();
        serde_json::from_value(json!({
            "schema": 1, "number": 0, "id": Uuid::nil(), "writer": "w", "tag": "main", "status": "keep",
            "value": values.first().and_then(|(_, value)| *value), "delta": null, "confidence": null, "parent": null,
            "candidate": candidate, "baseline": true, "hypothesis": "", "proposer": "baseline",
            "started": "2026-03-05T22:00:00Z", "seconds": 1.0, "runs": runs, "summary": {}, "reason": "", "claim": null,
            "author": "", "program": "", "rule": "1", "metric": "loss", "direction": "minimize", "epoch": epoch,
            "environment": {"host": "h", "cpu": ""},
        }))
        .unwrap()
    }

    #[test]
    fn one_run_each_says_nothing() {
        assert_eq!(noise(&[tried("a", "e", &[(1, Some(1.0))]), tried("b", "e", &[(1, Some(2.0))])]), None);
        // Nor do runs that failed, or another epoch's.
        let failed = tried("a", "e", &[(1, Some(1.0)), (2, None), (3, Some(f64::NAN))]);
        let earlier = tried("a", "d", &[(1, Some(1.0)), (2, Some(3.0))]);
        assert_eq!(noise(&[earlier, failed]), None);
    }

    #[test]
    fn repeats_are_pooled() {
        let experiments = [
            tried("a", "e", &[(1, Some(1.0)), (2, Some(1.2))]),
            tried("b", "e", &[(1, Some(5.0))]),
            tried("b", "e", &[(1, Some(5.4))]),
            tried("b", "e", &[(1, Some(5.2))]),
        ];
        let found = noise(&experiments).unwrap();
        // 0.1² + 0.1² of one and 0.2² + 0.2² of the other, by three degrees of freedom.
        assert!((found.deviation - (0.10_f64 / 3.0).sqrt()).abs() < 1e-12, "{found:?}");
        assert_eq!((found.freedom, found.candidates, found.seeds), (3, 2, true));
        assert!(!noise(&experiments[1..]).unwrap().seeds, "one seed");
    }

    proptest! {
        /// Adding the same to every value of a candidate leaves the noise; taking all times two doubles it.
        #[test]
        fn it_is_a_deviation(values in prop::collection::vec(-5.0..5.0_f64, 2..8), shift in -9.0..9.0_f64) {
            let of = |change: &dyn Fn(f64) -> f64| {
                let runs: Vec<_> = values.iter().zip(0..).map(|(value, seed)| (seed, Some(change(*value)))).collect();
                noise(&[tried("a", "e", &runs)]).unwrap().deviation
            };
            let plain = of(&|value| value);
            prop_assert!((of(&|value| value + shift) - plain).abs() < 1e-9);
            prop_assert!((of(&|value| value * 2.0) - 2.0 * plain).abs() < 1e-9);
        }
    }
}
