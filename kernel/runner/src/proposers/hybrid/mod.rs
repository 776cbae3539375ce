//! `search+MODEL`: `search`, and a language model for three of ten experiments.
//!
//! It is the hybrid of arXiv 2603.24647 with our optimizer in place of CMA-ES: the model is told what the optimizer
//! knows ([`state`]), and answers with values for parameters or with any other change. What it makes of the constants
//! alone teaches the optimizer as its own trials do, a crash among them; where it changed more, the optimizer goes on as if
//! nothing had been (see [`Known`](super::search::Known)).
//!
//! The night does not wait for a model: where it fails, the experiment is the optimizer's.

use std::time::Duration;

use async_trait::async_trait;
use lab::Cost;
use models::Settings;

use super::model::{ModelProposer, Setting};
use super::search::{ENOUGH, Search};
use super::{Brief, Failure, Proposal, ProposeError, Proposer};
use crate::blocking;

mod state;

/// What its name begins with; the model's follows.
pub(super) const PREFIX: &str = "search+";
/// How many of ten experiments are the model's.
const OF_TEN: u64 = 3;

/// Whether what stands under a proposer's name was made by the proposer that is called `name`: itself, or half of it.
pub(super) fn made(name: &str, proposer: &str) -> bool {
    // As models are called: without a slash at the end of their address.
    let half = |model: &str| proposer == "search" || proposer == model.trim_end_matches('/');
    name == proposer || name.strip_prefix(PREFIX).is_some_and(half)
}

/// How a model is asked for whom there is a stand-in.
pub(super) fn patience() -> Settings {
    Settings { retries: 2, deadline: Duration::from_mins(5), ..Settings::default() }
}

/// Search and a model.
pub(super) struct Hybrid {
    search: Search,
    model: ModelProposer,
}

impl Hybrid {
    pub(super) fn new(search: Search, model: ModelProposer) -> Self {
        Self { search, model }
    }
}

/// Whether an experiment is the model's: three of ten, by seed and number alone, evenly spread. None is while the
/// optimizer has nothing to tell, and none that was refused once.
fn is_models_turn(brief: &Brief) -> bool {
    let turn = (brief.number % 10 + brief.seed % 10) * OF_TEN % 10 < OF_TEN;
    turn && brief.attempt == 0 && brief.trials.len() >= ENOUGH
}

#[async_trait]
impl Proposer for Hybrid {
    fn at_once(&self) -> usize {
        self.model.at_once()
    }

    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        let known = match blocking::here(|| self.search.known(brief)) {
            Ok(known) => known,
            // Without a constant to search over, a model may still have something.
            Err(_) => {
                return Ok(Proposal {
                    by: Some(self.model.name()),
                    ..self.model.propose(brief, cost).await?
                });
            }
        };
        let (own, told) = blocking::here(|| {
            let optimizer = known.optimizer();
            let next = known.next(&optimizer);
            // Where the optimizer has nothing left, a model may still have.
            let told = (is_models_turn(brief) || next.is_err())
                .then(|| state::render(brief, &known, &optimizer, next.as_ref().ok()));
            (next.map(|(values, _)| known.written(&values)), told)
        });
        let by = |who: String, proposal| Proposal { by: Some(who), ..proposal };
        let Some(told) = told else { return own.map(|own| by("search".to_owned(), own)) };
        let set = |settings: &[Setting]| known.set(settings);
        match (self.model.propose_with(brief, &told, Some(&set), cost).await, own) {
            (Ok(proposal), _) => Ok(by(self.model.name(), proposal)),
            (Err(blocked @ ProposeError::Blocked(_)), _) => Err(blocked),
            (Err(why), Ok(own)) => {
                tracing::info!(number = brief.number, %why, "the model has nothing: search goes on alone");
                Ok(by("search".to_owned(), Proposal { note: Some(format!("search alone: {why}")), ..own }))
            }
            (Err(why), Err(_)) => Err(why),
        }
    }

    /// A model mends what is its own: that values fail is what the optimizer has to know.
    async fn repair(
        &self,
        brief: &Brief,
        failure: &Failure,
        cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        if failure.proposer != self.model.name() {
            return Ok(None);
        }
        self.model.repair(brief, failure, cost).await
    }
}

#[cfg(test)]
mod tests;
