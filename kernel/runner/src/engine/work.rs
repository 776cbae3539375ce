//! What to do next: the order of work, and the rules by which a loop ends.

use std::time::Duration;

use lab::{Direction, Lab, Tag};

use super::alerts::Alert;
use super::draft::Draft;
use super::live::Current;
use super::{Cause, End, Engine, Place};
use crate::RunnerError;
use crate::history::{BASELINE, Counts, Trial};
use crate::state::State;
use crate::store::Standing;

/// How often a program that is broken is looked at again.
const BROKEN: Duration = Duration::from_secs(1);

/// What to do next.
pub(super) enum Next {
    /// Carry this experiment in this slot.
    Start { slot: u32, trial: Box<Trial>, draft: Box<Draft> },
    /// Have its candidate made.
    Propose { trial: Box<Trial>, draft: Box<Draft> },
    /// Nothing, until something happens.
    Wait,
    /// Nothing, but look again after a while.
    Retry(Duration),
    /// The loop has ended.
    Ended(End),
}

impl Engine {
    /// Decides what to do next; `busy` where an experiment is on.
    pub(super) async fn next_work(&self, busy: bool) -> Result<Next, RunnerError> {
        self.look_around();
        let rule = self.stop_rule();
        if let Some((reason, cause)) = &rule {
            // A baseline that fails has said so.
            if *cause == Cause::Failed {
                self.alert(Alert::Failed, &format!("the loop ends: {reason}"));
            }
            let spent = self.live().current.as_ref().and_then(spent);
            if let Some(spent) = spent {
                self.alert(Alert::Budget, &format!("the loop ends: {spent}"));
            }
            if let Some(current) = &mut self.live().current {
                current.end_with(reason.clone(), *cause);
            }
            // No candidate is needed any more.
            self.closing.send_replace(true);
        }
        if let Some(wait) = self.enduring() {
            // Somebody who stops the loop does not have to mend the machine first.
            let stopping = self.live().current.as_ref().is_some_and(|current| current.stopping);
            if let Some((reason, cause)) = rule.filter(|_| stopping && !busy) {
                return Ok(self.end_loop(&reason, cause).await?.map_or(Next::Wait, Next::Ended));
            }
            return Ok(Next::Retry(wait));
        }
        match self.queued().await? {
            Next::Wait => {}
            next => return Ok(next),
        }
        if let Some((reason, cause)) = rule {
            if busy {
                return Ok(Next::Wait);
            }
            return Ok(self.end_loop(&reason, cause).await?.map_or(Next::Wait, Next::Ended));
        }
        if !self.may_propose() {
            return Ok(Next::Wait);
        }
        self.proposal().await
    }

    /// The next of what is queued, if a slot is free for it.
    async fn queued(&self) -> Result<Next, RunnerError> {
        let Some((place, mut trial)) = self.take_queued() else { return Ok(Next::Wait) };
        let put_back = |trial: Trial| {
            let mut live = self.live();
            live.free(place, &trial);
            live.queue.push_front(trial);
        };
        let draft = match self.draft_of(&trial).await {
            Ok(draft) => draft,
            Err(error) => {
                put_back(trial);
                return self.broken(error);
            }
        };
        let Place::Slot(slot) = place else {
            return Ok(Next::Propose { trial: Box::new(trial), draft: Box::new(draft) });
        };
        let judged_alone = trial.is_baseline() || trial.state == State::Judged || draft.breaks.is_some();
        if !judged_alone && !trial.holds_slot() {
            let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
            if standing.tip.is_none() {
                // What it is to be compared with comes first.
                let (tag, parent) = (trial.tag.clone(), trial.parent.clone());
                put_back(trial);
                return self.baseline(&tag, &draft, parent).await;
            }
            if trial.is_of_loop()
                && let Some((reason, cause)) = self.rule_of_standing(&draft.lab()?, &standing)
            {
                if let Some(current) = &mut self.live().current {
                    current.end_with(reason, cause);
                }
                put_back(trial);
                return Ok(Next::Retry(Duration::ZERO));
            }
            if trial.is_of_loop()
                && let (Some(parent), Some(candidate)) = (trial.parent.clone(), trial.candidate.clone())
                && let Some(pattern) = self.vetoed(&trial.tag, &parent, &candidate, &trial.hypothesis).await?
            {
                self.rule_out(&mut trial, &format!("the researcher has ruled out what matches `{pattern}`"))?;
                self.live().free(place, &trial);
                return Ok(Next::Retry(Duration::ZERO));
            }
            if let Some(tip) = standing.tip.clone().filter(|_| trial.is_of_loop())
                && !self.follow(&mut trial, &draft, &tip).await?
            {
                let mut live = self.live();
                live.free(place, &trial);
                live.desk.push(trial.clone());
                return Ok(Next::Propose { trial: Box::new(trial), draft: Box::new(draft) });
            }
        }
        trial.slot = slot;
        self.live().show(&trial);
        self.live().problem = None;
        Ok(Next::Start { slot, trial: Box::new(trial), draft: Box::new(draft) })
    }

