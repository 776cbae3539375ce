//! Fills a ledger for benches: `fill LAB EXPERIMENTS STEPS` appends copies of the newest experiment, each with
//! an own value and own metrics.

use std::collections::BTreeMap;
use std::{env, error::Error, path::Path};

use lab::{ExperimentId, Metrics, Seconds, Status, Tag, metrics::Row};
use ledger::Ledger;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, root, experiments, steps] = arguments.as_slice() else {
        return Err("fill LAB EXPERIMENTS STEPS".into());
    };
    let (experiments, steps): (u64, u64) = (experiments.parse()?, steps.parse()?);
    let ledger = Ledger::open(Path::new(root))?;
    let tag = Tag::default();
    let mut record = ledger.experiments(&tag)?.pop().ok_or("the ledger has no experiment to copy")?.record;
    record.baseline = false;
    let start = record.number + 1;
    for number in start..start + experiments {
        let value = 1.0 + 1.0 / (number as f64 + 1.0);
        record.number = number;
        record.id = ExperimentId(Uuid::now_v7());
        record.status = if number % 17 == 0 { Status::Keep } else { Status::Discard };
        (record.value, record.delta) = (Some(value), Some(-1e-4));
        let row = |step: u64| Row {
            step,
            time: Seconds(step as f64 / 100.0),
            values: ["loss", "lr", "tok/sec"].map(|name| (name.to_owned(), value / (step + 1) as f64)).into(),
        };
        let metrics = Metrics { rows: (0..steps).map(row).collect(), summary: BTreeMap::new() };
        ledger.append(&record, "Make it better.\n", &metrics, b"log\n")?;
    }
    Ok(())
}
