//! Carrying one experiment through its states, from wherever it is to its end.

use lab::{CommitId, Cost, Event, RunId, Seconds, Status};
use uuid::Uuid;

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::executor::{Given, Kind};
use crate::history::{BASELINE, Trial};
use crate::proposers::{Brief, Proposal, ProposeError};
use crate::shim::End as RunEnd;
use crate::state::State;

/// How often a proposal is asked for again because it was a duplicate.
const ATTEMPTS: usize = 5;
/// How often a build or a run is started in all, where it is lost each time.
const STARTS: usize = 4;

/// How an experiment ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    /// It is in the ledger.
    Recorded {
        /// What it was judged.
        status: Status,
        /// It beat its parent, but the best has moved on.
        again: bool,
    },
    /// Nothing came of it.
    Abandoned {
        /// Why the proposer had nothing, where that is the reason.
        why: Option<ProposeError>,
    },
}

/// What to do after a step.
enum Step {
    On,
    End(Done),
}

impl Engine {
    /// Carries an experiment to its end.
    pub(super) async fn carry(&self, trial: &mut Trial, mut draft: Draft) -> Result<Done, RunnerError> {
        loop {
            let step = match trial.state {
                State::New | State::Proposing if trial.is_baseline() => {
                    self.take_baseline(trial, &draft).await?
                }
                State::New | State::Proposing => self.propose(trial, &mut draft).await?,
                State::Proposed if draft.breaks.is_some() => {
                    return self.judge_and_record(trial, &draft).await;
                }
                State::Proposed if self.cancelled() => self.give_up(trial, "it was stopped before it ran")?,
                State::Proposed => {
                    self.save_draft(trial.id, &draft)?;
                    self.begin_run(trial, &draft).await?;
                    Step::On
                }
                State::Building => self.await_build(trial, &draft).await?,
                State::Built if trial.build.as_ref().is_some_and(|(exit, _)| exit != "0") => {
                    return self.judge_and_record(trial, &draft).await;
                }
                State::Built if self.cancelled() => self.give_up(trial, "it was stopped after its build")?,
                State::Built => {
                    if self.paths.tree(trial.slot).exists() {
                        self.launch(trial, &draft, Kind::Run).await?;
                    } else {
                        self.begin_run(trial, &draft).await?;
                    }
                    Step::On
                }
                State::Running => self.await_run(trial, &draft).await?,
                State::Ran | State::Judged => return self.judge_and_record(trial, &draft).await,
                State::Recorded => {
                    let status = trial.judgement.as_ref().map_or(Status::Crash, |judgement| judgement.status);
                    Step::End(Done::Recorded { status, again: false })
                }
                State::Abandoned => Step::End(Done::Abandoned { why: None }),
            };
            if let Step::End(done) = step {
                if trial.state == State::Abandoned {
                    self.drop_draft(trial.id);
                }
                return Ok(done);
            }
        }
    }

    fn proposing(&self, trial: &mut Trial) -> Result<(), RunnerError> {
        let event = Event::Proposing {
            experiment: trial.id,
            number: trial.number,
            slot: trial.slot,
            proposer: trial.proposer.clone(),
            parent: trial.parent.clone(),
        };
        self.advance(trial, event)
    }

    fn proposed(
        &self,
        trial: &mut Trial,
        candidate: CommitId,
        hypothesis: &str,
        cost: Cost,
    ) -> Result<(), RunnerError> {
        let event =
            Event::Proposed { experiment: trial.id, candidate, hypothesis: hypothesis.to_owned(), cost };
        self.advance(trial, event)
    }

    fn give_up(&self, trial: &mut Trial, reason: &str) -> Result<Step, RunnerError> {
        let event = trial.given_up(reason);
        self.advance(trial, event)?;
        Ok(Step::End(Done::Abandoned { why: None }))
    }

