//! What the proposer is told in a loop.

use lab::Seconds;

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::history::Trial;
use crate::proposers::{Brief, Remaining, Trying};

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
        let brief = Brief::new(&lab, &standing, parent, files);
        let taken = self.ideas_taken();
        let live = self.live();
        let current = live.current.as_ref();
        let tried = live.slots.iter().flatten().chain(&live.queue);
        Ok(Brief {
            remaining: Remaining {
                experiments: current
                    .and_then(|c| Some(c.options.experiments?.saturating_sub(c.counts.finished))),
                seconds: current.and_then(|c| c.left()).map(|left| Seconds(left.as_secs_f64())),
                usd: current
                    .and_then(|c| Some((c.options.max_cost? - c.counts.cost.usd - trial.cost.usd).max(0.0))),
            },
            refused: refused.to_vec(),
            number: trial.number,
            seed: current.map_or(draft.seed, |current| current.options.seed),
            attempt: u32::try_from(refused.len()).unwrap_or(u32::MAX),
            trying: tried
                .filter(|other| other.id != trial.id && other.tag == trial.tag && !other.is_baseline())
                .filter_map(|other| {
                    Some(Trying {
                        number: other.number,
                        hypothesis: other.hypothesis.clone(),
                        candidate: other.candidate.clone()?,
                        parent: other.parent.clone(),
                    })
                })
                .collect(),
            doing: trial.doing.clone(),
            ideas: brief.ideas.iter().filter(|idea| !taken.contains(&idea.text)).cloned().collect(),
            ..brief
        })
    }

    /// The ideas that are on their way.
    fn ideas_taken(&self) -> Vec<String> {
        let ids: Vec<_> = {
            let live = self.live();
            live.slots.iter().flatten().chain(&live.queue).map(|trial| trial.id).collect()
        };
        ids.into_iter().filter_map(|id| self.saved_draft(id)?.idea).collect()
    }
}
