//! What a runner is doing, and what the journal says where none runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lab::status::{Ahead, LoopState, LoopStatus, Queued, SlotStatus};
use lab::{Cost, Seconds, Tag};

use crate::engine::{Engine, Live};
use crate::executor::folder;
use crate::history::{History, LoopSoFar, Trial};
use crate::state::State;
use crate::{Paths, RunnerError, journal, reports};

impl Engine {
    /// What this runner is doing now.
    pub(crate) fn status(&self) -> LoopStatus {
        let mut status = self.live().status();
        // The files are read without holding up the loop.
        for (slot, run) in &status.1 {
            if let (Some(slot), Some(run)) = (status.0.slots.get_mut(*slot), run) {
                slot.last = folder::last(&self.paths.run(*run));
            }
        }
        status.0.pid = Some(Self::pid());
        status.0.out = self.team().map(|team| team.out()).unwrap_or_default();
        status.0
    }
}

type Running = Vec<(usize, Option<lab::RunId>)>;

impl Live {
    fn status(&self) -> (LoopStatus, Running) {
        let now = Timestamp::now();
        let mut running = Vec::new();
        let mut slots: Vec<SlotStatus> = Vec::new();
        // A slot that waits for a candidate shows it; other candidates are made for slots that are busy.
        let mut desk = self.desk.iter();
        for (index, trial) in self.slots.iter().enumerate() {
            if trial.is_none() && index >= self.width() {
                continue;
            }
            let shown = trial.as_ref().or_else(|| desk.next());
            let shown = shown.map_or_else(|| self.empty(index, now), |trial| self.full(trial, index, now));
            if let Some(trial) = trial.as_ref().filter(|trial| trial.state == State::Running) {
                running.push((slots.len(), trial.run));
            }
            slots.push(shown);
        }
        let current = self.current.as_ref();
        let counts = current.map(|current| current.counts).unwrap_or_default();
        let status = LoopStatus {
            schema: lab::SCHEMA,
            state: self.state(),
            tag: self.tag.clone(),
            pid: None,
            since: current.map(|current| current.since),
            deadline: current.and_then(|current| current.deadline),
            experiments: counts.finished,
            planned: current.and_then(|current| current.options.experiments),
            kept: counts.kept,
            proposer: current.map(|current| current.options.proposer.clone()),
            out: BTreeMap::new(),
            best: self.best,
            slots,
            ahead: desk
                .map(|trial| Ahead {
                    experiment: trial.number,
                    elapsed: elapsed(trial.since, now),
                    proposer: trial.proposer.clone(),
                    doing: doing(trial),
                })
                .collect(),
            queued: (self.queue.iter().filter(|trial| trial.candidate.is_some()))
                .map(|trial| Queued {
                    experiment: trial.number,
                    hypothesis: trial.hypothesis.clone(),
                    proposer: trial.proposer.clone(),
                })
                .collect(),
            cost: counts.cost,
            problem: self.problem.clone().or_else(|| self.hook_problem.clone()),
            alerts: self.alerts.open.iter().map(|(_, text)| text.clone()).collect(),
            ended: self.ended.clone().filter(|_| current.is_none()),
            report: self.report.clone().filter(|_| current.is_none()),
            ended_at: self.ended_at.filter(|_| current.is_none()),
            warnings: current.map(|_| self.seen.warnings.clone()).unwrap_or_default(),
        };
        (status, running)
    }

    fn state(&self) -> LoopState {
        let busy = |state: State| !matches!(state, State::New | State::Proposing);
        let running = self.setup.is_some() || self.slots.iter().flatten().any(|trial| busy(trial.state));
        match &self.current {
            Some(current) if current.stopping => LoopState::Stopping,
            Some(current) if current.paused || self.trouble.is_some_and(|trouble| !trouble.over) => {
                LoopState::Paused
            }
            _ if running => LoopState::Running,
            None if self.is_idle() => LoopState::Idle,
            None if self.reporting => LoopState::Stopping,
            // A program that is to be mended.
            Some(_) if self.problem.is_some() => LoopState::Paused,
            _ => LoopState::Proposing,
        }
    }

