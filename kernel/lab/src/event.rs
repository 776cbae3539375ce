//! Events: what happened, when, and by whom. Immutable, each with a UUID.
//!
//! Two places hold them. The journal (`events.jsonl`) has all of them, each written before it is
//! acted on. The ledger has those that outlive the night ([`Event::lasts`]): what people did, and
//! when the loop began and ended.
//!
//! A newer version's event is read as [`Event::Unknown`] and written back as it was, so that one of
//! them never makes a journal or a ledger unreadable.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Claim, CommitId, Cost, EventId, ExperimentId, Judgement, RunId, Seconds, Status, Tag};

/// One line of the journal, or one event of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this format: [`SCHEMA`](crate::SCHEMA).
    pub schema: u32,
    /// Its name for ever.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Who caused it: a person's git name, or `overnight`.
    pub author: String,
    /// The line of research.
    pub tag: Tag,
    /// The clone that wrote it, in what was read from a ledger: the folder that it lies in says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A loop began.
    LoopStarted {
        /// What makes the candidates.
        proposer: String,
        /// Time that a run is meant to take.
        budget: Seconds,
        /// When the loop is to end, if it was told.
        deadline: Option<Timestamp>,
        /// How many experiments it is to do, if it was told.
        experiments: Option<u64>,
        /// How many runs at once.
        slots: u32,
        /// The seed of proposer and runs.
        seed: u64,
        /// The process of the runner.
        pid: u32,
    },
    /// No new experiment is started until it is resumed.
    LoopPaused {
        /// What a person has to mend before, where nobody asked for the pause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It goes on.
    LoopResumed,
    /// It was told to stop, after the current runs or at once.
    LoopStopping {
        /// Whether current runs are ended too.
        now: bool,
    },
    /// It ended.
    LoopEnded {
        /// Why, in a sentence.
        reason: String,
        /// Whether something is broken, rather than done or stopped.
        #[serde(default)]
        failed: bool,
    },
    /// An experiment's number was reserved and its candidate is being made.
    Proposing {
        /// Which experiment.
        experiment: ExperimentId,
        /// Its number.
        number: u64,
        /// The slot that was held for it by versions that made candidates in slots; 0 since.
        #[serde(default)]
        slot: u32,
        /// What makes the candidate.
        proposer: String,
        /// The commit it improves on; `None` for a baseline.
        parent: Option<CommitId>,
    },
    /// A proposal came to nothing, and its number goes to the next one.
    NotProposed {
        /// Which experiment.
        experiment: ExperimentId,
        /// Why.
        reason: String,
        /// What proposing it cost.
        #[serde(default)]
        cost: Cost,
    },
    /// The candidate exists.
    Proposed {
        /// Which experiment.
        experiment: ExperimentId,
        /// The commit to be tried.
        candidate: CommitId,
        /// What is expected of it.
        hypothesis: String,
        /// What proposing it cost.
        #[serde(default)]
        cost: Cost,
    },
    /// It failed, and its candidate was mended: the same idea is tried again.
    Repaired {
        /// Which experiment.
        experiment: ExperimentId,
        /// The commit to be tried now.
        candidate: CommitId,
        /// What had gone wrong.
        reason: String,
        /// What proposing and mending have cost in all.
        #[serde(default)]
        cost: Cost,
    },
    /// The lab's `build` began.
    BuildStarted {
        /// Which experiment.
        experiment: ExperimentId,
        /// The build's own run folder name.
        run: RunId,
        /// The slot that it has.
        #[serde(default)]
        slot: u32,
    },
    /// The lab's `build` ended.
    BuildEnded {
        /// Which experiment.
        experiment: ExperimentId,
        /// The build's own run folder name.
        run: RunId,
        /// How it ended, as in [`RunRecord::exit`](crate::RunRecord::exit).
        exit: String,
        /// How long it took.
        seconds: Seconds,
    },
    /// A run began.
    RunStarted {
        /// Which experiment.
        experiment: ExperimentId,
        /// Which run.
        run: RunId,
        /// The slot that it has.
        slot: u32,
        /// The seed that it was given.
        seed: u64,
        /// The time that it is meant to take.
        budget: Seconds,
    },
    /// A run ended.
    RunEnded {
        /// Which experiment.
        experiment: ExperimentId,
        /// Which run.
        run: RunId,
        /// How it ended, as in [`RunRecord::exit`](crate::RunRecord::exit).
        exit: String,
        /// The metric's value, where it printed one.
        value: Option<f64>,
        /// How long it took.
        seconds: Seconds,
    },
    /// The judge decided.
    Judged {
        /// Which experiment.
        experiment: ExperimentId,
        /// What was decided.
        judgement: Judgement,
    },
    /// The record is in the ledger.
    Recorded {
        /// Which experiment.
        experiment: ExperimentId,
        /// The ledger's commit.
        commit: CommitId,
    },
    /// Somebody told the proposer something.
    Steered {
        /// What.
        text: String,
        /// The number of the notebook's cell that said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<u32>,
    },
    /// An idea to be tried some time.
    Idea {
        /// What to try, in a sentence; it is also what the idea is known by.
        text: String,
        /// The proposer that left it for later; `None` for a person's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposer: Option<String>,
        /// Whether it comes before all others.
        #[serde(default)]
        now: bool,
        /// The number of the notebook's cell that said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<u32>,
    },
    /// An idea went to the front, was struck out, or was tried.
    IdeaMoved {
        /// The idea's text.
        text: String,
        /// Where it is now.
        to: IdeaPlace,
        /// The experiment that tried it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        experiment: Option<ExperimentId>,
    },
    /// Somebody ruled something out.
    Vetoed {
        /// A regular expression, whatever the case: no candidate may be tried whose hypothesis, or a line that it
        /// adds, matches.
        pattern: String,
        /// The experiment on its way that it was said of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Whether it is allowed again.
        #[serde(default)]
        lifted: bool,
        /// The number of the notebook's cell that said it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<u32>,
    },
    /// So many experiments in a row were not kept: the proposer is told to go about it in another way.
    Stuck {
        /// How many.
        after: u64,
        /// In what way.
        rung: Rung,
    },
    /// The lab's own command before or after an experiment said something.
    Hooked {
        /// Which.
        hook: Hook,
        /// What it printed.
        text: String,
    },
    /// Somebody wrote a note on an experiment.
    Noted {
        /// Which experiment.
        experiment: ExperimentId,
        /// The note.
        text: String,
    },
    /// Somebody kept or discarded an experiment by hand.
    Overridden {
        /// Which experiment.
        experiment: ExperimentId,
        /// What it is to be from now on.
        status: Status,
        /// Why.
        reason: String,
    },
    /// Repeats changed what may be said of a kept experiment.
    Claimed {
        /// Which experiment.
        experiment: ExperimentId,
        /// What may be said.
        claim: Claim,
    },
    /// Something that this version cannot read, kept as it is: a newer version wrote it.
    #[serde(untagged)]
    Unknown(serde_json::Map<String, serde_json::Value>),
}

