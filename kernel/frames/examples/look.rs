//! How long a look at a ledger takes in a process that goes on: `look LAB` prints JSON, in milliseconds.

use std::time::Instant;
use std::{env, error::Error, path::Path};

use frames::Frames;
use lab::{ExperimentId, Metrics, Record, Tag};
use ledger::Ledger;

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::args().nth(1).ok_or("look LAB")?;
    let tag = Tag::default();
    let mut told = Vec::new();
    let mut time = |what: &str, work: &mut dyn FnMut() -> Result<(), Box<dyn Error>>| {
        let began = Instant::now();
        work()?;
        told.push(format!("\"{what}\": {:.3}", began.elapsed().as_secs_f64() * 1e3));
        Ok::<(), Box<dyn Error>>(())
    };
    let ledger = Ledger::open(Path::new(&root))?;
    let mut known = None;
    time("records_first", &mut || {
        known = Some(ledger.known(&tag)?);
        Ok(())
    })?;
    let last =
        known.as_ref().and_then(|known| known.experiments.last()).ok_or("it has no experiments")?.clone();
    time("records_again", &mut || Ok(drop(ledger.known(&tag)?)))?;
    time("details", &mut || {
        ledger.metrics_file(&tag, last.record.id)?;
        ledger.log(&tag, last.record.id)?;
        Ok(())
    })?;
    let mut frames = Frames::new(Ledger::open(Path::new(&root))?, &root);
    time("frame_first", &mut || Ok(drop(frames.experiments(&tag)?)))?;
    time("frame_again", &mut || Ok(drop(frames.experiments(&tag)?)))?;
    let mut record = Record::clone(&last.record);
    (record.number, record.id) = (record.number + 1, ExperimentId(uuid::Uuid::now_v7()));
    ledger.append(&record, "Make it better.\n", &Metrics::default(), b"log\n")?;
    time("records_after_one", &mut || Ok(drop(ledger.known(&tag)?)))?;
    time("frame_after_one", &mut || Ok(drop(frames.experiments(&tag)?)))?;
    println!("{{{}}}", told.join(", "));
    Ok(())
}
