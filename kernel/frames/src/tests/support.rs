//! A lab with a ledger, a journal and run folders, in a folder that goes away with it.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::Command,
};

use jiff::{SignedDuration, Timestamp};
use lab::{
    CommitId, Cost, Direction, Entry, Environment, Epoch, Event, EventId, ExperimentId, MetricName, Metrics,
    Record, RunId, RunRecord, Seconds, Status, Tag, metrics::Row,
};
use ledger::Ledger;
use tempfile::TempDir;
use uuid::Uuid;

use crate::Frames;

pub(super) struct Lab {
    folder: TempDir,
    pub(super) tag: Tag,
    head: CommitId,
}

impl Lab {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lab");
        fs::create_dir(&root).unwrap();
        let git = |words: &str| {
            let done = Command::new("git").current_dir(&root).args(words.split(' ')).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        git("init -q -b main");
        git("config user.name Ada");
        git("config user.email ada@example.org");
        fs::write(root.join("train.py"), "DEPTH = 8\n").unwrap();
        git("add .");
        git("commit -q -m start");
        let head = Ledger::open(&root).unwrap().snapshot().unwrap().commit;
        Self { folder, tag: Tag::default(), head }
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger::open(&self.folder.path().join("lab")).unwrap()
    }

    pub(super) fn frames(&self) -> Frames {
        Frames::new(self.ledger(), self.folder.path().join("cache"))
    }

    pub(super) fn run_folder(&self, run: RunId) -> PathBuf {
        let folder = self.folder.path().join("cache/runs").join(run.to_string());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Appends a record with three steps of `loss`.
    pub(super) fn append(&self, change: impl FnOnce(&mut Record)) -> Record {
        let ledger = self.ledger();
        let mut record = record(&ledger, &self.tag, &self.head);
        change(&mut record);
        let rows = (0..3).map(|i| row(i * 10, 3.0 - i as f64 / 10.0)).collect();
        let metrics = Metrics { rows, summary: BTreeMap::new() };
        ledger.append(&record, "Make it better.\n", &metrics, b"log\n").unwrap();
        record
    }

    /// Writes a line of the journal.
    pub(super) fn journal(&self, seconds: i64, event: Event) -> Entry {
        let entry = Entry {
            schema: lab::SCHEMA,
            id: EventId(Uuid::from_u128(0xe000_0000_0000_7000_8000_0000_0000_0000 + seconds as u128)),
            at: start() + SignedDuration::from_secs(seconds),
            author: "overnight".to_owned(),
            tag: self.tag.clone(),
            writer: None,
            event,
        };
        Self::line(&self.ledger().state_dir().join("events.jsonl"), &serde_json::to_string(&entry).unwrap());
        entry
    }

    pub(super) fn line(path: &std::path::Path, line: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

pub(super) fn start() -> Timestamp {
    "2026-11-20T22:00:00Z".parse().unwrap()
}

pub(super) fn row(step: u64, loss: f64) -> Row {
    Row { step, time: Seconds(step as f64), values: BTreeMap::from([("loss".to_owned(), loss)]) }
}

pub(super) fn id(number: u64) -> ExperimentId {
    ExperimentId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)))
}

fn record(ledger: &Ledger, tag: &Tag, head: &CommitId) -> Record {
    let number = ledger.experiments(tag).unwrap().len() as u64;
    Record {
        schema: lab::SCHEMA,
        number,
        id: id(number),
        writer: ledger.writer().unwrap(),
        tag: tag.clone(),
        status: Status::Keep,
        value: Some(0.99),
        delta: None,
        confidence: None,
        parent: None,
        candidate: head.clone(),
        baseline: number == 0,
        hypothesis: "halve the batch".to_owned(),
        proposer: "search".to_owned(),
        started: start(),
        seconds: Seconds(301.5),
        runs: vec![RunRecord { seed: 42, value: Some(0.99), seconds: Seconds(300.0), exit: "0".to_owned() }],
        summary: BTreeMap::from([("val_bpb".to_owned(), 0.99), ("seconds".to_owned(), 299.9)]),
        cost: Cost::default(),
        reason: "the baseline".to_owned(),
        claim: None,
        author: "Ada".to_owned(),
        program: "0".repeat(40),
        rule: "1".to_owned(),
        metric: MetricName::new("val_bpb"),
        direction: Direction::Minimize,
        epoch: Epoch::new("e1"),
        environment: Environment::default(),
        other: serde_json::Map::new(),
    }
}