/// Where an idea is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdeaPlace {
    /// Before all others.
    First,
    /// Out: nobody is to try it.
    Struck,
    /// Behind us.
    Tried,
}

/// When a lab's own command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before a candidate is made.
    Before,
    /// After an experiment is recorded.
    After,
}

/// How a proposer that finds nothing better is to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Smaller steps around what worked.
    Refine,
    /// Another area, that was touched least.
    Elsewhere,
    /// Near misses together.
    Combine,
    /// Away with what does not carry its weight.
    Simplify,
    /// Something altogether different.
    Radical,
}

impl Event {
    /// Whether the ledger keeps it, and not only the journal.
    pub fn lasts(&self) -> bool {
        use Event::{Claimed, LoopEnded, LoopStarted, Noted, Overridden, Stuck};
        matches!(
            self,
            LoopStarted { .. }
                | LoopEnded { .. }
                | Noted { .. }
                | Overridden { .. }
                | Claimed { .. }
                | Stuck { .. }
        ) || self.is_said()
    }

    /// Whether it is something that is said to the proposer: see [`Said`](crate::Said).
    pub fn is_said(&self) -> bool {
        use Event::{Hooked, Idea, IdeaMoved, Steered, Vetoed};
        matches!(self, Steered { .. } | Idea { .. } | IdeaMoved { .. } | Vetoed { .. } | Hooked { .. })
    }

