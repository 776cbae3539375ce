//! Real repositories for the tests, made by the real `git`.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;
use lab::{
    CommitId, Cost, Direction, Entry, Environment, Epoch, Event, EventId, ExperimentId, MetricName, Metrics,
    Record, RunRecord, Seconds, Status, Tag, metrics::Row,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::Ledger;

/// A researcher's repository with one commit, in a folder that goes away with it.
pub(crate) struct Lab {
    folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(lab.root()).unwrap();
        lab.git("init -q -b main");
        for setting in ["user.name Ada", "user.email ada@example.org", "gc.auto 0", "commit.gpgsign false"] {
            lab.git(&format!("config {setting}"));
        }
        lab.write("train.py", "DEPTH = 8\n");
        lab.write("prepare.py", "print()\n");
        lab.write("program.md", "Make it better.\n");
        lab.write(".gitignore", "ignored\n");
        lab.git("add .");
        lab.git("commit -q -m start");
        lab
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::open(&self.root()).unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// A path beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs git with words parted by spaces, and gives what it printed.
    pub(crate) fn git(&self, words: &str) -> String {
        git(&self.root(), words)
    }

    /// All of the researcher's state that nothing of ours may change.
    pub(crate) fn state(&self) -> impl PartialEq + std::fmt::Debug {
        let root = self.root();
        let head = fs::read_to_string(root.join(".git/HEAD")).unwrap();
        let stash = self.git("stash list");
        let index = fs::read(root.join(".git/index")).unwrap();
        let status = self.git("--no-optional-locks status --porcelain --branch");
        (status, index, head, stash, self.git("rev-parse HEAD"))
    }
}

/// Appends an experiment with two steps and a line of log.
pub(crate) fn append(ledger: &Ledger, record: &Record) -> CommitId {
    ledger.append(record, "Make it better.\n", &metrics(), b"step 1\n").unwrap()
}

/// Runs git in a folder.
pub(crate) fn git(folder: &Path, words: &str) -> String {
    let output = Command::new("git").current_dir(folder).args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {words}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// An experiment on HEAD.
pub(crate) fn record(ledger: &Ledger, number: u64) -> Record {
    Record {
        schema: lab::SCHEMA,
        number,
        id: ExperimentId(Uuid::now_v7()),
        writer: ledger.writer().unwrap(),
        tag: Tag::default(),
        status: Status::Keep,
        value: Some(0.9932),
        delta: Some(-0.0021),
        confidence: None,
        parent: None,
        candidate: ledger.head().unwrap(),
        baseline: number == 0,
        hypothesis: "halve the batch".to_owned(),
        proposer: "search".to_owned(),
        started: Timestamp::from_second(1_790_000_000 + number as i64).unwrap(),
        seconds: Seconds(20.0),
        runs: vec![RunRecord { seed: 1, value: Some(0.9932), seconds: Seconds(20.0), exit: "0".to_owned() }],
        summary: BTreeMap::from([("val_bpb".to_owned(), 0.9932)]),
        cost: Cost::default(),
        reason: "better than the best".to_owned(),
        claim: None,
        author: "Ada".to_owned(),
        program: String::new(),
        rule: "1".to_owned(),
        metric: MetricName::new("val_bpb"),
        direction: Direction::Minimize,
        epoch: Epoch::new("e1"),
        environment: Environment::default(),
        other: serde_json::Map::new(),
    }
}

/// An event at a time, in seconds.
pub(crate) fn entry(event: Event, second: i64) -> Entry {
    Entry {
        schema: lab::SCHEMA,
        id: EventId(Uuid::now_v7()),
        at: Timestamp::from_second(second).unwrap(),
        author: "Ada".to_owned(),
        tag: Tag::default(),
        writer: None,
        event,
    }
}

/// Two steps.
pub(crate) fn metrics() -> Metrics {
    let row = |step: u64, loss: f64| Row {
        step,
        time: Seconds(step as f64),
        values: BTreeMap::from([("loss".to_owned(), loss)]),
    };
    Metrics { rows: vec![row(1, 4.5), row(2, 3.25)], summary: BTreeMap::new() }
}
