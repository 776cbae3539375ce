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
    let mut names: Vec<&str> = Vec::new();
    let tried = experiments.iter().filter(|it| !it.record.baseline).map(|it| it.record.proposer.as_str());
    for name in tried.chain(out.keys().map(String::as_str)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() < 2 {
        return Vec::new();
    }
    names.into_iter().map(|name| record(name, experiments, out.get(name), decimals)).collect()
}

fn record(name: &str, experiments: &[Experiment], out: Option<&String>, decimals: usize) -> String {
    let own: Vec<&Experiment> =
        experiments.iter().filter(|it| !it.record.baseline && it.record.proposer == name).collect();
    let kept = own.iter().filter(|it| improved(it)).count();
    let gain: f64 = own.iter().filter(|it| improved(it)).filter_map(|it| it.record.delta).sum();
    let seconds = own.iter().map(|it| it.record.seconds.0).sum();
    let mut cost = Cost::default();
    for experiment in &own {
        cost += experiment.record.cost;
    }
    let mut parts = vec![format!("{kept} kept of {}", own.len())];
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
