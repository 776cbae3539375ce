//! What a proposer is told: everything it needs, made from the ledger each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use lab::{
    AgentSession, CommitId, Direction, Experiment, Hook, Idea, Lab, MetricName, Said, Seconds, Status, Tag,
};
use ledger::{Ledger, LedgerError};
use serde::Serialize;

use super::again::{Again, again};
use super::doing::Doing;
use super::ladder::Stuck;
use crate::standing::Standings;
use crate::store::{Standing, standing};

/// How many of the latest experiments a brief tells in full, beside those that were kept.
const LATEST: usize = 100;
/// How much steering is told.
const STEERING: usize = 50;

/// Everything that a proposer may know. Its serialised fields are the JSON that `command:` programs get.
#[derive(Clone, Debug, Serialize)]
pub struct Brief {
    /// Version of this format: [`SCHEMA`](lab::SCHEMA).
    pub schema: u32,
    /// The program's instructions.
    pub program: String,
    /// What may be changed: paths or globs.
    pub editable: Vec<String>,
    /// The metric that decides.
    pub metric: MetricName,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// The experiment to improve on.
    pub best: Option<Best>,
    /// What was tried in this epoch: the latest hundred and everything that was kept.
    pub experiments: Vec<Experiment>,
    /// What people have told the proposer, oldest first.
    pub steering: Vec<String>,
    /// Ideas that wait, the next one first.
    pub ideas: Vec<Idea>,
    /// What people have ruled out: regular expressions.
    pub vetoes: Vec<String>,
    /// What the lab's own commands before and after experiments said last.
    pub hooks: BTreeMap<Hook, String>,
    /// How long nothing was kept, and what to do about it.
    pub stuck: Option<Stuck>,
    /// Discards that deserve another look.
    pub again: Vec<Again>,
    /// What is left of the night.
    pub remaining: Remaining,
    /// What is being tried now, and not known yet.
    pub trying: Vec<Trying>,
    /// Proposals for this same experiment that were refused, and why.
    pub refused: Vec<String>,
    /// The number of the experiment to be proposed.
    pub number: u64,
    /// The seed of the loop.
    pub seed: u64,
    /// Which attempt at this experiment it is, from 0.
    pub attempt: u32,
    /// The commit that the candidate is to improve on.
    pub parent: CommitId,
    /// What the program says of the search space: what a constant may become, by its name.
    pub space: BTreeMap<String, String>,
    /// Whether a coding agent remembers what it did before.
    #[serde(skip)]
    pub agent_session: AgentSession,
    /// How long a coding agent may take.
    #[serde(skip)]
    pub agent_timeout: Seconds,
    /// Where the proposer writes down what it is doing.
    #[serde(skip)]
    pub doing: Doing,
    /// The parent's editable files, by path.
    #[serde(skip)]
    pub files: BTreeMap<String, Vec<u8>>,
    /// Every candidate of the epoch that was judged, oldest first.
    #[serde(skip)]
    pub trials: Vec<Judged>,
}

/// A candidate that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Its number.
    pub number: u64,
    /// Its commit.
    pub candidate: CommitId,
    /// Its value, where it has not failed.
    pub value: Option<f64>,
    /// Whether it was the best.
    pub kept: bool,
}

/// An experiment that is on its way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trying {
    /// Its number.
    pub number: u64,
    /// What it tries.
    pub hypothesis: String,
    /// Its commit.
    pub candidate: CommitId,
    /// The commit that it improves on.
    pub parent: Option<CommitId>,
}

/// The best experiment so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its number.
    pub number: u64,
    /// Its metric's value.
    pub value: Option<f64>,
    /// Its commit.
    pub commit: CommitId,
    /// What it tried.
    pub hypothesis: String,
}

/// What is left of the night; `None` where it has no end of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Remaining {
    /// Experiments.
    pub experiments: Option<u64>,
    /// Seconds.
    pub seconds: Option<Seconds>,
    /// US dollars for proposing.
    pub usd: Option<f64>,
}

impl Brief {
    /// What is told of a lab to whoever is to improve on `parent`, whose editable files are `files`.
    pub(crate) fn new(
        lab: &Lab,
        standing: &Standing,
        parent: CommitId,
        files: BTreeMap<String, Vec<u8>>,
    ) -> Self {
        let trials = standing.experiments.iter().map(|experiment| {
            let record = &experiment.record;
            let failed = matches!(record.status, Status::Crash | Status::Timeout | Status::Invalid);
            Judged {
                number: record.number,
                candidate: record.candidate.clone(),
                value: record.value.filter(|_| !failed),
                kept: record.status == Status::Keep,
            }
        });
        let mut said = Said::clone(&standing.said).with_program(&lab.ideas);
        Self {
            schema: lab::SCHEMA,
            program: lab.instructions.clone(),
            editable: lab.editable.clone(),
            metric: lab.metric.clone(),
            direction: lab.direction,
            best: standing.tip.as_ref().map(|tip| Best {
                number: tip.record.number,
                value: tip.record.value,
                commit: tip.record.candidate.clone(),
                hypothesis: tip.record.hypothesis.clone(),
            }),
            experiments: told(&standing.experiments),
            steering: said.steering.split_off(said.steering.len().saturating_sub(STEERING)),
            ideas: said.ideas,
            vetoes: said.vetoes,
            hooks: said.hooks.into_iter().filter(|(hook, _)| lab.hooks.contains_key(hook)).collect(),
            stuck: Stuck::of(&standing.experiments),
            again: again(&standing.earlier, &standing.experiments),
            remaining: Remaining::default(),
            trying: Vec::new(),
            refused: Vec::new(),
            number: standing.experiments.last().map_or(0, |last| last.record.number + 1),
            seed: 0,
            attempt: 0,
            parent,
            space: lab.space.clone(),
            agent_session: lab.agent_session,
            agent_timeout: lab.agent_timeout,
            doing: Doing::default(),
            trials: trials.collect(),
            files,
        }
    }

    /// What a proposer would be told now, from the ledger alone. Before the first baseline it is about what the
    /// researcher sees.
    pub fn of(ledger: &Ledger, lab: &Lab, tag: &Tag) -> Result<Self, LedgerError> {
        let experiments = ledger.experiments(tag)?;
        let baseline = experiments.iter().rfind(|experiment| experiment.record.baseline);
        let standing = match baseline {
            Some(baseline) => standing(ledger, tag, &baseline.record.epoch)?,
            None => {
                Arc::new(Standing { said: Standings::default().said(ledger, tag)?, ..Standing::default() })
            }
        };
        let parent = match &standing.tip {
            Some(tip) => tip.record.candidate.clone(),
            None => ledger.snapshot()?.commit,
        };
        let files = ledger.editable_files(&parent, lab)?;
        Ok(Self::new(lab, &standing, parent, files))
    }
}

fn told(experiments: &[Experiment]) -> Vec<Experiment> {
    let latest = experiments.len().saturating_sub(LATEST);
    experiments
        .iter()
        .enumerate()
        .filter(|(index, experiment)| *index >= latest || experiment.record.status == Status::Keep)
        .map(|(_, experiment)| experiment.clone())
        .collect()
}
