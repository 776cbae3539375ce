//! `plot pareto`: two numeric columns of the experiments' table against each other.

use std::collections::HashMap;

use frames::DataFrame;
use lab::{Direction, Experiment};
use view::{
    Metric,
    chart::{Candidate, Chart, Side},
};

use super::Shelf;
use crate::failure::{ExitCode, Failure};
use crate::grammar::PlotArgs;
use crate::session::Session;

/// What stands beside the metric where no column is named, whichever is there first.
const USUAL: [&str; 4] = ["peak_vram_mb", "peak_memory_mb", "num_params_M", "seconds"];
/// Parts of names of what is better when it is lower, and when it is higher.
const LOWER: [&str; 30] = [
    "loss",
    "bpb",
    "bpc",
    "ppl",
    "perplexity",
    "err",
    "error",
    "mse",
    "mae",
    "rmse",
    "time",
    "seconds",
    "sec",
    "ms",
    "latency",
    "vram",
    "memory",
    "mem",
    "mb",
    "gb",
    "params",
    "flops",
    "usd",
    "cost",
    "watts",
    "energy",
    "wer",
    "cer",
    "fid",
    "tokens",
];
const HIGHER: [&str; 22] = [
    "acc",
    "accuracy",
    "auc",
    "f1",
    "bleu",
    "rouge",
    "score",
    "reward",
    "return",
    "mfu",
    "throughput",
    "tps",
    "fps",
    "r2",
    "precision",
    "recall",
    "map",
    "psnr",
    "ssim",
    "iou",
    "dice",
    "speedup",
];

pub(super) fn chart(args: &PlotArgs, shelf: &Shelf, session: &Session) -> Result<Chart, Failure> {
    let metric = shelf.metric(session)?;
    let frame = super::frames(session)?.experiments(&shelf.tag)?;
    let named: Vec<&str> = args.of.iter().map(|word| word.0.as_str()).collect();
    let (x, y) = match named[..] {
        [x, y] => (x.to_owned(), y.to_owned()),
        _ => (metric.name.clone(), usual(&frame)),
    };
    let values = [column(&frame, &x, &metric)?, column(&frame, &y, &metric)?];
    let sides = [side(&x, args, &metric)?, side(&y, args, &metric)?];
    let known: HashMap<String, &Experiment> =
        shelf.experiments.iter().map(|one| (one.record.id.to_string(), one)).collect();
    let best = lab::experiment::best(&shelf.experiments).or(shelf.experiments.last());
    let epoch = best.map(|best| best.record.epoch.clone());
    let (mut candidates, mut earlier, mut without) = (Vec::new(), 0, 0);
    for (row, id) in frames::words(&frame, "id")?.iter().enumerate() {
        let Some(experiment) = known.get(id) else { continue };
        let record = &experiment.record;
        match (values[0][row], values[1][row]) {
            // What was measured under other terms is not to be compared.
            _ if Some(&record.epoch) != epoch.as_ref() => earlier += 1,
            (Some(x), Some(y)) => candidates.push(Candidate {
                label: shelf.label(experiment),
                hypothesis: record.hypothesis.clone(),
                status: record.status,
                at: (x, y),
            }),
            _ => without += 1,
        }
    }
    let aside = [(without, "lack one of them"), (earlier, "of other epochs are not compared")];
    let aside: Vec<String> =
        aside.into_iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
    Ok(view::chart::pareto(&candidates, &sides[0], &sides[1], &aside))
}

fn usual(frame: &DataFrame) -> String {
    let there = USUAL.into_iter().find(|name| frame.column(name).is_ok());
    there.unwrap_or("seconds").to_owned()
}

/// The numbers of a column; the metric has its own name too where the runs printed it otherwise.
fn column(frame: &DataFrame, name: &str, metric: &Metric) -> Result<Vec<Option<f64>>, Failure> {
    let name = if name == metric.name && frame.column(name).is_err() { "value" } else { name };
    let numeric = |name: &str| frame.column(name).is_ok_and(|column| column.dtype().is_primitive_numeric());
    if numeric(name) {
        return Ok(frames::numbers(frame, name)?);
    }
    let names = frame.get_column_names();
    let known: Vec<&str> = names.iter().map(|name| name.as_str()).filter(|name| numeric(name)).collect();
    let message = match frame.column(name) {
        Ok(_) => format!("the column `{name}` has no numbers"),
        Err(_) => format!("the experiments have no column `{name}`"),
    };
    let hint = match known.is_empty() {
        true => "there is none yet: `loop start` begins".to_owned(),
        false => format!("there are {}", known.join(", ")),
    };
    Err(Failure::new(message).hint(hint).code(ExitCode::Usage))
}

/// Which way a column is better: as the person says, as the lab does, or as such names usually are.
fn side(name: &str, args: &PlotArgs, metric: &Metric) -> Result<Side, Failure> {
    let side = |direction, assumed, unit| Ok(Side { name: name.to_owned(), unit, direction, assumed });
    let said = |names: &[String]| names.iter().any(|said| said == name);
    match (said(&args.minimize), said(&args.maximize)) {
        (true, true) => {
            let message = format!("`{name}` cannot be better both lower and higher");
            return Err(Failure::new(message).code(ExitCode::Usage));
        }
        (true, false) => return side(Direction::Minimize, false, None),
        (false, true) => return side(Direction::Maximize, false, None),
        (false, false) => {}
    }
    if name == metric.name || name == "value" {
        return side(metric.direction, false, metric.unit.clone());
    }
    match guess(name) {
        Some(direction) => side(direction, true, None),
        None => Err(Failure::new(format!("nothing says whether `{name}` is better lower or higher"))
            .hint(format!("`--minimize {name}` or `--maximize {name}`"))
            .code(ExitCode::Usage)),
    }
}

fn guess(name: &str) -> Option<Direction> {
    let lower = name.to_lowercase();
    // A speed is a count by a time, whatever the parts mean alone.
    let speeds = ["/s", "/sec", "/second", "per_s", "per_sec", "per_second"];
    if speeds.iter().any(|speed| lower.ends_with(speed)) {
        return Some(Direction::Maximize);
    }
    let parts: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let has = |known: &[&str]| parts.iter().any(|part| known.contains(part));
    match (has(&LOWER), has(&HIGHER)) {
        (true, false) => Some(Direction::Minimize),
        (false, true) => Some(Direction::Maximize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_way_is_better() {
        for name in [
            "val_loss",
            "peak_vram_mb",
            "num_params_M",
            "training_seconds",
            "usd",
            "input_tokens",
            "val_loss/seq",
        ] {
            assert_eq!(guess(name), Some(Direction::Minimize), "{name}");
        }
        for name in ["val_acc", "mfu", "tokens_per_second", "tok/sec", "eval.f1"] {
            assert_eq!(guess(name), Some(Direction::Maximize), "{name}");
        }
        for name in ["depth", "number", "loss_score", "massive"] {
            assert_eq!(guess(name), None, "{name}");
        }
    }
}