    /// Takes a queued experiment and a place for it: the slot in which something of it may run, or any that is free;
    /// the desk, where its candidate is not made yet.
    fn take_queued(&self) -> Option<(Place, Trial)> {
        let mut live = self.live();
        // A baseline is run alone: everything else waits for what it says.
        let baseline = live.slots.iter().flatten().any(Trial::is_baseline);
        let free = live.free_slot();
        let index = live.queue.iter().position(|trial| {
            if !live.may_go_on(trial) {
                false
            } else if trial.is_to_be_proposed() {
                true
            } else if trial.holds_slot() {
                live.slots.get(trial.slot as usize).is_some_and(Option::is_none)
            } else {
                free.is_some() && !baseline
            }
        })?;
        let trial = live.queue.remove(index)?;
        if trial.is_to_be_proposed() {
            live.desk.push(trial.clone());
            return Some((Place::Desk, trial));
        }
        let slot = if trial.holds_slot() { trial.slot as usize } else { free? };
        live.take(slot, &trial);
        Some((Place::Slot(u32::try_from(slot).unwrap_or(0)), trial))
    }

    /// Why the loop ends, if it does.
    fn stop_rule(&self) -> Option<(String, Cause)> {
        let live = self.live();
        let current = live.current.as_ref()?;
        if let Some(ending) = &current.ending {
            return Some(ending.clone());
        }
        let counts = &current.counts;
        if current.left().is_some_and(|left| left.is_zero()) {
            return Some(("its time is over".to_owned(), Cause::Done));
        }
        if let Some(planned) = current.options.experiments.filter(|planned| counts.finished >= *planned) {
            return Some((format!("it has done its {planned} experiments"), Cause::Done));
        }
        if let Some(reason) = spent(current) {
            return Some((reason, Cause::Done));
        }
        None
    }

    /// Whether another candidate may be made now.
    fn may_propose(&self) -> bool {
        self.team().is_some_and(|team| self.live().may_propose(team.ahead(), team.at_once()))
    }

    /// Who of the loop's proposers makes the next candidate; `None` where all of them are busy.
    pub(super) fn next_proposer(&self, standing: &Standing) -> Option<String> {
        let team = self.team()?;
        let (pending, busy) = self.live().proposers();
        team.next(&standing.experiments, &pending, &busy)
    }

    /// Begins an experiment of the loop.
    async fn proposal(&self) -> Result<Next, RunnerError> {
        let tag = self.live().current.as_ref().map(|current| current.options.tag.clone());
        let Some(tag) = tag else { return Ok(Next::Wait) };
        let base = self.base().await?;
        let draft = match self.draft(&base).await {
            Ok(draft) => draft,
            Err(error) => return self.broken(error),
        };
        let lab = draft.lab()?;
        if self.live().problem.take().is_some() {
            tracing::info!("the program can be read again");
        }
        {
            let mut live = self.live();
            live.alerts.settle(Alert::Program);
            live.alerts.learn(lab.alert.as_ref());
        }
        let standing = self.store.standing(&tag, &draft.epoch).await?;
        if let Some((reason, cause)) = self.rule_of_standing(&lab, &standing) {
            if let Some(current) = &mut self.live().current {
                current.end_with(reason, cause);
            }
            // The rule is applied by the next look, when nothing runs any more.
            return Ok(if self.live().in_flight() > 0 { Next::Wait } else { Next::Retry(Duration::ZERO) });
        }
        let Some(tip) = standing.tip.clone() else {
            return self.baseline(&tag, &draft, Some(base)).await;
        };
        self.show_best(Some(&tip));
        self.reconcile(&tag, &tip).await?;
        let Some(proposer) = self.next_proposer(&standing) else { return Ok(Next::Wait) };
        let trial = {
            let _one = self.reserving.lock().await;
            self.new_trial(&tag, &proposer, Some(tip.record.candidate.clone())).await?
        };
        self.live().desk.push(trial.clone());
        Ok(Next::Propose { trial: Box::new(trial), draft: Box::new(draft) })
    }

