use insta::assert_snapshot;
use lab::{Event, Status};
use polars::prelude::{DataFrame, DataType, TimeUnit};

use super::support::{Lab, id};
use crate::{FramesError, Which, experiments_json, metrics_json, rows_json};

fn types(frame: &DataFrame) -> String {
    frame.columns().iter().map(|c| format!("{}: {}", c.name(), c.dtype())).collect::<Vec<_>>().join(", ")
}

#[test]
fn an_empty_ledger_has_all_tables_with_their_types() {
    let lab = Lab::new();
    let mut frames = lab.frames();
    let experiments = frames.experiments(&lab.tag).unwrap();
    assert_eq!(experiments.height(), 0);
    assert_eq!(
        experiments.column("started").unwrap().dtype(),
        &DataType::Datetime(TimeUnit::Microseconds, None)
    );
    assert_snapshot!(types(&frames.runs(&lab.tag).unwrap()), @"experiment: i64, run: i64, id: str, seed: i64, value: f64, seconds: f64, exit: str, peer: str");
    assert_snapshot!(types(&frames.events(&lab.tag).unwrap()), @"at: datetime[μs], author: str, event: str, experiment: i64, text: str, detail: str, id: str, peer: str");
    assert_snapshot!(types(&frames.metrics(&lab.tag, Which::All).unwrap()), @"experiment: i64, run: i64, step: i64, time: f64");
    assert_eq!(frames.sql(&lab.tag, "SELECT * FROM experiments").unwrap().height(), 0);
    let error = frames.metrics(&lab.tag, Which::Number(3)).unwrap_err();
    assert_snapshot!(error, @"no experiment 3 in `main`");
    assert!(error.hint().unwrap().contains("no experiments yet"));
}