    fn empty(&self, index: usize, now: Timestamp) -> SlotStatus {
        let setup = self.setup.as_ref().filter(|_| index == 0);
        SlotStatus {
            slot: u32::try_from(index).unwrap_or(0),
            experiment: None,
            phase: if setup.is_some() { "setup" } else { "idle" }.to_owned(),
            hypothesis: setup.map(|(command, _)| command.clone()),
            proposer: None,
            doing: None,
            elapsed: setup.map_or(Seconds(0.0), |(_, since)| elapsed(*since, now)),
            budget: self.budget,
            last: BTreeMap::new(),
        }
    }

    fn full(&self, trial: &Trial, index: usize, now: Timestamp) -> SlotStatus {
        SlotStatus {
            slot: u32::try_from(index).unwrap_or(0),
            experiment: Some(trial.number),
            phase: phase(trial.state).to_owned(),
            hypothesis: Some(trial.hypothesis.clone()).filter(|hypothesis| !hypothesis.is_empty()),
            proposer: Some(trial.proposer.clone()).filter(|name| !name.is_empty()),
            doing: doing(trial),
            elapsed: elapsed(trial.since, now),
            budget: self.budget,
            last: BTreeMap::new(),
        }
    }
}

fn phase(state: State) -> &'static str {
    match state {
        State::New | State::Proposing => "proposing",
        State::Proposed | State::Building | State::Built => "building",
        State::Running => "running",
        State::Ran => "judging",
        State::Judged | State::Recorded | State::Abandoned => "recording",
    }
}

/// What a proposer does while it makes or mends a candidate: what follows its name in a sentence.
fn doing(trial: &Trial) -> Option<String> {
    let usual = || match trial.proposer.split_once(':') {
        Some(("acp", _)) => "reads and edits in its own worktree",
        Some(("command", _)) => "runs",
        Some(_) => "is asked for a change",
        None => "weighs what was tried",
    };
    trial.doing.said().or_else(|| trial.is_to_be_proposed().then(|| usual().to_owned()))
}

fn elapsed(since: Timestamp, now: Timestamp) -> Seconds {
    Seconds(now.duration_since(since).as_secs_f64().max(0.0))
}

/// Where the report of a loop is that has ended, if one was written.
pub(crate) fn report(paths: &Paths, last: &LoopSoFar) -> Option<String> {
    last.ended.as_ref()?;
    reports::latest(paths, &last.tag, Some(last.since)).map(|path| path.display().to_string())
}

/// The line of research of the last loop, from its journal; `None` where none was ever started.
///
/// # Errors
/// Where the journal is there and cannot be read.
pub fn last_tag(paths: &Paths) -> Result<Option<Tag>, RunnerError> {
    let begun = journal::last(&paths.journal(), "loop_started")?;
    Ok(begun.map(|entry| entry.tag))
}

/// The status of a lab that no runner works on, from its journal. `best` is left to those who can read
/// the ledger.
///
/// # Errors
/// Where the journal is there and cannot be read.
pub fn without_runner(paths: &Paths) -> Result<LoopStatus, RunnerError> {
    let history = History::fold(&journal::read(&paths.journal())?.entries);
    let last = history.last.as_ref();
    let cut_off = |last: &LoopSoFar| {
        let unfinished = history.unfinished.len();
        let more = if unfinished > 0 {
            format!("; {unfinished} of its experiments will be carried on")
        } else {
            String::new()
        };
        format!("the loop that began at {} was cut off; `loop resume` goes on with it{more}", last.since)
    };
    Ok(LoopStatus {
        schema: lab::SCHEMA,
        state: LoopState::Idle,
        tag: last.map(|last| last.tag.clone()).unwrap_or_default(),
        pid: None,
        since: last.map(|last| last.since),
        deadline: last.and_then(|last| last.deadline),
        experiments: last.map_or(0, |last| last.counts.finished),
        planned: last.and_then(|last| last.experiments),
        kept: last.map_or(0, |last| last.counts.kept),
        proposer: last.map(|last| last.proposer.clone()),
        out: BTreeMap::new(),
        best: None,
        slots: Vec::new(),
        ahead: Vec::new(),
        queued: Vec::new(),
        cost: last.map_or_else(Cost::default, |last| last.counts.cost),
        problem: last.and_then(|last| match &last.ended {
            None => Some(cut_off(last)),
            Some(reason) => last.failed.then(|| reason.clone()),
        }),
        alerts: Vec::new(),
        ended: last.and_then(|last| last.ended.clone()),
        report: last.and_then(|last| report(paths, last)),
        ended_at: last.and_then(|last| last.ended_at),
        warnings: Vec::new(),
    })
}
