//! Adds experiments and events to a ledger.

use git2::Oid;
use lab::{CommitId, Entry, ExperimentId, Metrics, Record, Seconds};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Ledger, LedgerError,
    advance::Step,
    message, metrics_file,
    open::check_writer,
    tree::{FOLDER, Leaf, event_path, experiment_path, put},
};

/// How hard logs are compressed: at this level one of a megabyte takes some milliseconds.
const LOG_LEVEL: i32 = 3;

/// The name of a record, which says whether it is the same.
#[derive(Deserialize)]
struct Named {
    id: ExperimentId,
}

impl Ledger {
    /// Adds an experiment with the program that it ran under, its metrics and its log, and gives the
    /// ledger's commit.
    ///
    /// Adding the same experiment (by its id) again changes nothing. `record.program` is set to the
    /// blob of `program`; numbers that JSON cannot hold are left out of the summary.
    ///
    /// # Errors
    /// Where the candidate is not in the repository, the number is taken by another experiment, or the
    /// repository cannot be written (full, read-only: with the path).
    pub fn append(
        &self,
        record: &Record,
        program: &str,
        metrics: &Metrics,
        log: &[u8],
    ) -> Result<CommitId, LedgerError> {
        check_writer(&record.writer)?;
        self.wait_for_collection();
        let candidate = self.commit(&record.candidate)?.id();
        let program = self.blob(program.as_bytes())?;
        let record = storable(record, program.oid);
        let json = to_json(&record, &format!("the record of experiment {}", record.number))?;
        let log = zstd::encode_all(log, LOG_LEVEL)
            .map_err(|e| LedgerError::Malformed { what: "the log".to_owned(), reason: e.to_string() })?;
        let files = [
            ("log.zst", self.blob(&log)?),
            ("metrics.parquet", self.blob(&metrics_file::encode(metrics)?)?),
            ("program.md", program),
            ("record.json", self.blob(&json)?),
        ];
        let step = Step {
            path: &experiment_path(&record),
            leaf: self.folder(&files)?,
            message: &message::of_record(&record),
            candidate: Some(candidate),
        };
        self.advance(&record.tag, &step, |there| self.same_experiment(&record, there))
    }

    /// Adds an event and gives the ledger's commit. Adding the same event (by its id) again changes
    /// nothing.
    pub fn append_event(&self, entry: &Entry) -> Result<CommitId, LedgerError> {
        self.wait_for_collection();
        let leaf = self.blob(&to_json(entry, &format!("the event {}", entry.id))?)?;
        let path = event_path(&self.writer()?, entry);
        let step = Step { path: &path, leaf, message: &message::of_event(entry), candidate: None };
        self.advance(&entry.tag, &step, |_| Ok(()))
    }

    /// Whether the experiment that has the number of `record` is the same one.
    fn same_experiment(&self, record: &Record, there: Leaf) -> Result<(), LedgerError> {
        let tree = self.repo.find_tree(there.oid)?;
        let what = || format!("the record of experiment {} in the ledger of `{}`", record.number, record.tag);
        let malformed = |reason: String| LedgerError::Malformed { what: what(), reason };
        let entry = tree.get_name("record.json").ok_or_else(|| malformed("it is missing".to_owned()))?;
        let blob = self.repo.find_blob(entry.id())?;
        let found: Named = serde_json::from_slice(blob.content()).map_err(|e| malformed(e.to_string()))?;
        if found.id == record.id {
            return Ok(());
        }
        Err(LedgerError::NumberTaken { tag: record.tag.clone(), number: record.number, by: found.id })
    }

    /// Writes a folder of files.
    fn folder(&self, files: &[(&str, Leaf)]) -> Result<Leaf, LedgerError> {
        let mut builder = self.repo.treebuilder(None)?;
        for (name, leaf) in files {
            builder.insert(name, leaf.oid, leaf.mode)?;
        }
        Ok(Leaf { oid: builder.write().map_err(|e| self.on_write(e))?, mode: FOLDER })
    }

