//! The proposers of a loop: one, or several between which a bandit chooses: `--agent search,acp:claude`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lab::Experiment;

use super::bandit::{self, Limits};
use super::{ProposeError, Proposer, hybrid};

/// How often in a row one of several may have nothing before it is left out.
const NOTHING: u32 = 3;
/// What the names of proposers begin with: a comma before anything else is part of a name.
const KINDS: [&str; 5] = ["search", "anthropic:", "openai:", "acp:", "command:"];

/// The proposers of a loop.
pub(crate) struct Team {
    members: Vec<(String, Arc<dyn Proposer>)>,
    limits: Limits,
    absent: Mutex<Absent>,
}

/// Who is left out, and who may soon be.
#[derive(Debug, Default)]
struct Absent {
    /// Why, by name.
    out: BTreeMap<String, String>,
    /// How often in a row each had nothing.
    missed: BTreeMap<String, u32>,
}

impl Team {
    /// A team of proposers with their names; of two with one name the first is meant.
    pub(crate) fn new(members: Vec<(String, Arc<dyn Proposer>)>, limits: Limits) -> Self {
        Self { members, limits, absent: Mutex::default() }
    }

    /// One that proposes alone.
    #[cfg(test)]
    pub(crate) fn alone(name: &str, proposer: Arc<dyn Proposer>) -> Self {
        Self::new(vec![(name.to_owned(), proposer)], Limits { hours: None, usd: None })
    }

    /// The names in `search,acp:claude`.
    pub(crate) fn names(text: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for part in text.split(',') {
            let begins = KINDS.iter().any(|kind| part.trim_start().starts_with(kind));
            match names.last_mut() {
                Some(name) if !begins => {
                    name.push(',');
                    name.push_str(part);
                }
                _ => names.push(part.to_owned()),
            }
        }
        names.into_iter().map(|name| name.trim().to_owned()).collect()
    }

    /// The member that made, or is to make, what stands under a proposer's name: it may be half of a member's.
    fn member(&self, proposer: &str) -> Option<&(String, Arc<dyn Proposer>)> {
        let exact = self.members.iter().find(|(name, _)| name == proposer);
        exact.or_else(|| self.members.iter().find(|(name, _)| hybrid::made(name, proposer)))
    }

    /// A member by the name of the proposer that an experiment has.
    pub(crate) fn named(&self, proposer: &str) -> Option<Arc<dyn Proposer>> {
        self.member(proposer).map(|(_, proposer)| Arc::clone(proposer))
    }

    /// Who is to make the next candidate; `pending` are the proposers of what is on its way, `busy` those of what is
    /// being made. `None` where everybody is busy.
    pub(crate) fn next(
        &self,
        experiments: &[Experiment],
        pending: &[String],
        busy: &[String],
    ) -> Option<String> {
        let out = self.out();
        let free: Vec<&str> = self
            .members
            .iter()
            .filter(|(name, proposer)| {
                let making = busy.iter().filter(|other| hybrid::made(name, other)).count();
                !out.contains_key(name) && making < proposer.at_once()
            })
            .map(|(name, _)| name.as_str())
            .collect();
        bandit::next(&free, experiments, pending, self.limits).map(|index| free[index].to_owned())
    }

    /// Whether candidates are worth making ahead: see [`Proposer::ahead`].
    pub(crate) fn ahead(&self) -> bool {
        self.members.iter().any(|(_, proposer)| proposer.ahead())
    }

    /// How many candidates it can make at once.
    pub(crate) fn at_once(&self) -> usize {
        self.members.iter().map(|(_, proposer)| proposer.at_once()).sum()
    }

    /// Who is left out, and why.
    pub(crate) fn out(&self) -> BTreeMap<String, String> {
        self.absent().out.clone()
    }

    /// Takes in that a member had nothing. Whether the others go on without minding; if not, it is for the loop to end
    /// or to pause.
    pub(crate) fn missed(&self, name: &str, why: &ProposeError) -> bool {
        let name = self.member(name).map_or(name, |(name, _)| name);
        let mut absent = self.absent();
        let others = self.members.iter().any(|(other, _)| other != name && !absent.out.contains_key(other));
        if !others {
            return false;
        }
        let missed = absent.missed.entry(name.to_owned()).or_default();
        *missed += 1;
        let over = matches!(why, ProposeError::Over(_) | ProposeError::Blocked(_)) || *missed >= NOTHING;
        if over {
            tracing::warn!(proposer = name, %why, "it is left out");
            absent.out.insert(name.to_owned(), why.to_string());
        }
        true
    }

    /// Takes in that a member has made a candidate.
    pub(crate) fn made(&self, proposer: &str) {
        if let Some((name, _)) = self.member(proposer) {
            self.absent().missed.remove(name);
        }
    }

    fn absent(&self) -> std::sync::MutexGuard<'_, Absent> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_what_they_begin_with() {
        assert_eq!(Team::names("search"), ["search"]);
        assert_eq!(
            Team::names("search, acp:claude,openai:m@http://h/v1"),
            ["search", "acp:claude", "openai:m@http://h/v1"]
        );
        assert_eq!(Team::names("command:tool -x a,b,search"), ["command:tool -x a,b", "search"]);
        assert_eq!(Team::names(""), [""]);
    }
}
