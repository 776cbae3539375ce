//! What each of several proposers has done.

use std::collections::BTreeMap;

use lab::{Cost, Experiment, Seconds};

use crate::{
    number::{count, duration, fixed, signed},
    standing::improved,
    text::{clip, one_line},
};

/// Characters of a proposer's name, and of why it is left out.
const NAME: usize = 60;
const WHY: usize = 200;

/// A line for each proposer, in the order in which they began: `acp:claude: 5 kept of 12, −0.031 in 1h 2m, $1.20`.
/// None where one has done everything.
pub(crate) fn records(
    experiments: &[Experiment],
    out: &BTreeMap<String, String>,
    decimals: usize,
) -> Vec<String> {
    let mut its: Vec<(&str, Done)> = Vec::new();
    for experiment in experiments.iter().filter(|it| !it.record.baseline) {
        let name = experiment.record.proposer.as_str();
        let at = its.iter().position(|(other, _)| *other == name).unwrap_or(its.len());
        if at == its.len() {
            its.push((name, Done::default()));
        }
        its[at].1.add(experiment);
    }
    for name in out.keys() {
        if !its.iter().any(|(other, _)| other == name) {
            its.push((name, Done::default()));
        }
    }
    if its.len() < 2 {
        return Vec::new();
    }
    its.into_iter().map(|(name, done)| record(name, &done, out.get(name), decimals)).collect()
}

/// What a proposer has done.
#[derive(Default)]
struct Done {
    tried: usize,
    kept: usize,
    gain: f64,
    seconds: f64,
    cost: Cost,
}

impl Done {
    fn add(&mut self, experiment: &Experiment) {
        self.tried += 1;
        if improved(experiment) {
            self.kept += 1;
            self.gain += experiment.record.delta.unwrap_or_default();
        }
        self.seconds += experiment.record.seconds.0;
        self.cost += experiment.record.cost;
    }
}

fn record(name: &str, done: &Done, out: Option<&String>, decimals: usize) -> String {
    let Done { tried, kept, gain, seconds, cost } = *done;
    let mut parts = vec![format!("{kept} kept of {tried}")];
    if kept > 0 {
        parts[0] = format!("{}, {} in {}", parts[0], signed(gain, decimals), duration(Seconds(seconds)));
    }
    if cost.usd > 0.0 {
        parts.push(format!("${}", fixed(cost.usd, 2)));
    } else if cost.output_tokens > 0 {
        parts.push(count((cost.input_tokens + cost.output_tokens) as usize, "token", "tokens"));
    }
    parts.extend(out.map(|why| format!("left out: {}", clip(&one_line(why), WHY))));
    format!("{}: {}", clip(&one_line(name), NAME), parts.join(", "))
}
