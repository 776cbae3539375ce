//! `keep N` and `discard N`: what a person decides by hand, with a runner or without.

use lab::{Event, Experiment, Status, Tag};
use ledger::Ledger;

use crate::store::standing;
use crate::{RunnerError, journal};

/// Writes a person's decision into the ledger, and moves the best on where an experiment is kept that
/// builds on it. A runner takes it into account from its next experiment on.
///
/// Returns what the person should know besides, in a sentence.
///
/// # Errors
/// Where there is no such experiment of this clone, it cannot be what it is to be, or the ledger
/// cannot be written.
pub fn decide(
    ledger: &Ledger,
    tag: &Tag,
    number: u64,
    status: Status,
    reason: &str,
    author: &str,
) -> Result<Option<String>, RunnerError> {
    let writer = ledger.writer()?;
    let experiments = ledger.experiments(tag)?;
    let found = experiments.iter().find(|e| e.record.number == number && e.record.writer == writer);
    let Some(Experiment { record, .. }) = found else {
        return Err(RunnerError::Refused(format!("there is no experiment {number} in `{tag}`")));
    };
    if status == Status::Keep && record.value.is_none() {
        let metric = &record.metric;
        return Err(RunnerError::Refused(format!(
            "experiment {number} has no {metric}: nothing can be compared with it"
        )));
    }
    let event = Event::Overridden { experiment: record.id, status, reason: reason.to_owned() };
    ledger.append_event(&journal::entry(author, tag, event))?;
    let best = ledger.best(tag)?;
    if status != Status::Keep {
        // The best is what it was before, where this was the best.
        if best.as_ref() == Some(&record.candidate)
            && let Some(tip) = &standing(ledger, tag, &record.epoch)?.tip
        {
            ledger.keep(tag, &tip.record.candidate)?;
        }
        return Ok(None);
    }
    let follows = match &best {
        Some(best) => ledger.is_ancestor(best, &record.candidate)?,
        None => true,
    };
    if follows {
        ledger.keep(tag, &record.candidate)?;
        Ok(None)
    } else {
        Ok(Some(format!(
            "the next candidates build on {number}; the branch autoresearch/{tag} stays where it is, for {number} does \
             not build on it"
        )))
    }
}
