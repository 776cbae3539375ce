//! A session with an agent that is kept over experiments, and what is news to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use agents::{Log, Session};
use lab::{AgentSession, ExperimentId};

use super::Brief;
use super::worktree::{Mark, one_line};
use crate::environment::Variables;

/// How much of what a session says on standard error is logged, in lines.
const LOGGED: usize = 200;
/// How much of its end is told where it fails, in lines.
const TOLD: usize = 3;

/// A session, and what it was told. Dropping it ends the agent and whatever that has started.
pub(super) struct Conversation {
    pub(super) session: Session,
    /// The latest brief, where it has been told one.
    pub(super) told: Option<Brief>,
    /// What it said on standard error.
    pub(super) said: Said,
    _mark: Mark,
}

impl Conversation {
    pub(super) fn new(session: Session, said: Said, mark: Mark) -> Self {
        Self { session, told: None, said, _mark: mark }
    }

    /// Whether it can be gone on with: it was begun under the same terms.
    pub(super) fn goes_on(&self, brief: &Brief) -> bool {
        let same = |told: &Brief| {
            told.program == brief.program
                && told.editable == brief.editable
                && (&told.metric, told.direction) == (&brief.metric, brief.direction)
                && baseline(told) == baseline(brief)
        };
        brief.agent_session == AgentSession::Kept && self.told.as_ref().is_some_and(same)
    }
}

/// What an agent says on standard error: in the log as it comes, and the end of it at hand.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    /// What an agent called `name` says it to; values of secret `variables` are left out.
    pub(super) fn log(&self, name: &str, variables: &Variables) -> Log {
        let (said, name, variables) = (Arc::clone(&self.0), name.to_owned(), variables.clone());
        let left = Mutex::new(LOGGED);
        Arc::new(move |line| {
            let line = one_line(&variables.redacted(line));
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            if *left > 0 {
                *left -= 1;
                tracing::info!(agent = %name, "{line}");
            }
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_back(line);
            if said.len() > TOLD {
                said.pop_front();
            }
        })
    }

    /// The end of it, on one line.
    pub(super) fn end(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        one_line(&said.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

/// What all values are compared with.
fn baseline(brief: &Brief) -> Option<ExperimentId> {
    brief.experiments.iter().rev().find(|it| it.record.baseline).map(|it| it.record.id)
}

/// What of a brief is new to whoever was told another one before. What decides, what is left, and what is refused or
/// being tried now is always told again.
pub(super) fn news(brief: &Brief, told: &Brief) -> Brief {
    let experiments = brief.experiments.iter().filter(|it| !told.experiments.contains(it)).cloned().collect();
    let files = if brief.parent == told.parent { BTreeMap::new() } else { brief.files.clone() };
    let known = overlap(&told.steering, &brief.steering);
    let steering = brief.steering[known..].to_vec();
    Brief { program: String::new(), experiments, files, steering, ..brief.clone() }
}

/// How many of `new` are the end of `old`: what came since is after them, and the oldest may be gone.
fn overlap(old: &[String], new: &[String]) -> usize {
    (0..=new.len().min(old.len())).rev().find(|count| old.ends_with(&new[..*count])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_since() {
        let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        for (old, new, known) in
            [("", "ab", 0), ("ab", "abc", 2), ("abc", "bcd", 2), ("ab", "ab", 2), ("ab", "cd", 0)]
        {
            assert_eq!(overlap(&list(old), &list(new)), known, "{old} {new}");
        }
    }
}
