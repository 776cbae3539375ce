//! Experiments for tests: the same ones every time.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lab::{
    Claim, CommitId, Cost, Direction, Environment, Epoch, Experiment, ExperimentId, MetricName, Record,
    RunRecord, Seconds, Status, Tag,
};
use uuid::Uuid;

use crate::Metric;

const IDEAS: [&str; 12] = [
    "halve the batch size",
    "warm up the learning rate over 100 steps",
    "deeper: 8 → 10 layers",
    "GELU instead of squared ReLU",
    "learning rate 0.02 → 0.03",
    "weight decay 0.1 on matrices only",
    "rotary base 10,000 → 50,000",
    "tie the embedding and the head",
    "cosine schedule with a floor of 10%",
    "gradient clipping at 1.0",
    "wider head dimension, fewer heads",
    "drop the bias in the output projection",
];

pub(super) fn metric() -> Metric {
    Metric { name: "val_bpb".to_owned(), direction: Direction::Minimize, unit: None }
}

pub(super) fn epoch_start() -> Timestamp {
    "2026-11-20T22:10:00Z".parse().unwrap()
}

/// One experiment, discarded, to be changed as a test needs it.
pub(super) fn one(number: u64) -> Experiment {
    let started = epoch_start() + SignedDuration::from_secs(311 * number as i64);
    Experiment {
        record: Arc::new(Record {
            schema: lab::SCHEMA,
            number,
            id: ExperimentId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(number))),
            writer: "a1b2c3d4".to_owned(),
            tag: Tag::default(),
            status: Status::Discard,
            value: Some(1.0),
            delta: None,
            confidence: None,
            parent: (number > 0).then(|| CommitId::new(format!("{:040x}", number + 15))),
            candidate: CommitId::new(format!("{:040x}", number + 16)),
            baseline: number == 0,
            hypothesis: if number == 0 {
                String::new()
            } else {
                IDEAS[number as usize % IDEAS.len()].to_owned()
            },
            proposer: if number == 0 { "baseline" } else { "search" }.to_owned(),
            started,
            seconds: Seconds(301.0 + (number % 7) as f64),
            runs: vec![RunRecord {
                seed: 42,
                value: Some(1.0),
                seconds: Seconds(300.2),
                exit: "0".to_owned(),
            }],
            summary: BTreeMap::new(),
            cost: Cost::default(),
            reason: "not better than the best".to_owned(),
            claim: None,
            author: "Ada".to_owned(),
            program: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            rule: "1".to_owned(),
            metric: MetricName::new("val_bpb"),
            direction: Direction::Minimize,
            epoch: Epoch::new("e1"),
            environment: Environment {
                host: "gpu-7".to_owned(),
                cpu: "x86_64, 2 cores".to_owned(),
                gpu: None,
                toolchain: Some("rustc 1.95.0".to_owned()),
                locks: BTreeMap::new(),
                inputs: BTreeMap::new(),
            },
            other: serde_json::Map::new(),
        }),
        judged: None,
        notes: Vec::new(),
    }
}

/// A ledger of `n`: a baseline at 1.0230, a keep now and then, a crash now and then, one far off the scale.
pub(super) fn ledger(n: u64) -> Vec<Experiment> {
    let (mut best, mut dice) = (1.0230, 1_u64);
    let mut tip = one(0).record.candidate.clone();
    let mut roll = move || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as f64 / (1_u64 << 31) as f64
    };
    (0..n)
        .map(|number| {
            let mut e = one(number);
            let r = Arc::make_mut(&mut e.record);
            let chance = roll();
            if number == 0 {
                (r.status, r.value, r.reason) = (Status::Keep, Some(best), "the baseline".to_owned());
                r.runs[0].value = r.value;
                r.summary.extend(r.value.map(|value| ("val_bpb".to_owned(), value)));
                return e;
            }
            r.parent = Some(tip.clone());
            if chance < 0.1 {
                (r.status, r.value, r.reason) = (Status::Crash, None, "the build failed".to_owned());
                r.seconds = Seconds(21.4);
            } else {
                let gain = 0.006 * roll().powi(2) / (1.0 + number as f64 / 12.0);
                let value: f64 = if roll() < 0.24 { best - gain } else { best + 0.001 + roll() * 0.012 };
                let value = if number == 11 { 3.4 } else { (value * 1e6).round() / 1e6 };
                r.value = Some(value);
                r.delta = Some(value - best);
                if value < best {
                    (r.status, r.claim, r.reason) =
                        (Status::Keep, Some(Claim::Unproven), "better than the best".to_owned());
                    best = value;
                    tip = r.candidate.clone();
                }
            }
            r.runs[0].value = r.value;
            r.summary.extend(r.value.map(|value| ("val_bpb".to_owned(), value)));
            e
        })
        .collect()
}

/// The same experiments where higher is better.
pub(super) fn turned(mut experiments: Vec<Experiment>) -> Vec<Experiment> {
    for e in &mut experiments {
        let r = Arc::make_mut(&mut e.record);
        r.direction = Direction::Maximize;
        r.metric = MetricName::new("tokens_per_second");
        r.value = r.value.map(|v| ((4.0 - v) * 4000.0).round());
        r.delta = r.delta.map(|v| (-v * 4000.0).round());
    }
    experiments
}

/// The same with the baseline and the best run `times` in all, each time a little apart.
pub(super) fn repeated(mut experiments: Vec<Experiment>, times: u64) -> Vec<Experiment> {
    let best = lab::experiment::best(&experiments).unwrap().record.number;
    for e in experiments.iter_mut().filter(|e| e.record.baseline || e.record.number == best) {
        let r = Arc::make_mut(&mut e.record);
        let first = r.runs[0].clone();
        r.runs.extend((1..times).map(|i| RunRecord {
            seed: 42 + i,
            value: first.value.map(|value| value + 0.0006 * ((i * 7 % 5) as f64 - 2.0)),
            ..first.clone()
        }));
    }
    experiments
}

/// A baseline and nothing but crashes.
pub(super) fn crashes(n: u64) -> Vec<Experiment> {
    (0..n)
        .map(|number| {
            let mut e = one(number);
            let r = Arc::make_mut(&mut e.record);
            (r.status, r.value) = (Status::Crash, None);
            e
        })
        .collect()
}

/// A loss curve.
pub(super) fn loss(steps: u32, floor: f64) -> Vec<(f64, f64)> {
    (0..steps)
        .map(|i| {
            let x = f64::from(i * 10);
            (x, floor + 4.0 * (-x / 300.0).exp() + 0.05 * (x * 12.9898).sin())
        })
        .collect()
}
