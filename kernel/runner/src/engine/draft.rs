//! Under what an experiment is run: the program as it is now, the epoch, the machine.
//!
//! It is written beside the journal when the experiment begins, so that whoever finishes it does so on
//! the same terms, whatever has been edited meanwhile.

use std::path::Path;

use lab::{CommitId, Environment, Epoch, EpochInputs, ExperimentId, Lab, Seconds};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::history::Trial;
use crate::state::State;
use crate::{RunnerError, executor, machine, paths};

/// The terms of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Draft {
    /// Version of this format: [`SCHEMA`](lab::SCHEMA).
    pub(super) schema: u32,
    /// The program's text.
    pub(super) program: String,
    /// The time that a run is meant to take: the lab's, or what the loop was told.
    pub(super) budget: Seconds,
    /// When a run is killed.
    pub(super) timeout: Seconds,
    /// The seed of runs.
    pub(super) seed: u64,
    /// How many slots share the machine.
    #[serde(default = "one")]
    pub(super) slots: u32,
    /// What its value may be compared with.
    pub(super) epoch: Epoch,
    /// Where it runs.
    pub(super) environment: Environment,
    /// Which rule of the lab its candidate breaks, if it breaks one.
    pub(super) breaks: Option<String>,
    /// What a person should know about how its candidate was made.
    pub(super) note: Option<String>,
    /// The idea that it tries, where it is one that waited.
    #[serde(default)]
    pub(super) idea: Option<String>,
}

fn one() -> u32 {
    1
}

impl Draft {
    /// The lab as this experiment sees it.
    pub(super) fn lab(&self) -> Result<Lab, RunnerError> {
        let lab = Lab::parse(&self.program)?;
        Ok(Lab { budget: self.budget, timeout: self.timeout, ..lab })
    }
}

/// Reads the researcher's program. `budget` takes the place of the lab's; the timeout grows with it.
pub(super) fn read_program(root: &Path, budget: Option<Seconds>) -> Result<(String, Lab), RunnerError> {
    let path = root.join("program.md");
    let program = std::fs::read_to_string(&path).map_err(RunnerError::io("read", &path))?;
    let mut lab = Lab::parse(&program)?;
    if let Some(budget) = budget {
        if lab.timeout.0 < 2.0 * budget.0 {
            lab.timeout = Seconds(2.0 * budget.0);
        }
        lab.budget = budget;
    }
    Ok((program, lab))
}

impl Engine {
    /// The terms for experiments whose locked files are those of `commit`, with the program as it is now.
    pub(super) async fn draft(&self, commit: &CommitId) -> Result<Draft, RunnerError> {
        let (budget, seed, slots) = {
            let live = self.live();
            // People's runs between two loops have the terms of the last one, so that they can be compared.
            let options = live.current.as_ref().map(|current| &current.options).or(live.last.as_ref());
            (
                options.and_then(|options| options.budget),
                options.map_or(0, |options| options.seed),
                options.map_or(1, |options| options.slots),
            )
        };
        let (program, lab) = read_program(&self.root, budget)?;
        {
            let mut live = self.live();
            (live.budget, live.ahead) = (lab.budget, lab.ahead);
        }
        self.setup(&lab).await?;
        let mut environment = machine::environment();
        environment.inputs = crate::blocking::here(|| executor::fingerprints(&self.root, &lab));
        environment.toolchain = self.toolchain(&lab);
        environment.locks = self.store.locks(commit).await?;
        let locked = self.store.locked_hash(commit, &lab).await?;
        // A run that has less of the machine comes less far in its time.
        if let Some(share) = self.executor.share(slots) {
            environment.cpu = format!("{}, {share}", environment.cpu);
        }
        let hardware = format!("{} {}", environment.cpu, environment.gpu.as_deref().unwrap_or("no GPU"));
        let epoch = lab.epoch(&EpochInputs {
            locked: &locked,
            inputs: &environment.inputs,
            hardware: &hardware,
            budget: lab.budget,
        });
        let (budget, timeout) = (lab.budget, lab.timeout);
        Ok(Draft {
            schema: lab::SCHEMA,
            program,
            budget,
            timeout,
            seed,
            slots,
            epoch,
            environment,
            breaks: None,
            note: None,
            idea: None,
        })
    }

    /// What the lab's commands are built and run with, asked once in a runner's life: it costs a process.
    fn toolchain(&self, lab: &Lab) -> Option<String> {
        let ask = || crate::blocking::here(|| executor::toolchain(&self.root, lab, &self.host.variables));
        self.toolchain.get_or_init(ask).clone()
    }

    /// The terms that an experiment was begun with, or those of now where nothing of it has run.
    pub(super) async fn draft_of(&self, trial: &Trial) -> Result<Draft, RunnerError> {
        let saved = self.saved_draft(trial.id);
        if let Some(draft) = &saved
            && (trial.holds_slot() || trial.state == State::Judged)
        {
            return Ok(draft.clone());
        }
        let commit = trial.parent.as_ref().or(trial.candidate.as_ref());
        let commit = match commit {
            Some(commit) => commit.clone(),
            None => self.base().await?,
        };
        let mut draft = self.draft(&commit).await?;
        if let Some(saved) = saved {
            (draft.note, draft.idea) = (saved.note, saved.idea);
        }
        if let (Some(parent), Some(candidate)) = (&trial.parent, &trial.candidate) {
            let lab = draft.lab()?;
            let of_parent = self.store.locked_hash(parent, &lab).await?;
            if of_parent != self.store.locked_hash(candidate, &lab).await? {
                draft.breaks = Some(format!(
                    "it changes files that are locked; only {} may be changed",
                    lab.editable.join(", ")
                ));
            }
        }
        Ok(draft)
    }

    /// What the researcher sees, or saw when the loop began.
    pub(super) async fn base(&self) -> Result<CommitId, RunnerError> {
        let base = self.live().current.as_ref().map(|current| current.base.clone());
        match base {
            Some(base) => Ok(base),
            None => Ok(self.store.snapshot().await?.0),
        }
    }

    pub(super) fn saved_draft(&self, experiment: ExperimentId) -> Option<Draft> {
        serde_json::from_slice(&std::fs::read(self.paths.draft(experiment)).ok()?).ok()
    }

    pub(super) fn save_draft(&self, experiment: ExperimentId, draft: &Draft) -> Result<(), RunnerError> {
        let text = serde_json::to_vec(draft).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        paths::write_whole(&self.paths.draft(experiment), &text)
    }

    pub(super) fn drop_draft(&self, experiment: ExperimentId) {
        let _ = std::fs::remove_file(self.paths.draft(experiment));
    }
}
