//! Why a candidate is not worth a run, or must not have one.

use lab::{CommitId, Lab, Tag};

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::history::Trial;
use crate::proposers::{Brief, Judged, Outline, Vetoes};

/// Among how many of the latest candidates one that is new has to be so.
const MEMORY: usize = 400;

impl Engine {
    /// Why a candidate is refused, in words that its proposer can act on. `novel` where it is to be new in more than a
    /// comment or a last digit.
    pub(super) async fn refusal(
        &self,
        trial: &Trial,
        draft: &Draft,
        brief: &Brief,
        (candidate, hypothesis): (&CommitId, &str),
        novel: bool,
    ) -> Result<Option<String>, RunnerError> {
        let lab = draft.lab()?;
        if let Some(number) = self.store.duplicate(&trial.tag, candidate, &lab, &draft.epoch).await? {
            return Ok(Some(format!("experiment {number} has the same editable files")));
        }
        if let Some(pattern) = self.vetoed(&trial.tag, &brief.parent, candidate, hypothesis).await? {
            return Ok(Some(format!("the researcher has ruled out what matches `{pattern}`")));
        }
        let files = self.store.editable_files(candidate, &lab).await?;
        for other in &brief.trying {
            if self.store.editable_files(&other.candidate, &lab).await? == files {
                return Ok(Some(format!("it is being tried now, as experiment {}", other.number)));
            }
        }
        if !novel {
            return Ok(None);
        }
        let outline = Outline::of(&files);
        let known = &brief.trials[brief.trials.len().saturating_sub(MEMORY)..];
        for Judged { candidate, number, .. } in known.iter().rev() {
            if self.outline(candidate, &lab).await?.is_near(&outline) {
                return Ok(Some(format!(
                    "it is not new: it differs from experiment {number} in comments, white space or the last digits of \
                     numbers only"
                )));
            }
        }
        Ok(None)
    }

    /// The pattern by which people have ruled a candidate out, up to this moment.
    pub(super) async fn vetoed(
        &self,
        tag: &Tag,
        parent: &CommitId,
        candidate: &CommitId,
        hypothesis: &str,
    ) -> Result<Option<String>, RunnerError> {
        let said = self.store.said(tag).await?;
        if said.vetoes.is_empty() {
            return Ok(None);
        }
        let differ = self.store.differ();
        let diff = crate::blocking::here(|| differ(parent, candidate)).unwrap_or_default();
        Ok(Vetoes::new(&said.vetoes).of_candidate(hypothesis, &diff).map(str::to_owned))
    }

    /// The outline of an earlier candidate, made once.
    async fn outline(&self, candidate: &CommitId, lab: &Lab) -> Result<Outline, RunnerError> {
        {
            let mut live = self.live();
            // Other files, other outlines.
            if live.outlined != lab.editable || live.outlines.len() > 2 * MEMORY {
                live.outlines.clear();
                live.outlined.clone_from(&lab.editable);
            }
            if let Some(known) = live.outlines.get(candidate) {
                return Ok(known.clone());
            }
        }
        let outline = Outline::of(&self.store.editable_files(candidate, lab).await?);
        self.live().outlines.insert(candidate.clone(), outline.clone());
        Ok(outline)
    }
}
