//! Reads a ledger: its experiments, events, metrics and logs.

use git2::Oid;
use lab::{CommitId, Entry, Experiment, ExperimentId, Metrics, Tag};

use crate::{Known, Ledger, LedgerError, known::Cached, metrics_file, tree::get};

impl Ledger {
    /// The ledger as it is now: shared, and brought up to date by what is new alone.
    pub fn known(&self, tag: &Tag) -> Result<Known, LedgerError> {
        self.with(tag, |cached| cached.known.clone())
    }

    /// The ledger as it was at one of its commits. It is read from git as a whole, unless it is the newest.
    ///
    /// # Errors
    /// [`LedgerError::UnknownCommit`] where this repository has no such commit.
    pub fn known_at(&self, tag: &Tag, commit: &CommitId) -> Result<Known, LedgerError> {
        if self.tip(tag)?.as_ref() == Some(commit) {
            return self.known(tag);
        }
        let (walk, _) = self.walk(tag, commit, None)?;
        let mut cached = Cached::default();
        cached.add(walk, &self.writer()?);
        Ok(Known { tip: Some(commit.clone()), ..cached.known })
    }

    /// Every experiment as it is now, its events folded in: those of other clones in the order of time, then this
    /// clone's in the order of their numbers.
    pub fn experiments(&self, tag: &Tag) -> Result<Vec<Experiment>, LedgerError> {
        Ok(self.known(tag)?.experiments.to_vec())
    }

    /// Every event, in the order of time. A copy; [`known`](Self::known) shares them.
    pub fn events(&self, tag: &Tag) -> Result<Vec<Entry>, LedgerError> {
        Ok(self.known(tag)?.events.iter().map(|entry| Entry::clone(entry)).collect())
    }

    /// The number after the largest of this clone; 0 in a new ledger. Does not reserve it.
    pub fn next_number(&self, tag: &Tag) -> Result<u64, LedgerError> {
        let Some(tip) = self.tip(tag)? else { return Ok(0) };
        let mut tree = self.commit(&tip)?.tree()?;
        let Some(own) = get(&tree, &["experiments", &self.writer()?])? else { return Ok(0) };
        tree = self.repo.find_tree(own.oid)?;
        let mut number = 0;
        for _ in 0..3 {
            // The largest by value: `100` comes before `99` in git's order.
            let largest = tree
                .iter()
                .filter_map(|entry| Some((entry.name().ok()?.parse::<u64>().ok()?, entry.id())))
                .max();
            let Some((part, oid)) = largest else { return Ok(0) };
            number = number * 100 + part;
            tree = self.repo.find_tree(oid)?;
        }
        Ok(number + 1)
    }

    /// What an experiment reported step by step. A metric named `step` or `time` is `step_`, `time_`;
    /// the summary is in the record.
    pub fn metrics(&self, tag: &Tag, id: ExperimentId) -> Result<Metrics, LedgerError> {
        metrics_file::decode(self.metrics_file(tag, id)?)
    }

    /// The same as a Parquet file: `step` (u64), `time` (f64, seconds), then one nullable f64 column per
    /// name.
    pub fn metrics_file(&self, tag: &Tag, id: ExperimentId) -> Result<Vec<u8>, LedgerError> {
        self.file(tag, id, "metrics.parquet")
    }

    /// What an experiment printed.
    pub fn log(&self, tag: &Tag, id: ExperimentId) -> Result<Vec<u8>, LedgerError> {
        let file = self.file(tag, id, "log.zst")?;
        zstd::decode_all(file.as_slice())
            .map_err(|e| LedgerError::Malformed { what: format!("the log of {id}"), reason: e.to_string() })
    }

    /// A program by its blob, as [`Record::program`] names it.
    pub fn program(&self, blob: &str) -> Result<String, LedgerError> {
        let malformed = |e: git2::Error| LedgerError::Malformed {
            what: format!("the program `{blob}`"),
            reason: e.message().to_owned(),
        };
        let blob = Oid::from_str(blob).and_then(|oid| self.repo.find_blob(oid)).map_err(malformed)?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }

    fn file(&self, tag: &Tag, id: ExperimentId, name: &str) -> Result<Vec<u8>, LedgerError> {
        let folder = self.with(tag, |cached| cached.folder(id))?;
        let folder = folder.ok_or_else(|| LedgerError::UnknownExperiment { tag: tag.clone(), id })?;
        let missing = || LedgerError::Malformed {
            what: format!("experiment {id}"),
            reason: format!("it has no {name}"),
        };
        let leaf = get(&self.repo.find_tree(folder)?, &[name])?.ok_or_else(missing)?;
        Ok(self.repo.find_blob(leaf.oid)?.content().to_vec())
    }

