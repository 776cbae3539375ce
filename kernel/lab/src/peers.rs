//! The clones that a ledger is from, by names that people can type: `ada/17`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::Record;

/// Digits of a writer's id that tell two clones of one name apart.
const DIGITS: usize = 4;

/// The names of the clones that a ledger's experiments are from.
///
/// A clone is named after who wrote its first experiment: `ada`; the next clone of the same person after its machine
/// too: `ada-gpubox`. Everybody who has the same experiments sees the same names, and the beginning of a writer's id
/// (four digits or more) names it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    own: Option<String>,
    names: BTreeMap<String, String>,
}

/// What a writer's first experiment says of it.
struct First<'a> {
    began: (Timestamp, u64),
    author: &'a str,
    host: &'a str,
}

impl Peers {
    /// The names in a ledger; `own` is the writer whose experiments need none.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>, own: Option<&str>) -> Self {
        let mut firsts: BTreeMap<&str, First<'a>> = BTreeMap::new();
        for record in records {
            let began = (record.started, record.number);
            if firsts.get(record.writer.as_str()).is_none_or(|first| began < first.began) {
                let first = First { began, author: &record.author, host: &record.environment.host };
                firsts.insert(&record.writer, first);
            }
        }
        let mut firsts: Vec<(&str, First)> = firsts.into_iter().collect();
        firsts.sort_by_key(|(writer, first)| (first.began.0, *writer));
        let (mut names, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for (writer, first) in firsts {
            let author = word(first.author.split_whitespace().next().unwrap_or_default());
            let author = if author.is_empty() { "peer".to_owned() } else { author };
            let host = word(first.host.split('.').next().unwrap_or_default());
            let digits: String = writer.chars().take(DIGITS).collect();
            let choices = [
                Some(author.clone()),
                (!host.is_empty()).then(|| format!("{author}-{host}")),
                Some(format!("{author}-{digits}")),
            ];
            let free = choices.into_iter().flatten().find(|name| !taken.contains(name));
            let name = free.unwrap_or_else(|| writer.to_owned());
            taken.insert(name.clone());
            names.insert(writer.to_owned(), name);
        }
        Self { own: own.map(str::to_owned), names }
    }

    /// The name of another clone; `None` for one's own.
    pub fn name(&self, writer: &str) -> Option<&str> {
        if self.own.as_deref() == Some(writer) {
            return None;
        }
        self.names.get(writer).map(String::as_str)
    }

    /// The number as people write it: `17`, or `ada/17` for another clone's.
    pub fn label(&self, record: &Record) -> String {
        match self.name(&record.writer) {
            Some(name) => format!("{name}/{}", record.number),
            None => record.number.to_string(),
        }
    }

    /// The writer that goes by a name, or by the beginning of its id.
    pub fn find(&self, name: &str) -> Option<&str> {
        let named = self.names.iter().find(|(_, known)| known.as_str() == name);
        let by_id = || {
            let mut all = self.names.keys().filter(|id| name.len() >= DIGITS && id.starts_with(name));
            all.next().filter(|_| all.next().is_none())
        };
        named.map(|(writer, _)| writer).or_else(by_id).map(String::as_str)
    }

    /// The names of the other clones, in the order of the alphabet.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.names.keys().filter_map(|writer| self.name(writer)).collect();
        names.sort_unstable();
        names
    }
}

/// Small letters, digits and `-` of a text, so that it can be typed as one word.
fn word(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c));
    kept.flat_map(char::to_lowercase).take(16).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(writer: &str, author: &str, host: &str, second: i64) -> Record {
        serde_json::from_value(json!({
            "schema": 1, "number": second, "id": uuid::Uuid::from_u128(second as u128), "writer": writer, "tag": "main",
            "status": "keep", "value": 1.0, "delta": null, "confidence": null, "parent": null, "candidate": "b2",
            "hypothesis": "", "proposer": "search", "started": Timestamp::from_second(second).unwrap(), "seconds": 1.0,
            "runs": [], "summary": {}, "reason": "", "claim": null, "author": author, "program": "d4", "rule": "1",
            "metric": "val_bpb", "direction": "minimize", "epoch": "e5",
            "environment": {"host": host, "cpu": "x", "inputs": {}},
        }))
        .unwrap()
    }

    #[test]
    fn clones_are_named_after_people_and_their_machines() {
        let records = [
            record("aaaa1", "Ada Lovelace", "desk.example.org", 1),
            record("bbbb2", "Ada Lovelace", "GPU box", 2),
            record("cccc3", "Ada Lovelace", "gpubox", 3),
            record("cccc4", "ada", "gpubox", 4),
            record("dddd5", "!", "", 5),
            record("eeee6", "Bob/../x", "h", 6),
        ];
        let peers = Peers::of(&records, Some("bbbb2"));
        let labels: Vec<String> = records.iter().map(|record| peers.label(record)).collect();
        assert_eq!(labels.join(" "), "ada/1 2 ada-cccc/3 cccc4/4 peer/5 bobx/6");
        assert_eq!(peers.find("ada"), Some("aaaa1"));
        assert_eq!(peers.find("ada-gpubox"), Some("bbbb2"), "one's own has a name too");
        assert_eq!((peers.find("eeee"), peers.find("eee"), peers.find("cccc")), (Some("eeee6"), None, None));
        assert_eq!(peers.names().len(), 5);
    }

    proptest! {
        #[test]
        fn names_are_of_one_clone_each_and_do_not_depend_on_the_order(
            who in prop::collection::vec((0_u8..4, "[A-C a-c/]{0,4}", "[a-b.]{0,3}"), 1..12)
        ) {
            let records: Vec<Record> = who
                .iter()
                .enumerate()
                .map(|(i, (writer, author, host))| record(&format!("writer{writer}"), author, host, i as i64))
                .collect();
            let peers = Peers::of(&records, None);
            for record in &records {
                let label = peers.label(record);
                let (name, _) = label.split_once('/').unwrap();
                prop_assert_eq!(peers.find(name), Some(record.writer.as_str()));
            }
            prop_assert_eq!(Peers::of(records.iter().rev(), None), peers);
        }
    }
}
