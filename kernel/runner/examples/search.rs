//! The `search` proposer's optimizer for `tests/bench/search.py`: asked and told a line at a time.
//!
//! The first line is `{"space": [{"low", "high", "log", "whole"} | {"choices"}], "start": [value, …], "seed"}`. Each
//! point is written as a JSON list of values (a choice by its index), the start first; what it cost is read as a
//! number, or `null` for a failure.

use std::io::{BufRead, Write};

use lab::Direction;
use rand::SeedableRng;
use rand::rngs::StdRng;
use runner::proposers::search::{Domain, Optimizer, Scale, Value};
use serde::Deserialize;

#[derive(Deserialize)]
struct Task {
    space: Vec<Parameter>,
    start: Vec<f64>,
    seed: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Parameter {
    Choice { choices: i64 },
    Range { low: f64, high: f64, log: bool, whole: bool },
}

impl From<Parameter> for Domain {
    fn from(parameter: Parameter) -> Self {
        match parameter {
            Parameter::Choice { choices } => Self::Choice((0..choices).map(Value::Int).collect()),
            Parameter::Range { low, high, log, whole } => {
                let scale = if log { Scale::Log } else { Scale::Linear };
                Self::Range { low, high, scale, whole }
            }
        }
    }
}

fn value(domain: &Domain, place: f64) -> Value {
    match domain {
        // Not rounded as a person would write it: what it is compared with is not either.
        Domain::Range { low, high, scale, whole: false } => Value::Float(scale.between(*low, *high, place)),
        _ => domain.value(place),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let Task { space, start, seed } = serde_json::from_str(&first?)?;
    let space: Vec<Domain> = space.into_iter().map(Domain::from).collect();
    let place = |(domain, value): (&Domain, &f64)| match domain {
        Domain::Choice(_) => *value,
        Domain::Range { .. } => domain.place(&Value::Float(*value)),
    };
    let mut best: Vec<f64> = space.iter().zip(&start).map(place).collect();
    let (mut point, mut lowest, mut trials) = (best.clone(), f64::INFINITY, Vec::new());
    loop {
        let values: Vec<Option<f64>> =
            space.iter().zip(&point).map(|(domain, place)| value(domain, *place).number()).collect();
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&values)?)?;
        let Some(line) = lines.next() else { return Ok(()) };
        let cost: Option<f64> = serde_json::from_str(&line?)?;
        if let Some(cost) = cost.filter(|cost| *cost < lowest) {
            (lowest, best) = (cost, point.clone());
        }
        trials.push((point, cost));
        let mut random = StdRng::seed_from_u64(seed ^ ((trials.len() as u64) << 16));
        point = Optimizer::new(&space, &best, &trials, &[], Direction::Minimize).ask(&mut random);
    }
}
