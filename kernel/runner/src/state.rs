//! The state machine of an experiment: one enum and one function, without I/O.
//!
//! ```
//! use runner::state::{State, next};
//! # use lab::{Event, ExperimentId, CommitId};
//! # let experiment = ExperimentId(Default::default());
//! let proposing = Event::Proposing { experiment, number: 1, slot: 0, proposer: "search".into(), parent: None };
//! assert_eq!(next(State::New, &proposing)?, State::Proposing);
//! # Ok::<(), runner::state::Illegal>(())
//! ```
//!
//! The way of a finished experiment is New → Proposing → Proposed → (Building → Built →) Running → Ran
//! → Judged → Recorded. Steps are repeated where a runner was lost: `Proposing` again under the same
//! id and number, a build or a run again under a new run id. What failed may be mended, and is Proposed again.

use lab::Event;

/// How far an experiment has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is known of it.
    #[default]
    New,
    /// Its number is reserved and its candidate is being made.
    Proposing,
    /// Its candidate exists.
    Proposed,
    /// Its build is on.
    Building,
    /// Its build has ended.
    Built,
    /// A run of it is on.
    Running,
    /// A run of it has ended.
    Ran,
    /// It is judged, and not yet in the ledger.
    Judged,
    /// It is in the ledger.
    Recorded,
    /// Nothing came of it; its number is free.
    Abandoned,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Proposing,
        Self::Proposed,
        Self::Building,
        Self::Built,
        Self::Running,
        Self::Ran,
        Self::Judged,
        Self::Recorded,
        Self::Abandoned,
    ];

    /// Whether nothing more is to be done for it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Recorded | Self::Abandoned)
    }
}

/// An event that cannot happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot happen to an experiment that is {state:?}")]
pub struct Illegal {
    /// The state that it had.
    pub state: State,
    /// The event's name.
    pub event: String,
}