    /// A baseline's candidate: the best so far where only the terms have changed, or what the
    /// researcher sees.
    async fn take_baseline(&self, trial: &mut Trial, draft: &Draft) -> Result<Step, RunnerError> {
        let candidate = match trial.candidate.clone() {
            Some(candidate) => candidate,
            None => {
                let base = self.base().await?;
                self.baseline_commit(&trial.tag, draft, base).await?
            }
        };
        BASELINE.clone_into(&mut trial.proposer);
        self.proposing(trial)?;
        self.save_draft(trial.id, draft)?;
        self.proposed(trial, candidate, "baseline", Cost::default())?;
        Ok(Step::On)
    }

    /// The commit that a baseline tries.
    pub(super) async fn baseline_commit(
        &self,
        tag: &lab::Tag,
        draft: &Draft,
        base: CommitId,
    ) -> Result<CommitId, RunnerError> {
        let lab = draft.lab()?;
        let Some(best) = self.store.best(tag).await? else { return Ok(base) };
        let same = self.store.locked_hash(&best, &lab).await? == self.store.locked_hash(&base, &lab).await?;
        Ok(if same { best } else { base })
    }

    /// Has a candidate made, and refuses what was tried before.
    async fn propose(&self, trial: &mut Trial, draft: &mut Draft) -> Result<Step, RunnerError> {
        // One that an earlier loop left behind is proposed by the proposer of this one.
        if let Some(current) = &self.live().current {
            trial.proposer.clone_from(&current.options.proposer);
        }
        self.proposing(trial)?;
        let mut refused: Vec<String> = Vec::new();
        let lab = draft.lab()?;
        let editable = lab.editable();
        while refused.len() < ATTEMPTS {
            let brief = self.brief(trial, draft, &refused).await?;
            let mut proposal = match self.ask(&brief, &mut trial.cost).await {
                Some(Ok(proposal)) => proposal,
                Some(Err(why)) => return self.not_proposed(trial, why),
                None => return self.give_up(trial, "it was stopped while it was being proposed"),
            };
            proposal.edits.retain(|edit| editable.contains(&edit.path));
            if proposal.edits.is_empty() {
                refused.push(format!("{}: it changes no editable file", proposal.hypothesis));
                continue;
            }
            let candidate = self.store.candidate(&brief.parent, proposal.edits, &proposal.hypothesis).await?;
            if let Some(number) = self.store.duplicate(&trial.tag, &candidate, &lab, &draft.epoch).await? {
                refused.push(format!(
                    "{}: experiment {number} has the same editable files",
                    proposal.hypothesis
                ));
                continue;
            }
            if self.is_in_flight(&brief, &candidate, &lab).await? {
                refused.push(format!("{}: it is being tried now", proposal.hypothesis));
                continue;
            }
            if self.live().current.as_ref().is_some_and(|current| current.stopping) {
                return self.give_up(trial, "the loop was stopped before it ran");
            }
            draft.note = proposal.note;
            self.save_draft(trial.id, draft)?;
            let cost = trial.cost;
            self.proposed(trial, candidate, &proposal.hypothesis, cost)?;
            return Ok(Step::On);
        }
        let reason = format!("the proposer only repeats what was tried: {}", refused.join("; "));
        self.not_proposed(trial, ProposeError::Nothing(reason))
    }

    fn not_proposed(&self, trial: &mut Trial, why: ProposeError) -> Result<Step, RunnerError> {
        let event = trial.given_up(&why.to_string());
        self.advance(trial, event)?;
        Ok(Step::End(Done::Abandoned { why: Some(why) }))
    }

    /// Asks the proposer, and adds to `cost` what that cost; `None` where everything is to be ended at once.
    async fn ask(&self, brief: &Brief, cost: &mut Cost) -> Option<Result<Proposal, ProposeError>> {
        let propose = async {
            match self.proposer.lock().await.as_mut() {
                Some((_, proposer)) => proposer.propose(brief, cost).await,
                None => Err(ProposeError::Failed("there is no proposer: no loop is on".to_owned())),
            }
        };
        tokio::select! {
            proposal = propose => Some(proposal),
            () = self.until_cancelled() => None,
        }
    }

