//! Fills a ledger for benches and says how long that took: `fill LAB EXPERIMENTS STEPS` tries copies of the newest
//! experiment, each with a candidate, a value and metrics of its own, as a loop does, and prints JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, error::Error, path::Path};

use lab::{ExperimentId, Metrics, Record, Seconds, Status, Tag, metrics::Row};
use ledger::{Edit, Ledger};
use uuid::Uuid;

/// After how many appends a runner has the ledger looked over.
const TIDY: u64 = 32;
/// The file that candidates differ in.
const FILE: &str = "train.py";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, root, experiments, steps] = arguments.as_slice() else {
        return Err("fill LAB EXPERIMENTS STEPS".into());
    };
    let (experiments, steps): (u64, u64) = (experiments.parse()?, steps.parse()?);
    let ledger = Ledger::open(Path::new(root))?;
    let tag = Tag::default();
    let last = ledger.experiments(&tag)?.pop().ok_or("the ledger has no experiment to copy")?;
    let mut record = Record::clone(&last.record);
    record.baseline = false;
    let parent = record.candidate.clone();
    let file = ledger.read(&parent, FILE)?.ok_or("the candidate has no train.py")?;
    let file = String::from_utf8(file)?;
    let (start, mut appends, mut tidying) = (record.number + 1, Vec::new(), Duration::ZERO);
    for number in start..start + experiments {
        let value = 1.0 + 1.0 / (number as f64 + 1.0);
        // Spread over a range, by the golden ratio: no two are the same.
        let rate = 0.02 + 0.06 * (number as f64 * 0.618_033_988_75).fract();
        let lines = file.lines().map(|line| match line.split_once(" = ") {
            Some(("LR", _)) => format!("LR = {rate:.9}\n"),
            _ => format!("{line}\n"),
        });
        let edit = Edit { path: FILE.to_owned(), content: Some(lines.collect::<String>().into_bytes()) };
        record.candidate = ledger.candidate(&parent, &[edit], &format!("LR = {rate:.9}"))?;
        record.parent = Some(parent.clone());
        record.number = number;
        record.id = ExperimentId(Uuid::now_v7());
        record.started += jiff::SignedDuration::from_secs(60);
        record.status = if number % 17 == 0 { Status::Keep } else { Status::Discard };
        (record.value, record.delta) = (Some(value), Some(-1e-4));
        let row = |step: u64| Row {
            step,
            time: Seconds(step as f64 / 100.0),
            values: ["loss", "lr", "tok/sec"].map(|name| (name.to_owned(), value / (step + 1) as f64)).into(),
        };
        let metrics = Metrics { rows: (0..steps).map(row).collect(), summary: BTreeMap::new() };
        let began = Instant::now();
        ledger.append(&record, "Make it better.\n", &metrics, b"log\n")?;
        appends.push(began.elapsed().as_secs_f64() * 1e3);
        if number.is_multiple_of(TIDY) {
            let began = Instant::now();
            ledger.pack(&tag)?;
            tidying += began.elapsed();
        }
    }
    let part = appends.len().div_ceil(10);
    println!(
        "{{\"append_ms\": {:.3}, \"append_p95_ms\": {:.3}, \"first_tenth_ms\": {:.3}, \"last_tenth_ms\": {:.3}, \
         \"tidy_ms_each\": {:.3}}}",
        at(&appends, 0.5),
        at(&appends, 0.95),
        at(&appends[..part], 0.5),
        at(&appends[appends.len() - part..], 0.5),
        tidying.as_secs_f64() * 1e3 / experiments.max(1) as f64,
    );
    Ok(())
}

/// The value below which that share of them is.
fn at(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((share * sorted.len() as f64) as usize).copied().unwrap_or(f64::NAN)
}
