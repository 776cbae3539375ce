//! A look at a ledger reads what is new, and shares the rest: counted, not timed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lab::{Entry, Event, EventId, Experiment, ExperimentId, Metrics, Record, Status, Tag};
use ledger::Ledger;
use serde_json::json;
use uuid::Uuid;

fn git(folder: &Path, words: &str) {
    let done = Command::new("git").current_dir(folder).args(words.split(' ')).status().unwrap();
    assert!(done.success(), "git {words}");
}

fn record(ledger: &Ledger, writer: &str, number: u64) -> Record {
    serde_json::from_value(json!({
        "schema": 1, "number": number, "id": Uuid::now_v7(), "writer": writer, "tag": "main", "status": "discard",
        "value": 1.0, "delta": 0.1, "confidence": null, "parent": null, "candidate": ledger.head().unwrap(),
        "baseline": false, "hypothesis": "", "proposer": "search", "started": "2026-03-05T22:00:00Z", "seconds": 20.0,
        "runs": [], "summary": {}, "reason": "", "claim": null, "author": "a", "program": "p", "rule": "1",
        "metric": "m", "direction": "minimize", "epoch": "e", "environment": {"host": "h", "cpu": "c", "inputs": {}},
    }))
    .unwrap()
}

fn said(second: i64, event: Event) -> Entry {
    let at = jiff::Timestamp::from_second(1_790_000_000 + second).unwrap();
    let id = EventId(Uuid::now_v7());
    Entry { schema: 1, id, at, author: "Ada".to_owned(), tag: Tag::default(), writer: None, event }
}

fn noted(experiment: ExperimentId) -> Event {
    Event::Noted { experiment, text: "look".to_owned() }
}

/// How many records of `new` are the same in memory as one of `old`.
fn shared(old: &[Experiment], new: &[Experiment]) -> usize {
    let known = |it: &&Experiment| old.iter().any(|other| Arc::ptr_eq(&other.record, &it.record));
    new.iter().filter(known).count()
}

#[test]
fn a_look_shares_what_it_knows_and_tells_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), "init -q -b main");
    git(folder.path(), "-c user.name=a -c user.email=a@b commit -q --allow-empty -m start");
    let (ledger, tag) = (Ledger::open(folder.path()).unwrap(), Tag::default());
    let own = ledger.writer().unwrap();
    let append = |record: &Record| ledger.append(record, "", &Metrics::default(), b"").unwrap();
    let records: Vec<Record> = (0..120).map(|number| record(&ledger, &own, number)).collect();
    for record in &records[..119] {
        append(record);
    }
    let before = ledger.known(&tag).unwrap();
    append(&records[119]);
    ledger.append_event(&said(1, Event::Steered { text: "wider".to_owned(), cell: None })).unwrap();
    let after = ledger.known(&tag).unwrap();
    let (new, heard) = after.since(&before).unwrap();
    assert_eq!((new.len(), heard.len(), new[0].record.number), (1, 1, 119));
    assert_eq!(shared(&before.experiments, &after.experiments), 119);
    assert_eq!(ledger.changes(&tag, before.tip.as_ref()).unwrap().records.len(), 1);

    // A person's word on an earlier one makes that one anew.
    let decided =
        Event::Overridden { experiment: records[7].id, status: Status::Keep, reason: String::new() };
    ledger.append_event(&said(2, decided)).unwrap();
    ledger.append_event(&said(3, noted(records[7].id))).unwrap();
    let told = ledger.known(&tag).unwrap();
    assert!(told.since(&after).is_none());
    assert_eq!(shared(&after.experiments, &told.experiments), 119);
    let seventh = &told.experiments[7];
    assert_eq!(
        (seventh.record.status, seventh.notes.as_slice()),
        (Status::Keep, &["Ada: look".to_owned()][..])
    );

    // Of another machine's: an event that came before its experiment, and the others' experiments before our own.
    let peer = record(&ledger, "peer", 3);
    ledger.append_event(&said(4, noted(peer.id))).unwrap();
    append(&peer);
    append(&record(&ledger, &own, 120));
    let all = ledger.known(&tag).unwrap();
    let told: Vec<_> = all.experiments.iter().map(|it| (it.record.number, it.notes.len())).collect();
    assert_eq!((told[0], told[1], &told[120..]), ((3, 1), (0, 0), &[(119, 0), (120, 0)][..]));
    assert_eq!(*all.experiments, *Ledger::open(folder.path()).unwrap().known(&tag).unwrap().experiments);
}
