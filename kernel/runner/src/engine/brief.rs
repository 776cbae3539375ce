//! What the proposer is told.

use jiff::Timestamp;
use lab::{Experiment, Seconds, Status};

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::history::Trial;
use crate::proposers::{Best, Brief, Remaining};

/// How many of the latest experiments a brief tells in full, beside those that were kept.
const LATEST: usize = 100;
/// How much steering is told.
const STEERING: usize = 50;

impl Engine {
    /// The brief for a trial that is being proposed.
    pub(super) async fn brief(
        &self,
        trial: &Trial,
        draft: &Draft,
        refused: &[String],
    ) -> Result<Brief, RunnerError> {
        let lab = draft.lab()?;
        let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
        let parent = match (&trial.parent, &standing.tip) {
            (Some(parent), _) => parent.clone(),
            (None, Some(tip)) => tip.record.candidate.clone(),
            (None, None) => self.base().await?,
        };
        let files = self.store.editable_files(&parent, &lab).await?;
        let trials = standing
            .experiments
            .iter()
            .map(|experiment| {
                let record = &experiment.record;
                let failed = matches!(record.status, Status::Crash | Status::Timeout | Status::Invalid);
                (record.candidate.clone(), record.value.filter(|_| !failed))
            })
            .collect();
        let live = self.live();
        let options = live.current.as_ref().map(|current| &current.options);
        let remaining =
            Remaining {
                experiments: live
                    .current
                    .as_ref()
                    .and_then(|c| Some(c.options.experiments?.saturating_sub(c.counts.finished))),
                seconds: live.current.as_ref().and_then(|c| c.deadline).map(|deadline| {
                    Seconds(deadline.duration_since(Timestamp::now()).as_secs_f64().max(0.0))
                }),
            };
        let steering: Vec<String> =
            live.steering.iter().filter(|(tag, _)| *tag == trial.tag).map(|(_, text)| text.clone()).collect();
        Ok(Brief {
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
            steering: steering[steering.len().saturating_sub(STEERING)..].to_vec(),
            remaining,
            refused: refused.to_vec(),
            number: trial.number,
            seed: options.map_or(draft.seed, |options| options.seed),
            attempt: u32::try_from(refused.len()).unwrap_or(u32::MAX),
            parent,
            space: lab.space.clone(),
            files,
            trials,
            in_flight: live
                .slots
                .iter()
                .flatten()
                .chain(&live.queue)
                .filter(|other| other.id != trial.id && other.tag == trial.tag)
                .filter_map(|other| other.candidate.clone())
                .collect(),
        })
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