    /// Brings what was read of a ledger up to date and looks at it.
    fn with<T>(&self, tag: &Tag, look: impl FnOnce(&Cached) -> T) -> Result<T, LedgerError> {
        self.with_mut(tag, |cached| look(cached))
    }

    /// The same, for what adds to it.
    pub(crate) fn with_mut<T>(
        &self,
        tag: &Tag,
        look: impl FnOnce(&mut Cached) -> T,
    ) -> Result<T, LedgerError> {
        let mut cache = self.cache.borrow_mut();
        let cached = cache.entry(tag.clone()).or_default();
        let tip = self.tip(tag)?;
        if tip != cached.known.tip {
            match &tip {
                None => *cached = Cached::default(),
                Some(now) => {
                    let own = self.writer()?;
                    if cached.known.tip.is_none()
                        && let Some((known, walk)) = self.read_kept(tag)
                    {
                        cached.add(walk, &own);
                        (cached.known.tip, cached.kept) = (Some(known), cached.size());
                    }
                    let (walk, complete) = self.walk(tag, now, cached.known.tip.as_ref())?;
                    if complete {
                        *cached = Cached::default();
                    }
                    cached.add(walk, &own);
                    self.keep_some(tag, now, cached);
                }
            }
            cached.known.tip = tip;
        }
        Ok(look(cached))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lab::{Epoch, Event, Status};
    use serde_json::json;

    use super::{CommitId, LedgerError, Metrics, Tag};
    use crate::{
        Edit,
        testing::{Lab, append, entry, record},
    };

    #[test]
    fn an_empty_ledger_reads_as_empty() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        assert_eq!(ledger.experiments(&tag).unwrap(), []);
        assert_eq!(ledger.events(&tag).unwrap(), []);
        assert_eq!(ledger.next_number(&tag).unwrap(), 0);
        let id = record(&ledger, 0).id;
        assert!(matches!(ledger.log(&tag, id), Err(LedgerError::UnknownExperiment { .. })));
        assert!(ledger.program("main").is_err());
    }

