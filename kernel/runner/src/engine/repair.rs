//! Having a candidate mended that failed, within the same experiment.

use std::collections::BTreeMap;

use lab::{Event, Lab};
use ledger::Edit;

use super::Engine;
use super::draft::Draft;
use crate::RunnerError;
use crate::history::Trial;
use crate::proposers::Failure;
use crate::state::State;

/// How much of a log is told, in bytes.
const LOG: usize = 8000;

impl Engine {
    /// Whether the candidate of an experiment that failed has been mended; then it is to be tried again.
    pub(super) async fn repair(&self, trial: &mut Trial, draft: &Draft) -> Result<bool, RunnerError> {
        let lab = draft.lab()?;
        let Some(what) = failure(trial, &lab) else { return Ok(false) };
        let open = self.live().current.as_ref().is_some_and(|current| current.ending.is_none());
        let may = trial.is_of_loop() && !trial.is_baseline() && trial.repairs < lab.repairs && open;
        let (Some(proposer), Some(parent), Some(candidate)) =
            (self.proposer_of(trial).filter(|_| may), trial.parent.clone(), trial.candidate.clone())
        else {
            return Ok(false);
        };
        let log = self.fetched(trial).await.map(|fetched| fetched.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG)..]).into_owned();
        let files = self.store.editable_files(&candidate, &lab).await?;
        let failure = Failure {
            candidate: candidate.clone(),
            proposer: trial.proposer.clone(),
            hypothesis: trial.hypothesis.clone(),
            what: what.clone(),
            log,
            files,
        };
        let brief = self.brief(trial, draft, &[]).await?;
        let mended = tokio::select! {
            mended = proposer.repair(&brief, &failure, &mut trial.cost) => mended,
            () = self.until_closing() => Ok(None),
            () = self.until_cancelled() => Ok(None),
        };
        trial.doing.ends();
        let proposal = match mended {
            Ok(Some(proposal)) => proposal,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::info!(%error, number = trial.number, "what failed could not be mended");
                return Ok(false);
            }
        };
        let edits = edits(&brief.files, failure.files, proposal.edits, &lab);
        let mended = self.store.candidate(&parent, edits, &trial.hypothesis).await?;
        self.hold(&mended).await?;
        if self.store.duplicate(&trial.tag, &mended, &lab, &draft.epoch).await?.is_some()
            || mended == candidate
        {
            return Ok(false);
        }
        let event =
            Event::Repaired { experiment: trial.id, candidate: mended, reason: what, cost: trial.cost };
        self.advance(trial, event)?;
        Ok(true)
    }
}

/// What went wrong, where mending the candidate could help: not where it took too long or was stopped.
fn failure(trial: &Trial, lab: &Lab) -> Option<String> {
    let told = |what: &str, exit: &str| {
        let own = exit.starts_with("exit ") || exit.starts_with("signal ");
        own.then(|| format!("{what} ({exit})"))
    };
    match trial.state {
        State::Built => trial.build.as_ref().and_then(|(exit, _)| told("its build failed", exit)),
        State::Ran => match trial.runs.last()? {
            run if run.exit == "0" && run.value.is_none() => {
                Some(format!("it ended without printing `{}`", lab.metric))
            }
            run => told("its run failed", &run.exit),
        },
        _ => None,
    }
}

/// What the failed candidate's `files` are after `changes`, as edits of the parent's.
fn edits(
    parent: &BTreeMap<String, Vec<u8>>,
    mut files: BTreeMap<String, Vec<u8>>,
    changes: Vec<Edit>,
    lab: &Lab,
) -> Vec<Edit> {
    let editable = lab.editable();
    for Edit { path, content } in changes.into_iter().filter(|edit| editable.contains(&edit.path)) {
        match content {
            Some(content) => files.insert(path, content),
            None => files.remove(&path),
        };
    }
    let gone = parent.keys().filter(|path| !files.contains_key(*path));
    let gone: Vec<Edit> = gone.map(|path| Edit { path: path.clone(), content: None }).collect();
    let changed = files.into_iter().filter(|(path, content)| parent.get(path) != Some(content));
    changed.map(|(path, content)| Edit { path, content: Some(content) }).chain(gone).collect()
}