    /// Begins a baseline, unless something else is on: it is run alone.
    async fn baseline(
        &self,
        tag: &Tag,
        draft: &Draft,
        base: Option<lab::CommitId>,
    ) -> Result<Next, RunnerError> {
        if self.live().slots.iter().any(Option::is_some) || !self.live().desk.is_empty() {
            return Ok(Next::Wait);
        }
        let base = match base {
            Some(base) => base,
            None => self.base().await?,
        };
        let candidate = self.baseline_commit(tag, draft, base).await?;
        let mut trial = {
            let _one = self.reserving.lock().await;
            self.new_trial(tag, BASELINE, None).await?
        };
        trial.candidate = Some(candidate);
        Ok(self.begin_trial(trial, draft.clone()))
    }

    fn begin_trial(&self, mut trial: Trial, draft: Draft) -> Next {
        let mut live = self.live();
        let Some(slot) = live.free_slot() else {
            live.release(&trial);
            return Next::Wait;
        };
        trial.slot = u32::try_from(slot).unwrap_or(0);
        live.take(slot, &trial);
        Next::Start { slot: trial.slot, trial: Box::new(trial), draft: Box::new(draft) }
    }

    /// Why the loop ends, by what the ledger says.
    fn rule_of_standing(&self, lab: &Lab, standing: &Standing) -> Option<(String, Cause)> {
        let (target, counts) = {
            let live = self.live();
            let current = live.current.as_ref()?;
            (current.options.target, current.counts)
        };
        rule_of_standing(lab, standing, target, counts)
    }

    /// A program that cannot be read now is no reason to end the night: the loop waits until it can.
    fn broken(&self, error: RunnerError) -> Result<Next, RunnerError> {
        let program = matches!(&error, RunnerError::Lab(_))
            || matches!(&error, RunnerError::Io { path, .. } if path.ends_with("program.md"));
        if !program {
            return Err(error);
        }
        let mut live = self.live();
        let problem = format!("waiting for the program to be mended: {error}");
        if live.problem.as_ref() != Some(&problem) {
            tracing::warn!(%error, "the program cannot be read");
            live.problem = Some(problem.clone());
            drop(live);
            self.alert(Alert::Program, &problem);
        }
        Ok(Next::Retry(BROKEN))
    }
}

/// That proposing has cost what it may.
fn spent(current: &Current) -> Option<String> {
    let cost = current.counts.cost.usd;
    let most = current.options.max_cost.filter(|most| cost >= *most)?;
    Some(format!("proposing has cost ${cost:.2} of ${most:.2}"))
}

/// The rules that look at the ledger: the target, crashes in a row, and a plateau.
fn rule_of_standing(
    lab: &Lab,
    standing: &Standing,
    target: Option<f64>,
    Counts { crashes, dry, .. }: Counts,
) -> Option<(String, Cause)> {
    let best = standing.tip.as_ref().and_then(|tip| tip.record.value);
    if let (Some(target), Some(best)) = (target, best) {
        let reached = match lab.direction {
            Direction::Minimize => best <= target,
            Direction::Maximize => best >= target,
        };
        if reached {
            return Some((
                format!("the target is reached: {} {best} (target {target})", lab.metric),
                Cause::Done,
            ));
        }
    }
    if lab.crashes > 0 && crashes >= lab.crashes {
        return Some((
            format!("the last {crashes} experiments crashed or timed out: the lab may be broken"),
            Cause::Failed,
        ));
    }
    if lab.plateau > 0 && dry >= lab.plateau {
        return Some((
            format!("a plateau: the last {dry} experiments improved nothing (`plateau: {}`)", lab.plateau),
            Cause::Done,
        ));
    }
    None
}