    /// Writes the tree that `tree` becomes with `leaf` at `path`.
    pub(crate) fn put_in(
        &self,
        tree: &git2::Tree<'_>,
        path: &[impl AsRef<str>],
        leaf: Option<Leaf>,
    ) -> Result<git2::Tree<'_>, LedgerError> {
        let oid = put(&self.repo, Some(tree), path, leaf).map_err(|e| self.named(e))?;
        Ok(self.repo.find_tree(oid)?)
    }
}

/// The record as JSON can hold it: numbers only where there are some.
fn storable(record: &Record, program: Oid) -> Record {
    let mut record = record.clone();
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    record.program = program.to_string();
    record.value = finite(record.value);
    record.delta = finite(record.delta);
    record.confidence = finite(record.confidence);
    record.summary.retain(|_, value| value.is_finite());
    if !record.seconds.0.is_finite() {
        record.seconds = Seconds(0.0);
    }
    for run in &mut record.runs {
        run.value = finite(run.value);
        if !run.seconds.0.is_finite() {
            run.seconds = Seconds(0.0);
        }
    }
    record
}

/// `value` as JSON that can be read again: nothing gets into a ledger that cannot.
fn to_json<T: Serialize + DeserializeOwned>(value: &T, what: &str) -> Result<Vec<u8>, LedgerError> {
    let malformed =
        |e: serde_json::Error| LedgerError::Malformed { what: what.to_owned(), reason: e.to_string() };
    let json = serde_json::to_vec(value).map_err(malformed)?;
    serde_json::from_slice::<T>(&json).map_err(malformed)?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        collections::BTreeSet,
        fs,
        sync::{Arc, Barrier},
        thread,
    };

    use lab::{Claim, Event, Status, Tag};

    use super::*;
    use crate::{
        Edit,
        testing::{Lab, append, entry, metrics, record},
    };

    fn candidate(ledger: &Ledger, depth: u64) -> CommitId {
        let edit =
            Edit { path: "train.py".to_owned(), content: Some(format!("DEPTH = {depth}\n").into_bytes()) };
        ledger.candidate(&ledger.head().unwrap(), &[edit], &format!("depth {depth}")).unwrap()
    }

    #[test]
    fn what_was_appended_is_read_and_the_checkout_is_untouched() {
        let lab = Lab::new();
        lab.write("train.py", "DEPTH = 9\n");
        lab.write("untracked", "x");
        lab.write("stashed.py", "x");
        lab.git("add stashed.py");
        lab.git("stash push -q -- stashed.py");
        let before = lab.state();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        let mut experiment = record(&ledger, 1234);
        experiment.summary.insert("peak".to_owned(), f64::INFINITY);
        experiment.delta = Some(f64::NAN);
        experiment.other.insert("later".to_owned(), 7.into());
        let commit = ledger.append(&experiment, "Go.\n", &metrics(), b"step 1\xff\n").unwrap();

        assert_eq!(ledger.tip(&tag).unwrap(), Some(commit.clone()));
        let read = ledger.experiments(&tag).unwrap().remove(0).record;
        assert_eq!(ledger.program(&read.program).unwrap(), "Go.\n");
        assert_eq!(ledger.log(&tag, read.id).unwrap(), b"step 1\xff\n");
        assert_eq!(ledger.metrics(&tag, read.id).unwrap(), metrics());
        assert_eq!(ledger.metrics_file(&tag, read.id).unwrap()[..4], *b"PAR1");
        experiment.summary.remove("peak");
        experiment.delta = None;
        experiment.program.clone_from(&read.program);
        assert_eq!(*read, experiment);

        let writer = ledger.writer().unwrap();
        let files = lab.git(&format!("ls-tree -r --name-only {commit}")).replace(&writer, "WRITER");
        insta::assert_snapshot!(files, @r"
        experiments/WRITER/00/12/34/log.zst
        experiments/WRITER/00/12/34/metrics.parquet
        experiments/WRITER/00/12/34/program.md
        experiments/WRITER/00/12/34/record.json
        meta.json
        ");
        assert_eq!(lab.state(), before);
        lab.git("stash pop -q");
    }

    #[test]
    fn the_message_is_the_experiment_for_people() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let mut experiment = record(&ledger, 17);
        experiment.proposer = "search\nStatus: crash".to_owned();
        let first = append(&ledger, &experiment);
        let message = lab.git(&format!("log -1 --format=%B {first}"));
        let message =
            message.replace(&experiment.id.to_string(), "UUID").replace(experiment.candidate.as_str(), "SHA");
        insta::assert_snapshot!(message.trim_end(), @r"
        exp 17 keep val_bpb 0.9932 (-0.0021): halve the batch

        Experiment: UUID
        Candidate: SHA
        Proposer: search Status: crash
        Status: keep
        ");
        let mut crash = record(&ledger, 18);
        (crash.status, crash.value, crash.delta) = (Status::Crash, None, None);
        append(&ledger, &crash);
        let noted = Event::Noted { experiment: crash.id, text: "out\nof memory".to_owned() };
        let last = ledger.append_event(&entry(noted, 1_790_000_000)).unwrap();
        let subjects = lab.git(&format!("log --first-parent --format=%s {last}"));
        insta::assert_snapshot!(subjects.trim_end(), @r"
        noted by Ada: out of memory
        exp 18 crash: halve the batch
        exp 17 keep val_bpb 0.9932 (-0.0021): halve the batch
        overnight ledger
        ");
    }

    #[test]
    fn the_same_experiment_is_counted_once() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let experiment = record(&ledger, 0);
        let first = append(&ledger, &experiment);
        assert_eq!(append(&ledger, &experiment), first);
        // As after a crash: another process, that does not know that the first one had come so far.
        assert_eq!(append(&lab.ledger(), &experiment), first);
        let event = entry(Event::Steered { text: "wider".to_owned(), cell: None }, 1_790_000_000);
        let second = ledger.append_event(&event).unwrap();
        assert_eq!(lab.ledger().append_event(&event).unwrap(), second);
        assert_eq!(ledger.experiments(&Tag::default()).unwrap().len(), 1);
        let read = Entry { writer: Some(ledger.writer().unwrap()), ..event };
        assert_eq!(ledger.events(&Tag::default()).unwrap(), [read]);
    }

    #[test]
    fn a_number_belongs_to_one_experiment() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let first = record(&ledger, 5);
        append(&ledger, &first);
        let error = ledger.append(&record(&ledger, 5), "", &metrics(), b"").unwrap_err();
        assert!(matches!(error, LedgerError::NumberTaken { number: 5, by, .. } if by == first.id), "{error}");
    }

    #[test]
    fn what_cannot_be_recorded_is_refused() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let mut experiment = record(&ledger, 0);
        experiment.candidate = CommitId::new("1".repeat(40));
        let refused = |record: &Record| ledger.append(record, "", &metrics(), b"").unwrap_err();
        assert!(matches!(refused(&experiment), LedgerError::UnknownCommit(_)));
        let mut experiment = record(&ledger, 0);
        experiment.writer = "../peer".to_owned();
        assert!(matches!(refused(&experiment), LedgerError::Malformed { .. }));
        let mut experiment = record(&ledger, 0);
        experiment.cost.usd = f64::NAN;
        assert!(matches!(refused(&experiment), LedgerError::Malformed { .. }));
        assert_eq!(ledger.tip(&Tag::default()).unwrap(), None);
    }

    #[test]
    fn four_writers_at_once_lose_nothing() {
        const EACH: u64 = 50;
        let lab = Lab::new();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let ledger = lab.ledger();
                thread::spawn(move || {
                    for number in 0..EACH {
                        let experiment = record(&ledger, writer * EACH + number);
                        ledger.append(&experiment, "Go.\n", &metrics(), b"log").unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let ledger = lab.ledger();
        let numbers: Vec<u64> =
            ledger.experiments(&Tag::default()).unwrap().iter().map(|e| e.record.number).collect();
        assert_eq!(numbers, (0..4 * EACH).collect::<Vec<_>>());
        let commits = lab.git("rev-list --first-parent --count refs/overnight/ledger/main");
        assert_eq!(commits.trim(), (4 * EACH + 1).to_string());
        lab.git("fsck --strict");
    }

    #[test]
    fn several_first_appends_at_once_lose_nothing() {
        let lab = Lab::new();
        for round in 0..10 {
            let tag = Tag::new(format!("round{round}"));
            let start = Arc::new(Barrier::new(4));
            let writers: Vec<_> = (0..4)
                .map(|number| {
                    let (ledger, start) = (lab.ledger(), Arc::clone(&start));
                    let mut experiment = record(&ledger, number);
                    experiment.tag = tag.clone();
                    thread::spawn(move || {
                        start.wait();
                        ledger.append(&experiment, "Go.\n", &metrics(), b"log").unwrap();
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            assert_eq!(lab.ledger().experiments(&tag).unwrap().len(), 4);
        }
    }

    #[test]
    fn gc_takes_no_candidate_and_fsck_is_clean() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let mut candidates = Vec::new();
        for number in 0..20 {
            let mut experiment = record(&ledger, number);
            experiment.candidate = candidate(&ledger, number + 10);
            experiment.status = Status::Discard;
            append(&ledger, &experiment);
            candidates.push(experiment.candidate);
        }
        let lost = candidate(&ledger, 99);
        lab.git("-c gc.reflogExpire=now gc -q --prune=now");
        assert_eq!(lab.git("fsck --strict --no-dangling"), "");
        for candidate in &candidates {
            assert_eq!(lab.git(&format!("cat-file -t {candidate}")), "commit\n");
        }
        let fresh = lab.ledger();
        assert!(matches!(fresh.paths(&lost), Err(LedgerError::UnknownCommit(_))), "gc did its work");
        assert_eq!(fresh.experiments(&Tag::default()).unwrap().len(), 20);
        append(&ledger, &record(&ledger, 20));
        assert_eq!(ledger.experiments(&Tag::default()).unwrap().len(), 21, "a handle from before goes on");
    }

    #[test]
    fn an_append_writes_only_what_changed() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        for number in 0..120 {
            append(&ledger, &record(&ledger, number));
        }
        let count = || lab.git("count-objects").split(' ').next().unwrap().parse::<u64>().unwrap();
        let before = count();
        append(&ledger, &record(&ledger, 120));
        // The record, its folder, five folders on the way, the root and the commit.
        assert!(count() - before <= 9, "{} objects", count() - before);
    }

    #[test]
    fn events_change_the_state_and_not_the_record() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        let experiment = record(&ledger, 0);
        append(&ledger, &experiment);
        let id = experiment.id;
        let reason = "memorised".to_owned();
        let overridden = Event::Overridden { experiment: id, status: Status::Discard, reason };
        for (second, event) in [
            (30, overridden),
            (10, Event::Noted { experiment: id, text: "look".to_owned() }),
            (20, Event::Claimed { experiment: id, claim: Claim::Certified }),
        ] {
            ledger.append_event(&entry(event, 1_790_000_000 + second)).unwrap();
        }
        let now = ledger.experiments(&tag).unwrap().remove(0);
        assert_eq!(
            (now.record.status, now.judged, now.notes.as_slice()),
            (Status::Discard, Some(Status::Keep), &["Ada: look".to_owned()][..])
        );
        let events = ledger.events(&tag).unwrap();
        let names: Vec<_> = events.iter().map(|e| e.event.name()).collect();
        assert_eq!(names, ["noted", "claimed", "overridden"]);
        let days = lab.git("ls-tree -r --name-only refs/overnight/ledger/main events");
        let days: BTreeSet<_> = days.lines().map(|path| path.split('/').nth(2).unwrap()).collect();
        assert_eq!(days, BTreeSet::from(["2026-09-21"]));
    }

    #[test]
    fn a_ledger_that_cannot_be_written_says_where() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        append(&ledger, &record(&ledger, 0));
        let refs = lab.root().join(".git/refs/overnight/ledger");
        fs::remove_dir_all(&refs).unwrap();
        fs::write(&refs, "in the way").unwrap();
        let error = ledger.append(&record(&ledger, 1), "", &metrics(), b"").unwrap_err();
        assert!(error.to_string().contains("refs/overnight/ledger"), "{error}");
    }
}
