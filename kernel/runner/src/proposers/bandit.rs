//! Who of several proposers is to make the next candidate: whoever gains most for what it takes, and now and then the
//! others, for they may have become better.
//!
//! The score is that of UCB1 (Auer, Cesa-Bianchi and Fischer, 2002) with sums that forget (Garivier and Moulines,
//! 2008), for gains get rarer in the course of a night.

use lab::{Experiment, Status};

use super::hybrid;

/// How much an experiment counts when another one has come after it.
const FORGET: f64 = 0.97;
/// How many of the latest experiments count at all: what an older one is worth is below 1e-13.
const MEMORY: usize = 1000;
/// How much is given for not knowing.
const EXPLORE: f64 = 0.5;
/// How long a night is that has no end, in hours.
const NIGHT: f64 = 8.0;

/// What a night may take: an experiment's price is the share of it that it takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hours.
    pub hours: Option<f64>,
    /// US dollars.
    pub usd: Option<f64>,
}

/// What is known of one proposer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Arm {
    tried: f64,
    gain: f64,
    price: f64,
}

/// Which of `names` is next, by the `experiments` of the epoch, oldest first, and by the proposers of what is `pending`.
pub(super) fn next(
    names: &[&str],
    experiments: &[Experiment],
    pending: &[String],
    limits: Limits,
) -> Option<usize> {
    let arms: Vec<Arm> = names.iter().map(|name| arm(name, experiments, pending, limits)).collect();
    let total: f64 = arms.iter().map(|arm| arm.tried).sum();
    let rate = |arm: &Arm| if arm.price > 0.0 { arm.gain / arm.price } else { 0.0 };
    let most = arms.iter().map(rate).fold(0.0, f64::max);
    let score = |arm: &Arm| {
        if arm.tried == 0.0 {
            return f64::INFINITY;
        }
        let known = if most > 0.0 { rate(arm) / most } else { 0.0 };
        known + EXPLORE * (2.0 * total.max(1.0).ln() / arm.tried).sqrt()
    };
    // Of equals the first.
    (0..arms.len()).rev().max_by(|a, b| score(&arms[*a]).total_cmp(&score(&arms[*b])))
}

fn arm(name: &str, experiments: &[Experiment], pending: &[String], limits: Limits) -> Arm {
    let mut arm = Arm::default();
    let latest = &experiments[experiments.len().saturating_sub(MEMORY)..];
    for Experiment { record, .. } in latest.iter().filter(|it| !it.record.baseline) {
        arm.tried *= FORGET;
        arm.gain *= FORGET;
        arm.price *= FORGET;
        if hybrid::made(name, &record.proposer) {
            arm.tried += 1.0;
            arm.price += record.seconds.0 / 3600.0 / limits.hours.unwrap_or(NIGHT);
            arm.price += limits.usd.map_or(0.0, |usd| record.cost.usd / usd);
            if record.status == Status::Keep {
                arm.gain += record.delta.map_or(0.0, f64::abs);
            }
        }
    }
    arm.tried += pending.iter().filter(|other| hybrid::made(name, other)).count() as f64;
    arm
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits { hours: Some(8.0), usd: None };

    fn experiment(number: u64, proposer: &str, gain: f64, usd: f64) -> Experiment {
        let status = if gain > 0.0 { "keep" } else { "discard" };
        serde_json::from_value(json!({
            "schema": 1, "number": number, "id": uuid::Uuid::from_u128(u128::from(number)), "writer": "w", "tag": "main",
            "status": status, "value": 1.0, "delta": -gain, "confidence": null, "parent": "a", "candidate": "b",
            "baseline": false, "hypothesis": "", "proposer": proposer, "started": "2026-03-05T22:00:00Z",
            "seconds": 300.0, "runs": [], "summary": {}, "cost": {"usd": usd, "input_tokens": 0, "output_tokens": 0},
            "reason": "", "claim": null, "author": "a", "program": "p", "rule": "1", "metric": "m",
            "direction": "minimize", "epoch": "e", "environment": {"host": "h", "cpu": "c", "inputs": {}},
        }))
        .unwrap()
    }

    /// A night in which each proposer gains so much every so many of its experiments, for so many dollars: who made how
    /// many.
    fn night(arms: &[(&str, u64, f64, f64)], limits: Limits) -> Vec<usize> {
        let names: Vec<&str> = arms.iter().map(|arm| arm.0).collect();
        let (mut experiments, mut made) = (Vec::new(), vec![0; arms.len()]);
        for number in 0..200 {
            let chosen = next(&names, &experiments, &[], limits).unwrap();
            let (name, every, gain, usd) = arms[chosen];
            made[chosen] += 1;
            let gain = if made[chosen] as u64 % every == 0 { gain } else { 0.0 };
            experiments.push(experiment(number, name, gain, usd));
        }
        made
    }

    #[test]
    fn whoever_gains_most_is_asked_most_and_the_others_now_and_then() {
        let made = night(&[("a", 5, 0.01, 0.0), ("b", 5, 0.03, 0.0), ("c", 50, 0.01, 0.0)], LIMITS);
        assert!(made[1] > 100 && made.iter().all(|made| *made > 10), "{made:?}");
    }

    #[test]
    fn what_costs_is_asked_less_where_dollars_are_short() {
        let arms = [("free", 5, 0.01, 0.0), ("dear", 5, 0.012, 0.5)];
        let (rich, poor) = (night(&arms, LIMITS), night(&arms, Limits { usd: Some(10.0), ..LIMITS }));
        assert!(rich[1] > 80 && poor[1] < rich[1] / 2, "{rich:?} {poor:?}");
    }

    #[test]
    fn everybody_is_asked_once_and_what_is_pending_counts() {
        let pending = ["a".to_owned()];
        assert_eq!(next(&["a", "b"], &[], &[], LIMITS), Some(0));
        assert_eq!(next(&["a", "b"], &[], &pending, LIMITS), Some(1));
        assert_eq!(next(&[], &[], &[], LIMITS), None);
    }
}