    /// The experiment that it is about, if it is about one.
    pub fn experiment(&self) -> Option<ExperimentId> {
        match self {
            Self::Proposing { experiment, .. }
            | Self::NotProposed { experiment, .. }
            | Self::Proposed { experiment, .. }
            | Self::Repaired { experiment, .. }
            | Self::BuildStarted { experiment, .. }
            | Self::BuildEnded { experiment, .. }
            | Self::RunStarted { experiment, .. }
            | Self::RunEnded { experiment, .. }
            | Self::Judged { experiment, .. }
            | Self::Recorded { experiment, .. }
            | Self::Noted { experiment, .. }
            | Self::Overridden { experiment, .. }
            | Self::Claimed { experiment, .. } => Some(*experiment),
            Self::LoopStarted { .. }
            | Self::LoopPaused { .. }
            | Self::LoopResumed
            | Self::LoopStopping { .. }
            | Self::LoopEnded { .. }
            | Self::Steered { .. }
            | Self::Idea { .. }
            | Self::Vetoed { .. }
            | Self::Stuck { .. }
            | Self::Hooked { .. }
            | Self::Unknown(_) => None,
            Self::IdeaMoved { experiment, .. } => *experiment,
        }
    }

    /// The event's name, as it is serialised in the field `event`.
    pub fn name(&self) -> &str {
        match self {
            Self::LoopStarted { .. } => "loop_started",
            Self::LoopPaused { .. } => "loop_paused",
            Self::LoopResumed => "loop_resumed",
            Self::LoopStopping { .. } => "loop_stopping",
            Self::LoopEnded { .. } => "loop_ended",
            Self::Proposing { .. } => "proposing",
            Self::NotProposed { .. } => "not_proposed",
            Self::Proposed { .. } => "proposed",
            Self::Repaired { .. } => "repaired",
            Self::BuildStarted { .. } => "build_started",
            Self::BuildEnded { .. } => "build_ended",
            Self::RunStarted { .. } => "run_started",
            Self::RunEnded { .. } => "run_ended",
            Self::Judged { .. } => "judged",
            Self::Recorded { .. } => "recorded",
            Self::Steered { .. } => "steered",
            Self::Idea { .. } => "idea",
            Self::IdeaMoved { .. } => "idea_moved",
            Self::Vetoed { .. } => "vetoed",
            Self::Stuck { .. } => "stuck",
            Self::Hooked { .. } => "hooked",
            Self::Noted { .. } => "noted",
            Self::Overridden { .. } => "overridden",
            Self::Claimed { .. } => "claimed",
            Self::Unknown(fields) => fields.get("event").and_then(|name| name.as_str()).unwrap_or("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::SCHEMA;

    fn entry(event: Event) -> Entry {
        let at: Timestamp = "2026-03-05T22:00:00Z".parse().unwrap();
        Entry {
            schema: SCHEMA,
            id: EventId(Uuid::from_u128(7)),
            at,
            author: "Ada".to_owned(),
            tag: Tag::default(),
            writer: None,
            event,
        }
    }

    fn every_event() -> Vec<Event> {
        let experiment = ExperimentId(Uuid::from_u128(1));
        let run = RunId(Uuid::from_u128(2));
        let commit = CommitId::new("c0ffee");
        let text = "a \"text\"\nof two lines".to_owned();
        let judgement =
            Judgement { status: Status::Keep, reason: text.clone(), delta: Some(-0.25), confidence: None };
        vec![
            Event::LoopStarted {
                proposer: "search".to_owned(),
                budget: Seconds(20.0),
                deadline: Some("2026-03-06T06:00:00Z".parse().unwrap()),
                experiments: Some(8),
                slots: 2,
                seed: u64::MAX,
                pid: 42,
            },
            Event::LoopPaused { reason: Some(text.clone()) },
            Event::LoopResumed,
            Event::LoopStopping { now: true },
            Event::LoopEnded { reason: text.clone(), failed: true },
            Event::Proposing { experiment, number: 3, slot: 0, proposer: "search".to_owned(), parent: None },
            Event::NotProposed { experiment, reason: text.clone(), cost: Cost::default() },
            Event::Proposed {
                experiment,
                candidate: commit.clone(),
                hypothesis: text.clone(),
                cost: Cost::default(),
            },
            Event::Repaired {
                experiment,
                candidate: commit.clone(),
                reason: text.clone(),
                cost: Cost::default(),
            },
            Event::BuildStarted { experiment, run, slot: 1 },
            Event::BuildEnded { experiment, run, exit: "0".to_owned(), seconds: Seconds(1.5) },
            Event::RunStarted { experiment, run, slot: 1, seed: 7, budget: Seconds(20.0) },
            Event::RunEnded {
                experiment,
                run,
                exit: "0".to_owned(),
                value: Some(0.5),
                seconds: Seconds(20.25),
            },
            Event::Judged { experiment, judgement },
            Event::Recorded { experiment, commit },
            Event::Steered { text: text.clone(), cell: Some(3) },
            Event::Idea { text: text.clone(), proposer: Some("search".to_owned()), now: true, cell: None },
            Event::IdeaMoved { text: text.clone(), to: IdeaPlace::Tried, experiment: Some(experiment) },
            Event::Vetoed { pattern: text.clone(), number: Some(4), lifted: false, cell: None },
            Event::Stuck { after: 5, rung: Rung::Combine },
            Event::Hooked { hook: Hook::After, text: text.clone() },
            Event::Noted { experiment, text: text.clone() },
            Event::Overridden { experiment, status: Status::Discard, reason: text },
            Event::Claimed { experiment, claim: Claim::Certified },
        ]
    }

    #[test]
    fn every_event_is_one_line_that_is_read_back() {
        let mut names = std::collections::BTreeSet::new();
        for event in every_event() {
            let entry = entry(event);
            let line = serde_json::to_string(&entry).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry, "{line}");
            let written: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(written["event"], entry.event.name());
            let about = written.get("experiment").and_then(|id| id.as_str().map(str::to_owned));
            assert_eq!(about, entry.event.experiment().map(|id| id.to_string()));
            names.insert(entry.event.name().to_owned());
        }
        assert_eq!(names.len(), every_event().len(), "each event once");
    }

    #[test]
    fn the_line_is_flat() {
        let line = serde_json::to_string(&entry(Event::LoopStopping { now: false })).unwrap();
        insta::assert_snapshot!(line, @r#"{"schema":1,"id":"00000000-0000-0000-0000-000000000007","at":"2026-03-05T22:00:00Z","author":"Ada","tag":"main","event":"loop_stopping","now":false}"#);
    }

    #[test]
    fn an_event_of_a_newer_version_is_kept_as_it_is() {
        let id = Uuid::from_u128(7);
        let line = json!({
            "schema": 2, "id": id, "at": "2030-01-01T00:00:00Z", "author": "Ada", "tag": "main",
            "event": "merged", "peer": {"name": "lab-2"}, "records": 17,
        })
        .to_string();
        let entry: Entry = serde_json::from_str(&line).unwrap();
        assert_eq!((entry.schema, entry.event.name(), entry.event.experiment()), (2, "merged", None));
        assert!(!entry.event.lasts());
        let written: serde_json::Value =
            serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(&line).unwrap());
    }

    #[test]
    fn an_event_with_more_fields_is_read_and_one_with_fewer_is_kept() {
        let head = json!({"schema": 1, "id": Uuid::nil(), "at": "2030-01-01T00:00:00Z", "author": "", "tag": "main"});
        let with = |fields: serde_json::Value| {
            let mut line = head.clone();
            line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            serde_json::from_value::<Entry>(line).unwrap().event
        };
        let more = with(json!({"event": "steered", "text": "wider", "weight": 2}));
        assert_eq!(more, Event::Steered { text: "wider".to_owned(), cell: None });
        let fewer = with(json!({"event": "steered"}));
        assert!(matches!(&fewer, Event::Unknown(_)));
        assert_eq!(fewer.name(), "steered");
    }
}
