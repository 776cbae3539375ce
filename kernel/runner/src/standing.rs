//! What the ledger says of one epoch, brought up to date by what is new.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use lab::{Entry, Epoch, Event, Experiment, ExperimentId, Said, Status, Tag};
use ledger::{Known, Ledger, LedgerError};

/// What the ledger says of one epoch.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The experiments of the epoch that this clone made, in the order of their numbers.
    pub experiments: Vec<Experiment>,
    /// The one to improve on: what was kept last, by the judge or by a person.
    pub tip: Option<Experiment>,
    /// The experiments of earlier epochs, in the order of their numbers.
    pub earlier: Vec<Experiment>,
    /// What was said to the proposer.
    pub said: Arc<Said>,
    /// When the tip was decided on, and its number.
    pub(crate) decided: Option<(Timestamp, u64)>,
}

impl Standing {
    /// Takes in more experiments, in the order of their numbers; `overrides` is when people last decided on some.
    fn add(
        &mut self,
        writer: &str,
        epoch: &Epoch,
        experiments: &[Experiment],
        overrides: &HashMap<ExperimentId, Timestamp>,
    ) {
        for experiment in experiments.iter().filter(|it| it.record.writer == writer) {
            if experiment.record.epoch != *epoch {
                self.earlier.push(experiment.clone());
                continue;
            }
            self.experiments.push(experiment.clone());
            // Of those that are kept, the one that was decided last. So a person's `keep` is built on from then on,
            // and after a `discard` of the best the one before it is best again.
            let decided = decided(experiment, overrides);
            if decided.is_some() && decided >= self.decided {
                (self.decided, self.tip) = (decided, Some(experiment.clone()));
            }
        }
    }
}

/// When an experiment was decided on that can be improved on, and its number.
fn decided(
    experiment: &Experiment,
    overrides: &HashMap<ExperimentId, Timestamp>,
) -> Option<(Timestamp, u64)> {
    let record = &experiment.record;
    if record.status != Status::Keep || !record.value.is_some_and(f64::is_finite) {
        return None;
    }
    let ended = record.ended();
    let at = overrides.get(&record.id).copied().map_or(ended, |at| at.max(ended));
    Some((at, record.number))
}

/// When people last decided on experiments.
fn overrides(events: &[Arc<Entry>]) -> HashMap<ExperimentId, Timestamp> {
    let decision = |entry: &Arc<Entry>| match &entry.event {
        Event::Overridden { experiment, .. } => Some((*experiment, entry.at)),
        _ => None,
    };
    events.iter().filter_map(decision).collect()
}

/// What was made of a ledger, for whoever asks again when a little has come to it.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    said: Option<(Tag, Known, Arc<Said>)>,
    standing: Option<(Tag, Epoch, Known, Arc<Standing>)>,
}

impl Standings {
    /// What the ledger says of an epoch.
    pub(crate) fn of(
        &mut self,
        ledger: &Ledger,
        tag: &Tag,
        epoch: &Epoch,
    ) -> Result<Arc<Standing>, LedgerError> {
        let writer = ledger.writer()?;
        let said = self.said(ledger, tag)?;
        let known = ledger.known(tag)?;
        let before = self.standing.take().filter(|(of, in_epoch, ..)| (of, in_epoch) == (tag, epoch));
        let grown = before.and_then(|(_, _, before, mut standing)| {
            let (new, _) = known.since(&before).filter(|(_, heard)| overrides(heard).is_empty())?;
            if !new.is_empty() {
                Arc::make_mut(&mut standing).add(&writer, epoch, new, &HashMap::new());
            }
            Some(standing)
        });
        let mut standing = grown.unwrap_or_else(|| {
            let mut standing = Standing::default();
            standing.add(&writer, epoch, &known.experiments, &overrides(&known.events));
            Arc::new(standing)
        });
        if !Arc::ptr_eq(&standing.said, &said) {
            Arc::make_mut(&mut standing).said = said;
        }
        self.standing = Some((tag.clone(), epoch.clone(), known, Arc::clone(&standing)));
        Ok(standing)
    }

