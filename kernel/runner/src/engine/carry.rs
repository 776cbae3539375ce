//! Carrying one experiment through its states, from wherever it is to its end.

use lab::{CommitId, Cost, Event, RunId, Seconds, Status};
use uuid::Uuid;

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::executor::{Given, Kind};
use crate::history::{BASELINE, Trial};
use crate::proposers::ProposeError;
use crate::shim::End as RunEnd;
use crate::state::State;

/// How often a build or a run is started in all, where it is lost each time.
const STARTS: usize = 4;

/// How an experiment ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    /// Its candidate is made.
    Proposed,
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
    pub(super) async fn carry(&self, trial: &mut Trial, draft: Draft) -> Result<Done, RunnerError> {
        loop {
            if matches!(trial.state, State::Built | State::Ran) && self.repair(trial, &draft).await? {
                continue;
            }
            let step = match trial.state {
                State::New | State::Proposing if trial.is_baseline() => {
                    self.take_baseline(trial, &draft).await?
                }
                State::New | State::Proposing => return self.make(trial, draft).await,
                State::Proposed if draft.breaks.is_some() => {
                    return self.judge_and_record(trial, &draft).await;
                }
                State::Proposed if self.stopped(trial) => {
                    self.give_up(trial, "it was stopped before it ran")?
                }
                State::Proposed => {
                    // Mostly the terms are still those that it was proposed under.
                    if self.saved_draft(trial.id).as_ref() != Some(&draft) {
                        self.save_draft(trial.id, &draft)?;
                    }
                    self.begin_run(trial, &draft).await?;
                    Step::On
                }
                State::Building => self.await_build(trial, &draft).await?,
                State::Built if trial.build.as_ref().is_some_and(|(exit, _)| exit != "0") => {
                    return self.judge_and_record(trial, &draft).await;
                }
                State::Built if self.stopped(trial) => {
                    self.give_up(trial, "it was stopped after its build")?
                }
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

    pub(super) fn proposing(&self, trial: &mut Trial) -> Result<(), RunnerError> {
        let event = Event::Proposing {
            experiment: trial.id,
            number: trial.number,
            slot: trial.slot,
            proposer: trial.proposer.clone(),
            parent: trial.parent.clone(),
        };
        self.advance(trial, event)
    }

    pub(super) fn proposed(
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
        let given = Given {
            slot: trial.slot,
            slots: draft.slots,
            number: trial.number,
            seed: draft.seed,
            budget: draft.budget,
        };
        let Some(job) = self.executor.job(&lab, kind, given) else { return Ok(()) };
        let run = RunId(Uuid::now_v7());
        let experiment = trial.id;
        let event = match kind {
            Kind::Build => Event::BuildStarted { experiment, run, slot: trial.slot },
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
        // It may have been ruled out before there was a run that could be ended, or under an earlier runner.
        if self.stopped(trial) {
            self.executor.cancel(run).await;
        }
        let end = self.watch(run).await;
        // Ended by a signal that nobody here sent, such as the machine's shutdown: as good as lost.
        let end = end.filter(|end| end.exit != "stopped" || self.stopped(trial));
        // Somebody removed its files while it ran: what it did then says nothing of the candidate.
        let end =
            end.filter(|end| end.success() || self.stopped(trial) || self.paths.tree(trial.slot).exists());
        let starts = trial.all_runs.iter().filter(|run| self.executor.began(**run)).count();
        if end.is_none() && (starts >= STARTS || self.stopped(trial)) {
            let exit = if self.stopped(trial) { "stopped" } else { "lost" };
            return Some(RunEnd { exit: exit.to_owned(), ..RunEnd::default() });
        }
        end
    }

    /// A run that failed while the machine was in trouble is run again once that is over.
    fn not_to_blame(&self, trial: &Trial, end: &RunEnd) -> Result<(), RunnerError> {
        let own = end.success() || matches!(end.exit.as_str(), "timeout" | "stopped" | "lost");
        if own {
            return Ok(());
        }
        match self.ill() {
            None => Ok(()),
            Some(error) => {
                if let Some(run) = trial.run {
                    self.executor.forget(run);
                }
                Err(error)
            }
        }
    }

    async fn await_build(&self, trial: &mut Trial, draft: &Draft) -> Result<Step, RunnerError> {
        let Some(end) = self.end_of_run(trial).await else {
            self.begin_run(trial, draft).await?;
            return Ok(Step::On);
        };
        if end.exit == "stopped" {
            return self.give_up(trial, "its build was stopped");
        }
        self.not_to_blame(trial, &end)?;
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
        self.not_to_blame(trial, &end)?;
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