#[test]
fn a_row_for_each_experiment_with_its_summary() {
    let lab = Lab::new();
    lab.append(|_| ());
    lab.append(|r| {
        (r.status, r.value) = (Status::Crash, None);
        r.summary.clear();
    });
    // Ended at its budget: a value, but no summary.
    lab.append(|r| r.summary.clear());
    let mut frames = lab.frames();
    let frame = frames.experiments(&lab.tag).unwrap();
    assert_snapshot!(types(&frame), @"number: i64, id: str, status: str, value: f64, delta: f64, confidence: f64, parent: str, candidate: str, baseline: bool, hypothesis: str, proposer: str, started: datetime[μs], seconds: f64, runs: i64, reason: str, claim: str, judged: str, notes: str, author: str, metric: str, direction: str, epoch: str, program: str, rule: str, writer: str, peer: str, tag: str, usd: f64, input_tokens: i64, output_tokens: i64, host: str, cpu: str, gpu: str, toolchain: str, val_bpb: f64, seconds_: f64");
    let shown = frames
        .sql(&lab.tag, "SELECT number, status, value, val_bpb, seconds, seconds_ FROM experiments")
        .unwrap();
    assert_snapshot!(rows_json(&shown), @r#"[{"number":0,"status":"keep","value":0.99,"val_bpb":0.99,"seconds":301.5,"seconds_":299.9},{"number":1,"status":"crash","value":null,"val_bpb":null,"seconds":301.5,"seconds_":null},{"number":2,"status":"keep","value":0.99,"val_bpb":0.99,"seconds":301.5,"seconds_":null}]"#);
    let kept = frames
        .sql(&lab.tag, "SELECT COUNT(*) AS n FROM experiments WHERE status = 'keep' AND val_bpb < 1;")
        .unwrap();
    assert_snapshot!(rows_json(&kept), @r#"[{"n":2}]"#);
    let runs = frames.sql(&lab.tag, "SELECT r.exit, e.status FROM runs r JOIN experiments e ON r.experiment = e.number ORDER BY e.number").unwrap();
    assert_eq!(runs.height(), 3);
}

#[test]
fn the_frame_is_kept_beside_the_ledger_and_made_anew_where_it_is_spoilt() {
    let lab = Lab::new();
    lab.append(|_| ());
    let made = lab.frames().experiments(&lab.tag).unwrap();
    let folder = lab.ledger().state_dir().join("cache");
    let files = || std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files().len(), 1);
    assert!(lab.frames().experiments(&lab.tag).unwrap().equals_missing(&made));
    std::fs::write(&files()[0], b"ARROW1 spoilt").unwrap();
    assert!(lab.frames().experiments(&lab.tag).unwrap().equals_missing(&made));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(lab.frames().experiments(&lab.tag).unwrap().equals_missing(&made));
    lab.append(|_| ());
    assert_eq!(lab.frames().experiments(&lab.tag).unwrap().height(), 2);
    assert_eq!(files().len(), 1);
}

/// In a process that goes on, and from a file that is older than the ledger.
#[test]
fn a_table_that_has_grown_is_the_table_that_is_made_anew() {
    let lab = Lab::new();
    lab.append(|_| ());
    let mut open = lab.frames();
    let check = |open: &mut crate::Frames, what: &str| {
        let grown = open.experiments(&lab.tag).unwrap();
        let from_file = lab.frames().experiments(&lab.tag).unwrap();
        std::fs::remove_dir_all(lab.ledger().state_dir().join("cache")).unwrap();
        let anew = lab.frames().experiments(&lab.tag).unwrap();
        assert!(grown.equals_missing(&anew), "{what}: {grown} {anew}");
        assert!(from_file.equals_missing(&anew), "{what}: {from_file} {anew}");
    };
    check(&mut open, "one");
    lab.append(|record| record.status = lab::Status::Discard);
    check(&mut open, "the same columns");
    lab.append(|record| {
        (record.status, record.value) = (lab::Status::Crash, None);
        record.summary.clear();
    });
    check(&mut open, "without a summary");
    lab.append(|record| {
        record.summary.insert("peak".to_owned(), 7.0);
    });
    check(&mut open, "another column");
    lab.append(|record| record.metric = lab::MetricName::new("loss"));
    check(&mut open, "another metric");
    lab.append(|record| record.writer = "peer".to_owned());
    check(&mut open, "of another clone");
    lab.append(|_| ());
    check(&mut open, "ours before that one");
    lab.ledger()
        .append_event(&lab.journal(5, Event::Noted { experiment: id(1), text: "real".to_owned() }))
        .unwrap();
    check(&mut open, "a note");
    for _ in 0..crate::WORTH_KEEPING {
        lab.append(|_| ());
        open.experiments(&lab.tag).unwrap();
    }
    check(&mut open, "many");
}

#[test]
fn a_frame_that_is_open_sees_what_is_appended_and_what_people_say() {
    let lab = Lab::new();
    lab.append(|_| ());
    let mut frames = lab.frames();
    assert_eq!(frames.experiments(&lab.tag).unwrap().height(), 1);
    assert_eq!(frames.metrics(&lab.tag, Which::All).unwrap().height(), 3);
    lab.append(|_| ());
    let mut note = lab.journal(5, Event::Noted { experiment: id(1), text: "looks real".to_owned() });
    "Ada".clone_into(&mut note.author);
    lab.ledger().append_event(&note).unwrap();
    assert_eq!(frames.experiments(&lab.tag).unwrap().height(), 2);
    assert_eq!(frames.metrics(&lab.tag, Which::All).unwrap().height(), 6);
    let noted = frames.sql(&lab.tag, "SELECT notes FROM experiments WHERE notes IS NOT NULL").unwrap();
    assert_snapshot!(rows_json(&noted), @r#"[{"notes":"Ada: looks real"}]"#);
    // In the journal and in the ledger, and told once.
    let events = frames.sql(&lab.tag, "SELECT event, experiment, text FROM events").unwrap();
    assert_snapshot!(rows_json(&events), @r#"[{"event":"noted","experiment":1,"text":"looks real"}]"#);
}

#[test]
fn metrics_of_many_are_kept_beside_the_ledger() {
    let lab = Lab::new();
    for _ in 0..crate::WORTH_KEEPING {
        lab.append(|_| ());
    }
    let read = || lab.frames().metrics(&lab.tag, Which::All).unwrap();
    let made = read();
    let kept = lab.ledger().state_dir().join("cache/metrics-2-main.arrow");
    assert!(kept.is_file(), "{}", kept.display());
    assert!(read().equals_missing(&made));
    lab.append(|_| ());
    let more = read();
    assert!(more.height() > made.height(), "what came later is read too");
    std::fs::write(&kept, "spoilt").unwrap();
    assert!(read().equals_missing(&more));
}

#[test]
fn frames_with_names_are_tables_too() {
    let lab = Lab::new();
    lab.append(|_| ());
    let folder = tempfile::tempdir().unwrap();
    let mut frames = lab.frames().with_named(Some(folder.path()));
    let answer = frames.sql(&lab.tag, "SELECT number FROM experiments").unwrap();
    frames.save("Mine", &answer).unwrap();
    assert_eq!(frames.sql(&lab.tag, "SELECT * FROM Mine").unwrap().height(), 1);
    for name in ["metrics", "no name", ""] {
        assert!(matches!(frames.save(name, &answer), Err(FramesError::Name { .. })), "{name}");
    }
    assert!(matches!(lab.frames().save("mine", &answer), Err(FramesError::NowhereToSave)));
    let error = frames.sql(&lab.tag, "SELECT * FROM Mina").unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.starts_with("did you mean `Mine`?")), "{error:?}");
}

#[test]
fn errors_of_sql_say_what_to_write() {
    let lab = Lab::new();
    lab.append(|_| ());
    let mut frames = lab.frames();
    let mut explain = |query: &str| {
        let error = frames.sql(&lab.tag, query).unwrap_err();
        assert!(matches!(error, FramesError::Sql { .. }), "{error}");
        format!("{error}\n{}", error.hint().unwrap_or_default())
    };
    assert_snapshot!(explain("SELECT val_bbp FROM experiments"), @r#"
    SQL: unable to find column "val_bbp"
    1 | SELECT val_bbp FROM experiments
      |        ^
    did you mean `val_bpb`?
    "#);
    assert_snapshot!(explain("SELECT * FROM experiment"), @r"
    SQL: relation 'experiment' was not found
    1 | SELECT * FROM experiment
      |               ^
    did you mean `experiments`? the tables are experiments, metrics, runs, events
    ");
    assert_snapshot!(explain("SELEC 1"), @r"
    SQL: Expected: an SQL statement, found: SELEC
    1 | SELEC 1
      | ^
    ");
    assert_snapshot!(explain(" ; "), @r"
    SQL: the query is empty
    for example SELECT * FROM experiments WHERE status = 'keep' ORDER BY value
    ");
}

#[test]
fn json_for_scripts() {
    let lab = Lab::new();
    lab.append(|_| ());
    let mut frames = lab.frames();
    let list = frames.list(&lab.tag).unwrap();
    let list: Vec<_> = list.iter().collect();
    let json = experiments_json("lab", &lab.tag, ("val_bpb", lab::Direction::Minimize, None), &list);
    assert_eq!(json["schema"], 1);
    assert_eq!(json["metric"]["direction"], "minimize");
    for field in [
        "number",
        "id",
        "status",
        "value",
        "delta",
        "confidence",
        "parent",
        "candidate",
        "hypothesis",
        "proposer",
        "started",
        "seconds",
        "runs",
        "summary",
        "cost",
        "reason",
        "claim",
        "author",
        "program",
        "rule",
        "environment",
    ] {
        assert!(json["experiments"][0].get(field).is_some(), "{field}");
    }
    assert_snapshot!(metrics_json(&frames.metrics(&lab.tag, Which::Number(0)).unwrap()), @r#"{"schema":1,"columns":{"step":[0,10,20],"time":[0.0,10.0,20.0],"loss":[3.0,2.9,2.8]}}"#);
}