    async fn is_in_flight(
        &self,
        brief: &Brief,
        candidate: &CommitId,
        lab: &lab::Lab,
    ) -> Result<bool, RunnerError> {
        if brief.in_flight.is_empty() {
            return Ok(false);
        }
        let files = self.store.editable_files(candidate, lab).await?;
        for other in &brief.in_flight {
            if self.store.editable_files(other, lab).await? == files {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the slot ready and starts the build, or the run where there is none.
    async fn begin_run(&self, trial: &mut Trial, draft: &Draft) -> Result<(), RunnerError> {
        let Some(candidate) = trial.candidate.clone() else {
            return Err(RunnerError::Refused(format!("experiment {} has no candidate", trial.number)));
        };
        let lab = draft.lab()?;
        self.executor.prepare(trial.slot, &candidate, &lab).await?;
        let kind = if lab.build.is_some() { Kind::Build } else { Kind::Run };
        self.launch(trial, draft, kind).await
    }

    async fn launch(&self, trial: &mut Trial, draft: &Draft, kind: Kind) -> Result<(), RunnerError> {
        let lab = draft.lab()?;
        let given = Given { slot: trial.slot, number: trial.number, seed: draft.seed, budget: draft.budget };
        let Some(job) = self.executor.job(&lab, kind, given) else { return Ok(()) };
        let run = RunId(Uuid::now_v7());
        let experiment = trial.id;
        let event = match kind {
            Kind::Build => Event::BuildStarted { experiment, run },
            Kind::Run => Event::RunStarted {
                experiment,
                run,
                slot: trial.slot,
                seed: draft.seed,
                budget: draft.budget,
            },
        };
        self.advance(trial, event)?;
        self.executor.submit(run, &job).await
    }

    /// How the last build or run ended; `None` where it was lost and may be started again.
    async fn end_of_run(&self, trial: &Trial) -> Option<RunEnd> {
        let run = trial.run?;
        let end = self.watch(run).await;
        // Ended by a signal that nobody here sent, such as the machine's shutdown: as good as lost.
        let end = end.filter(|end| end.exit != "stopped" || self.cancelled());
        if end.is_none() && (trial.all_runs.len() >= STARTS || self.cancelled()) {
            let exit = if self.cancelled() { "stopped" } else { "lost" };
            return Some(RunEnd { exit: exit.to_owned(), ..RunEnd::default() });
        }
        end
    }

    async fn await_build(&self, trial: &mut Trial, draft: &Draft) -> Result<Step, RunnerError> {
        let Some(end) = self.end_of_run(trial).await else {
            self.begin_run(trial, draft).await?;
            return Ok(Step::On);
        };
        if end.exit == "stopped" {
            return self.give_up(trial, "its build was stopped");
        }
        let (experiment, run) = (trial.id, trial.run.unwrap_or(RunId(Uuid::nil())));
        self.advance(trial, Event::BuildEnded { experiment, run, exit: end.exit, seconds: end.seconds })?;
        Ok(Step::On)
    }

    async fn await_run(&self, trial: &mut Trial, draft: &Draft) -> Result<Step, RunnerError> {
        let Some(end) = self.end_of_run(trial).await else {
            self.begin_run(trial, draft).await?;
            return Ok(Step::On);
        };
        if end.exit == "stopped" {
            return self.give_up(trial, "its run was stopped");
        }
        let metric = draft.lab()?.metric;
        let value = value(&end, metric.as_str()).filter(|value| value.is_finite());
        let (experiment, run) = (trial.id, trial.run.unwrap_or(RunId(Uuid::nil())));
        let seconds = Seconds(end.seconds.0);
        self.advance(trial, Event::RunEnded { experiment, run, exit: end.exit, value, seconds })?;
        Ok(Step::On)
    }
}

/// The metric's value: of the summary, or the last one that was printed.
pub(super) fn value(end: &RunEnd, metric: &str) -> Option<f64> {
    end.summary.get(metric).or_else(|| end.last.get(metric)).copied()
}
