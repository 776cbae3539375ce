//! Having a candidate made, and bringing it up to date before it runs.

use lab::{Event, Experiment, Hook};

use super::Engine;
use super::carry::Done;
use super::draft::Draft;
use crate::RunnerError;
use crate::history::Trial;
use crate::proposers::{Brief, Proposal, ProposeError};

/// How often a proposal is asked for again because it was a duplicate.
const ATTEMPTS: usize = 5;

impl Engine {
    /// Has a candidate made, and refuses what was tried before.
    pub(super) async fn make(&self, trial: &mut Trial, mut draft: Draft) -> Result<Done, RunnerError> {
        // One that an earlier loop left behind is proposed by a proposer of this one.
        if self.proposer_of(trial).is_none() {
            let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
            if let Some(name) = self.next_proposer(&standing) {
                trial.proposer = name;
            }
        }
        self.proposing(trial)?;
        let mut refused: Vec<String> = Vec::new();
        let lab = draft.lab()?;
        let editable = lab.editable();
        if lab.hooks.contains_key(&Hook::Before) {
            let brief = self.brief(trial, &draft, &refused).await?;
            self.hook(Hook::Before, &lab, &trial.tag, &brief).await?;
        }
        while refused.len() < ATTEMPTS {
            let brief = self.brief(trial, &draft, &refused).await?;
            let mut proposal = match self.ask(trial, &brief).await {
                Some(Ok(proposal)) => proposal,
                Some(Err(why)) => return self.not_proposed(trial, why),
                None => return self.put_down(trial, "it was stopped while it was being proposed"),
            };
            proposal.edits.retain(|edit| editable.contains(&edit.path));
            if proposal.edits.is_empty() {
                refused.push(format!("{}: it changes no editable file", proposal.hypothesis));
                continue;
            }
            let candidate = self.store.candidate(&brief.parent, proposal.edits, &proposal.hypothesis).await?;
            self.hold(&candidate).await?;
            let what = (&candidate, proposal.hypothesis.as_str());
            // The search takes small steps on purpose.
            let novel = proposal.by.as_deref() != Some("search")
                && self.proposer_of(trial).is_some_and(|proposer| proposer.listens());
            if let Some(why) = self.refusal(trial, &draft, &brief, what, novel).await? {
                refused.push(format!("{}: {why}", proposal.hypothesis));
                continue;
            }
            if let Some(by) = proposal.by {
                trial.proposer = by;
                self.proposing(trial)?;
            }
            draft.note = proposal.note;
            let taken = proposal.takes.and_then(|number| brief.ideas.get(number.checked_sub(1)?));
            draft.idea = taken.map(|idea| idea.text.clone());
            self.save_draft(trial.id, &draft)?;
            let cost = trial.cost;
            self.proposed(trial, candidate, &proposal.hypothesis, cost)?;
            if let Some(team) = self.team() {
                team.made(&trial.proposer);
            }
            for text in
                proposal.ideas.into_iter().filter(|text| brief.ideas.iter().all(|idea| idea.text != *text))
            {
                let idea =
                    Event::Idea { text, proposer: Some(trial.proposer.clone()), now: false, cell: None };
                self.write_lasting(&trial.tag, "overnight", idea).await?;
            }
            return Ok(Done::Proposed);
        }
        let reason = format!("the proposer only repeats what was tried: {}", refused.join("; "));
        self.not_proposed(trial, ProposeError::Nothing(reason))
    }

    fn not_proposed(&self, trial: &mut Trial, why: ProposeError) -> Result<Done, RunnerError> {
        self.put_down(trial, &why.to_string())?;
        Ok(Done::Abandoned { why: Some(why) })
    }

    fn put_down(&self, trial: &mut Trial, reason: &str) -> Result<Done, RunnerError> {
        let event = trial.given_up(reason);
        self.advance(trial, event)?;
        self.drop_draft(trial.id);
        Ok(Done::Abandoned { why: None })
    }

    /// Asks the proposer, and adds to the trial what that cost; `None` where no candidate is needed any more.
    async fn ask(&self, trial: &mut Trial, brief: &Brief) -> Option<Result<Proposal, ProposeError>> {
        let proposer = self.proposer_of(trial);
        trial.doing.ends();
        let propose = async {
            match proposer {
                Some(proposer) => proposer.propose(brief, &mut trial.cost).await,
                None => Err(ProposeError::Failed("there is no proposer: no loop is on".to_owned())),
            }
        };
        tokio::select! {
            proposal = propose => Some(proposal),
            () = self.until_closing() => None,
            () = self.until_cancelled() => None,
        }
    }

    /// Puts what a candidate changes on the best so far, where that has moved since it was made. Where the two do not
    /// fit, or nothing new comes of it, the answer is no: the candidate has to be made again.
    pub(super) async fn follow(
        &self,
        trial: &mut Trial,
        draft: &Draft,
        tip: &Experiment,
    ) -> Result<bool, RunnerError> {
        let best = &tip.record.candidate;
        let (Some(parent), Some(candidate)) = (trial.parent.clone(), trial.candidate.clone()) else {
            return Ok(true);
        };
        if parent == *best || self.store.is_ancestor(best, &candidate).await? {
            return Ok(true);
        }
        let lab = draft.lab()?;
        trial.parent = Some(best.clone());
        let Some(edits) = self.store.merged(&parent, &candidate, best, &lab).await? else {
            tracing::info!(number = trial.number, "its change conflicts with the new best: it is made again");
            return Ok(false);
        };
        let hypothesis = trial.hypothesis.clone();
        let merged = self.store.candidate(best, edits, &hypothesis).await?;
        self.hold(&merged).await?;
        if self.store.duplicate(&trial.tag, &merged, &lab, &draft.epoch).await?.is_some() {
            return Ok(false);
        }
        let cost = trial.cost;
        self.proposing(trial)?;
        self.proposed(trial, merged, &hypothesis, cost)?;
        Ok(true)
    }
}