    /// What was said to the proposer.
    pub(crate) fn said(&mut self, ledger: &Ledger, tag: &Tag) -> Result<Arc<Said>, LedgerError> {
        let known = ledger.known(tag)?;
        let before = self.said.take().filter(|(of, ..)| of == tag);
        let grown = before.and_then(|(_, before, mut said)| {
            let (_, new) = known.since(&before)?;
            if !new.is_empty() {
                let said = Arc::make_mut(&mut said);
                new.iter().for_each(|entry| said.hear(&entry.event, &entry.author));
            }
            Some(said)
        });
        let said = grown.unwrap_or_else(|| Arc::new(Said::fold(known.events.iter().map(Arc::as_ref))));
        self.said = Some((tag.clone(), known, Arc::clone(&said)));
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;
    use std::process::Command;

    use lab::{Metrics, Record};
    use serde_json::json;

    use super::*;

    fn git(folder: &Path, words: &str) {
        let done = Command::new("git").current_dir(folder).args(words.split(' ')).status().unwrap();
        assert!(done.success(), "git {words}");
    }

    fn record(ledger: &Ledger, number: u64, status: &str, epoch: &str) -> Record {
        serde_json::from_value(json!({
            "schema": 1, "number": number, "id": uuid::Uuid::now_v7(), "writer": ledger.writer().unwrap(),
            "tag": "main", "status": status, "value": 1.0, "delta": 0.1, "confidence": null, "parent": null,
            "candidate": ledger.head().unwrap(), "baseline": false, "hypothesis": "", "proposer": "search",
            "started": format!("2026-03-05T22:{number:02}:00Z"), "seconds": 20.0, "runs": [], "summary": {},
            "reason": "", "claim": null, "author": "a", "program": "p", "rule": "1", "metric": "m",
            "direction": "minimize", "epoch": epoch, "environment": {"host": "h", "cpu": "c", "inputs": {}},
        }))
        .unwrap()
    }

    /// What is brought up to date is what is made anew, and what has not changed is not made again.
    #[test]
    fn what_is_brought_up_to_date_is_what_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), "init -q -b main");
        git(folder.path(), "-c user.name=a -c user.email=a@b commit -q --allow-empty -m start");
        let (ledger, tag) = (Ledger::open(folder.path()).unwrap(), Tag::default());
        let mut standings = Standings::default();
        let mut look = |epoch: &str| {
            let epoch = Epoch::new(epoch);
            let standing = standings.of(&ledger, &tag, &epoch).unwrap();
            let anew = Standings::default().of(&ledger, &tag, &epoch).unwrap();
            let numbers = |it: &[Experiment]| it.iter().map(|it| it.record.number).collect::<Vec<_>>();
            let told = |it: &Standing| {
                let tip = it.tip.as_ref().map(|tip| tip.record.number);
                (numbers(&it.experiments), numbers(&it.earlier), tip, Said::clone(&it.said))
            };
            assert_eq!(told(&standing), told(&anew));
            standing
        };
        let mut records = Vec::new();
        for (number, status, epoch) in [
            (0, "keep", "e0"),
            (1, "discard", "e0"),
            (2, "keep", "e1"),
            (3, "discard", "e1"),
            (4, "keep", "e1"),
        ] {
            let record = record(&ledger, number, status, epoch);
            ledger.append(&record, "", &Metrics::default(), b"").unwrap();
            records.push(record);
            look("e0");
            look("e1");
        }
        let before = look("e1");
        assert!(Arc::ptr_eq(&before, &look("e1")), "nothing has come");
        assert_eq!(before.tip.as_ref().unwrap().record.number, 4);
        for event in [
            Event::Steered { text: "wider".into(), cell: None },
            Event::Overridden { experiment: records[4].id, status: Status::Discard, reason: String::new() },
            Event::Overridden { experiment: records[3].id, status: Status::Keep, reason: String::new() },
        ] {
            ledger.append_event(&crate::journal::entry("Ada", &tag, event)).unwrap();
            look("e1");
        }
        assert_eq!(look("e1").tip.as_ref().unwrap().record.number, 3, "a person's keep is built on");
        assert_eq!(look("e1").said.steering, ["wider"]);
    }
}