/// The state after `event`.
///
/// # Errors
/// [`Illegal`] where the event cannot happen in that state, or is not about an experiment.
pub fn next(state: State, event: &Event) -> Result<State, Illegal> {
    use State::{Abandoned, Building, Built, Judged, New, Proposed, Proposing, Ran, Recorded, Running};

    match (state, event) {
        // A duplicate or a lost proposal is proposed again, under the same id and number.
        (New | Proposing | Proposed, Event::Proposing { .. }) => Ok(Proposing),
        (Proposing, Event::Proposed { .. }) => Ok(Proposed),
        (Proposing | Proposed | Building | Built | Running | Ran, Event::NotProposed { .. }) => Ok(Abandoned),
        // From Running: the run was lost with its worktree, so the build is made again.
        // What failed is mended, and tried again from its build on.
        (Built | Ran, Event::Repaired { .. }) => Ok(Proposed),
        (Proposed | Building | Built | Running, Event::BuildStarted { .. }) => Ok(Building),
        (Building, Event::BuildEnded { .. }) => Ok(Built),
        (Proposed | Built | Running | Ran, Event::RunStarted { .. }) => Ok(Running),
        (Running, Event::RunEnded { .. }) => Ok(Ran),
        // From Proposed: it broke a rule, or could not be run at all; from Built: its build failed.
        (Proposed | Built | Ran, Event::Judged { .. }) => Ok(Judged),
        (Judged, Event::Recorded { .. }) => Ok(Recorded),
        (Recorded, Event::Noted { .. } | Event::Overridden { .. } | Event::Claimed { .. }) => Ok(Recorded),
        _ => Err(Illegal { state, event: event.name().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lab::{Claim, CommitId, Cost, ExperimentId, Judgement, RunId, Seconds, Status};
    use proptest::prelude::*;

    use super::*;

    fn events() -> Vec<Event> {
        let experiment = ExperimentId(uuid::Uuid::nil());
        let run = RunId(uuid::Uuid::nil());
        let judgement =
            Judgement { status: Status::Keep, reason: String::new(), delta: None, confidence: None };
        let (exit, seconds, text) = ("0".to_owned(), Seconds(1.0), String::new());
        vec![
            Event::Proposing { experiment, number: 1, slot: 0, proposer: text.clone(), parent: None },
            Event::NotProposed { experiment, reason: text.clone(), cost: Cost::default() },
            Event::Proposed {
                experiment,
                candidate: CommitId::new("c"),
                hypothesis: text.clone(),
                cost: Cost::default(),
            },
            Event::Repaired {
                experiment,
                candidate: CommitId::new("e"),
                reason: text.clone(),
                cost: Cost::default(),
            },
            Event::BuildStarted { experiment, run, slot: 0 },
            Event::BuildEnded { experiment, run, exit: exit.clone(), seconds },
            Event::RunStarted { experiment, run, slot: 0, seed: 1, budget: seconds },
            Event::RunEnded { experiment, run, exit, value: None, seconds },
            Event::Judged { experiment, judgement },
            Event::Recorded { experiment, commit: CommitId::new("d") },
            Event::Noted { experiment, text: text.clone() },
            Event::Overridden { experiment, status: Status::Keep, reason: text.clone() },
            Event::Claimed { experiment, claim: Claim::Certified },
            Event::LoopStarted {
                proposer: text.clone(),
                budget: seconds,
                deadline: None,
                experiments: None,
                slots: 1,
                seed: 1,
                pid: 1,
            },
            Event::LoopPaused { reason: None },
            Event::LoopResumed,
            Event::LoopStopping { now: true },
            Event::LoopEnded { reason: text.clone(), failed: false },
            Event::Steered { text, cell: None },
        ]
    }

    #[test]
    fn every_state_and_every_event() {
        let mut table = String::new();
        for state in State::ALL {
            let legal: Vec<String> = events()
                .iter()
                .filter_map(|event| next(state, event).ok().map(|to| format!("{}→{to:?}", event.name())))
                .collect();
            table.push_str(&format!("{state:?}: {}\n", legal.join(" ")));
        }
        insta::assert_snapshot!(table, @r"
        New: proposing→Proposing
        Proposing: proposing→Proposing not_proposed→Abandoned proposed→Proposed
        Proposed: proposing→Proposing not_proposed→Abandoned build_started→Building run_started→Running judged→Judged
        Building: not_proposed→Abandoned build_started→Building build_ended→Built
        Built: not_proposed→Abandoned repaired→Proposed build_started→Building run_started→Running judged→Judged
        Running: not_proposed→Abandoned build_started→Building run_started→Running run_ended→Ran
        Ran: not_proposed→Abandoned repaired→Proposed run_started→Running judged→Judged
        Judged: recorded→Recorded
        Recorded: noted→Recorded overridden→Recorded claimed→Recorded
        Abandoned: 
        ");
    }

    /// What the engine does next in each state, where everything goes well.
    fn onward(state: State) -> &'static str {
        match state {
            State::New => "proposing",
            State::Proposing => "proposed",
            State::Proposed => "build_started",
            State::Building => "build_ended",
            State::Built => "run_started",
            State::Running => "run_ended",
            State::Ran => "judged",
            State::Judged => "recorded",
            State::Recorded | State::Abandoned => "",
        }
    }

    proptest! {
        /// From wherever a legal history stopped, an experiment can be carried to its end.
        #[test]
        fn any_prefix_can_be_resumed(picks in proptest::collection::vec(0usize..19, 0..60)) {
            let events = events();
            let mut state = State::New;
            for pick in picks {
                if let Ok(to) = next(state, &events[pick]) {
                    state = to;
                }
            }
            let mut steps = 0;
            while !state.is_final() {
                let event = events.iter().find(|event| event.name() == onward(state)).unwrap();
                state = next(state, event).unwrap();
                steps += 1;
                prop_assert!(steps <= State::ALL.len());
            }
        }
    }
}
