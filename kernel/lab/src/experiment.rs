//! The state of an experiment: its record and everything that happened to it since.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Claim, Entry, Event, Record, Status};

/// A record with its later events folded in. A copy of one shares its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The record, with `status`, `reason` and `claim` as they are now.
    #[serde(flatten, serialize_with = "write", deserialize_with = "read")]
    pub record: Arc<Record>,
    /// What the judge had decided, where a person decided otherwise later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Status>,
    /// Notes, oldest first, as `author: text`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Experiment {
    /// Folds `events` (in the order of time; those of other experiments are passed over) into `record`.
    pub fn fold<'a>(record: impl Into<Arc<Record>>, events: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut folded = Self { record: record.into(), judged: None, notes: Vec::new() };
        for entry in events {
            if entry.event.experiment() == Some(folded.record.id) {
                folded.apply(entry);
            }
        }
        folded
    }

    fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Noted { text, .. } => self.notes.push(format!("{}: {text}", entry.author)),
            Event::Overridden { status, reason, .. } => {
                self.judged.get_or_insert(self.record.status);
                let record = Arc::make_mut(&mut self.record);
                record.status = *status;
                record.reason.clone_from(reason);
                record.claim = (*status == Status::Keep).then_some(Claim::Unproven);
            }
            Event::Claimed { claim, .. } => Arc::make_mut(&mut self.record).claim = Some(*claim),
            _ => {}
        }
    }
}

fn write<S: Serializer>(record: &Arc<Record>, to: S) -> Result<S::Ok, S::Error> {
    record.serialize(to)
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Record>, D::Error> {
    Record::deserialize(from).map(Arc::new)
}

/// The experiment whose epoch is the current one: the last baseline; the last experiment, where there is none.
/// `experiments` are in the order of the ledger.
pub fn current(experiments: &[Experiment]) -> Option<&Experiment> {
    experiments.iter().rfind(|experiment| experiment.record.baseline).or(experiments.last())
}

/// The best of what was kept in the current epoch, which is that of the last baseline, by the clone that made it:
/// another clone's claim counts here once it was run again. `experiments` are in the order of the ledger.
pub fn best(experiments: &[Experiment]) -> Option<&Experiment> {
    let Record { epoch, writer, .. } = &*current(experiments)?.record;
    let mut best: Option<(&Experiment, f64)> = None;
    // What was kept is few: only its texts are looked at.
    let kept = experiments.iter().map(|e| (e, &e.record)).filter(|(_, r)| r.status == Status::Keep);
    for (experiment, record) in kept.filter(|(_, r)| r.epoch == *epoch && r.writer == *writer) {
        let Some(value) = record.value.filter(|value| value.is_finite()) else { continue };
        if best.is_none_or(|(_, so_far)| record.direction.better(value, so_far)) {
            best = Some((experiment, value));
        }
    }
    best.map(|(experiment, _)| experiment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{EventId, ExperimentId, SCHEMA, Tag};

    /// A record as schema 1 writes it.
    fn written() -> serde_json::Value {
        json!({
            "schema": 1, "number": 17, "id": Uuid::from_u128(1), "writer": "w1", "tag": "main", "status": "discard",
            "value": 0.9979, "delta": 0.0021, "confidence": null, "parent": "a1", "candidate": "b2", "baseline": false,
            "hypothesis": "halve the batch", "proposer": "search", "started": "2026-03-05T22:00:00Z", "seconds": 20.5,
            "runs": [{"seed": 1, "value": 0.9979, "seconds": 20.0, "exit": "0"}],
            "summary": {"val_bpb": 0.9979, "diverged": null},
            "cost": {"usd": 0.0, "input_tokens": 0, "output_tokens": 0}, "reason": "no better than the best", "claim": null,
            "author": "overnight", "program": "d4", "rule": "1", "metric": "val_bpb", "direction": "minimize",
            "epoch": "e5", "environment": {"host": "h", "cpu": "x86_64, 2 cores", "inputs": {}},
        })
    }

    fn record() -> Record {
        serde_json::from_value(written()).unwrap()
    }

    fn entry(event: Event) -> Entry {
        let at = "2026-03-06T08:00:00Z".parse().unwrap();
        let id = EventId(Uuid::from_u128(9));
        Entry { schema: SCHEMA, id, at, author: "Ada".to_owned(), tag: Tag::default(), writer: None, event }
    }

    #[test]
    fn a_record_is_written_as_it_was_read() {
        let read = record();
        assert!(read.summary["diverged"].is_nan());
        assert_eq!(serde_json::to_value(&read).unwrap(), written());
    }

    #[test]
    fn fields_of_a_newer_version_are_kept() {
        let mut newer = written();
        newer["schema"] = json!(2);
        newer["energy"] = json!({"kwh": 0.3});
        let read: Record = serde_json::from_value(newer.clone()).unwrap();
        assert_eq!(read.other["energy"]["kwh"], 0.3);
        assert_eq!(serde_json::to_value(&read).unwrap(), newer);

        let folded = Experiment::fold(
            read,
            [&entry(Event::Noted { experiment: ExperimentId(Uuid::from_u128(1)), text: "ok".to_owned() })],
        );
        let text = serde_json::to_string(&folded).unwrap();
        let again: Experiment = serde_json::from_str(&text).unwrap();
        assert_eq!((&again.notes, &again.record.other), (&folded.notes, &folded.record.other));
    }

    #[test]
    fn fields_that_an_older_version_did_not_write_have_defaults() {
        let mut older = written();
        for field in ["baseline", "cost"] {
            older.as_object_mut().unwrap().remove(field);
        }
        let read: Record = serde_json::from_value(older).unwrap();
        assert_eq!((read.baseline, read.cost.usd), (false, 0.0));
    }

    #[test]
    fn later_events_change_what_an_experiment_is() {
        let experiment = ExperimentId(Uuid::from_u128(1));
        let other = ExperimentId(Uuid::from_u128(2));
        let events = [
            Event::Noted { experiment, text: "worth a second look".to_owned() },
            Event::Noted { experiment: other, text: "not this one".to_owned() },
            Event::Overridden { experiment, status: Status::Keep, reason: "simpler".to_owned() },
            Event::Claimed { experiment, claim: Claim::Certified },
            Event::LoopPaused { reason: None },
        ]
        .map(entry);
        let folded = Experiment::fold(record(), &events);
        assert_eq!(folded.notes, ["Ada: worth a second look"]);
        assert_eq!((folded.record.status, folded.record.reason.as_str()), (Status::Keep, "simpler"));
        assert_eq!((folded.judged, folded.record.claim), (Some(Status::Discard), Some(Claim::Certified)));
    }

    #[test]
    fn the_last_override_holds_and_the_judge_is_remembered() {
        let experiment = ExperimentId(Uuid::from_u128(1));
        let to = |status| entry(Event::Overridden { experiment, status, reason: String::new() });
        let folded = Experiment::fold(record(), &[to(Status::Keep), to(Status::Invalid)]);
        assert_eq!(
            (folded.record.status, folded.judged, folded.record.claim),
            (Status::Invalid, Some(Status::Discard), None)
        );
    }

    #[test]
    fn without_events_it_is_its_record() {
        let folded = Experiment::fold(record(), []);
        assert_eq!(serde_json::to_value(&folded).unwrap(), written());
    }
}