    #[test]
    fn numbers_go_on_after_the_largest_of_this_clone() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        for (number, next) in [(0, 1), (99, 100), (3, 100), (12_345, 12_346), (1_000_000, 1_000_001)] {
            append(&ledger, &record(&ledger, number));
            assert_eq!(ledger.next_number(&tag).unwrap(), next);
        }
        let mut peer = record(&ledger, 2_000_000);
        peer.writer = "peer".to_owned();
        append(&ledger, &peer);
        assert_eq!(ledger.next_number(&tag).unwrap(), 1_000_001);
        let numbers: Vec<_> = ledger.experiments(&tag).unwrap().iter().map(|e| e.record.number).collect();
        assert_eq!(numbers, [2_000_000, 0, 3, 99, 12_345, 1_000_000]);
    }

    #[test]
    fn changes_are_what_came_since() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        assert!(ledger.changes(&tag, None).unwrap().complete);
        let records: Vec<_> = (0..3).map(|number| record(&ledger, number)).collect();
        append(&ledger, &records[0]);
        let first = ledger.changes(&tag, None).unwrap();
        assert!(first.complete);
        assert_eq!(first.records[0].id, records[0].id);
        append(&ledger, &records[1]);
        append(&ledger, &records[2]);
        ledger.append_event(&entry(Event::LoopPaused { reason: None }, 1_790_000_000)).unwrap();
        let then = ledger.changes(&tag, first.tip.as_ref()).unwrap();
        let numbers: Vec<_> = then.records.iter().map(|record| record.number).collect();
        assert_eq!((then.complete, numbers, then.events.len()), (false, vec![1, 2], 1));
        assert_eq!(then.tip, ledger.tip(&tag).unwrap());
        let none = ledger.changes(&tag, then.tip.as_ref()).unwrap();
        assert_eq!((none.complete, none.records.len(), none.events.len()), (false, 0, 0));

        let gone = CommitId::new("1".repeat(40));
        let all = ledger.changes(&tag, Some(&gone)).unwrap();
        assert!(all.complete && all.records.len() == 3);
        lab.git(&format!("update-ref refs/overnight/ledger/main {}", first.tip.unwrap()));
        let back = ledger.changes(&tag, then.tip.as_ref()).unwrap();
        assert!(back.complete && back.records.len() == 1, "a ledger that was set back is read anew");
    }

    #[test]
    fn a_ledger_is_read_as_it_was() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        let first = record(&ledger, 0);
        append(&ledger, &first);
        let then = ledger.tip(&tag).unwrap().unwrap();
        append(&ledger, &record(&ledger, 1));
        let event =
            Event::Overridden { experiment: first.id, status: Status::Discard, reason: String::new() };
        ledger.append_event(&entry(event, 1_790_000_000)).unwrap();
        let now = ledger.tip(&tag).unwrap().unwrap();

        let was = ledger.known_at(&tag, &then).unwrap();
        assert_eq!((was.experiments.len(), was.events.len(), was.tip), (1, 0, Some(then)));
        assert_eq!(was.experiments[0].record.status, Status::Keep, "what was decided later is not known");
        let is = ledger.known_at(&tag, &now).unwrap();
        assert_eq!((is.experiments.len(), is.events.len()), (2, 1));
        let gone = ledger.known_at(&tag, &CommitId::new("1".repeat(40)));
        assert!(matches!(gone, Err(LedgerError::UnknownCommit(_))));
    }

    #[test]
    fn a_handle_sees_what_others_append_and_undo() {
        let lab = Lab::new();
        let (ours, theirs, tag) = (lab.ledger(), lab.ledger(), Tag::default());
        for number in 0..3 {
            append(&theirs, &record(&theirs, number));
            assert_eq!(ours.experiments(&tag).unwrap().len() as u64, number + 1);
        }
        lab.git("update-ref -d refs/overnight/ledger/main");
        assert_eq!(ours.experiments(&tag).unwrap(), []);
    }

    #[test]
    fn a_newer_ledger_is_refused_and_a_newer_event_is_kept() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        append(&ledger, &record(&ledger, 0));
        let put = |path: &[&str], value: serde_json::Value| {
            let tip = ledger.commit(&ledger.tip(&tag).unwrap().unwrap()).unwrap();
            let leaf = ledger.blob(value.to_string().as_bytes()).unwrap();
            let tree = ledger.put_in(&tip.tree().unwrap(), path, Some(leaf)).unwrap();
            let us = crate::advance::signature().unwrap();
            let name = "refs/overnight/ledger/main";
            ledger.repo.commit(Some(name), &us, &us, "m", &tree, &[&tip]).unwrap();
        };
        let mut event =
            serde_json::to_value(entry(Event::LoopPaused { reason: None }, 1_790_000_000)).unwrap();
        event["event"] = json!("loop_dreamt");
        put(&["events", "peer", "2026-11-21", "e.json"], event);
        let events = ledger.events(&tag).unwrap();
        assert_eq!(serde_json::to_value(&events[0]).unwrap()["event"], "loop_dreamt");
        assert_eq!(ledger.experiments(&tag).unwrap().len(), 1);
        // One that is known, but not in this shape.
        put(&["events", "peer", "2026-11-21", "f.json"], json!({ "event": "noted" }));
        assert_eq!(ledger.events(&tag).unwrap(), events);

        put(&["meta.json"], json!({ "schema": 2 }));
        assert!(matches!(ledger.experiments(&tag), Err(LedgerError::Newer { found: 2, .. })));
        let next = record(&ledger, 1);
        let refused = ledger.append(&next, "", &Metrics::default(), b"");
        assert!(matches!(refused, Err(LedgerError::Newer { .. })));
    }

    #[test]
    fn a_duplicate_is_found_in_its_epoch() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        let settings =
            ::lab::Lab::parse("---\nrun: ./run\nmetric: ms\neditable: train.py\n---\nGo.\n").unwrap();
        let head = ledger.head().unwrap();
        let candidate = |path: &str, text: &str| {
            let edit = Edit { path: path.to_owned(), content: Some(text.as_bytes().to_vec()) };
            ledger.candidate(&head, &[edit], "m").unwrap()
        };
        let mut tried = record(&ledger, 7);
        tried.candidate = candidate("train.py", "DEPTH = 9\n");
        append(&ledger, &tried);
        let find = |commit: &CommitId, epoch: &str| {
            ledger.duplicate(&tag, commit, &settings, &Epoch::new(epoch)).unwrap()
        };
        let same = ledger.candidate(&tried.candidate, &[], "another message").unwrap();
        assert_eq!(find(&same, "e1"), Some(7));
        assert_eq!(find(&same, "e2"), None);
        assert_eq!(find(&candidate("train.py", "DEPTH = 10\n"), "e1"), None);
        let again =
            ledger.candidate(&same, &[Edit { path: "program.md".to_owned(), content: None }], "m").unwrap();
        assert_eq!(find(&again, "e1"), Some(7), "what is not editable does not count");
    }
}
