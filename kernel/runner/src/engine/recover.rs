//! After a crash: what the journal says was on its way is carried on, and nothing else is left alive.

use lab::Tag;

use super::Engine;
use super::carry::Done;
use crate::RunnerError;
use crate::history::{History, Trial};
use crate::processes;
use crate::proposers::{Vetoes, marks};
use crate::state::State;

impl Engine {
    /// Takes over what another runner has left.
    ///
    /// Runs that live, or ended meanwhile, are adopted; processes of runs that nobody waits for are
    /// killed; judged experiments are recorded at once; the rest is queued where it was. A loop that was
    /// told to stop is not gone on with.
    pub(crate) async fn recover(&self, history: History) -> Result<(), RunnerError> {
        for entry in &history.lasting {
            if let Err(error) = self.store.append_event(entry.clone()).await {
                tracing::warn!(%error, "an event could not be written to the ledger");
                break;
            }
        }
        let mut strays: Vec<String> = Vec::new();
        for trial in &history.unfinished {
            let adopted =
                matches!(trial.state, State::Building | State::Running).then_some(trial.run).flatten();
            let runs = trial.all_runs.iter().filter(|run| Some(**run) != adopted);
            strays.extend(runs.map(ToString::to_string));
        }
        if let Ok(setup) = std::fs::read_to_string(self.paths.state.join("setup.run")) {
            strays.push(setup.trim().to_owned());
        }
        strays.extend(marks(&self.paths.proposers()));
        // Git and what else the runner itself had started: it would go on in worktrees that are used again.
        strays.push(self.paths.mark());
        let killed = crate::blocking::here(|| processes::sweep(&strays));
        if killed > 0 {
            tracing::info!(killed, "processes that an earlier runner left behind were ended");
        }
        self.tidy(&history).await;
        let stopping =
            history.last.as_ref().filter(|last| last.ended.is_none()).and_then(|last| last.stopping);
        for trial in history.unfinished.iter().filter(|trial| trial.is_of_loop() && !trial.is_baseline()) {
            let said = self.store.said(&trial.tag).await?;
            if Vetoes::new(&said.vetoes).of(&trial.hypothesis).is_some() {
                self.live().vetoed.insert(trial.id);
            }
        }
        for mut trial in history.unfinished {
            if trial.state == State::Judged {
                self.record_judged(&mut trial).await?;
            } else if stopping == Some(true) && trial.is_of_loop() {
                self.abandon(&mut trial)?;
            } else {
                self.requeue(trial);
            }
        }
        if stopping.is_some() {
            let tag = history.last.map(|last| last.tag).unwrap_or_default();
            self.end_interrupted(&tag, "it was stopped".to_owned()).await?;
        }
        Ok(())
    }

    fn abandon(&self, trial: &mut Trial) -> Result<(), RunnerError> {
        let runs: Vec<String> = trial.all_runs.iter().map(ToString::to_string).collect();
        crate::blocking::here(|| processes::sweep(&runs));
        let event = trial.given_up("it was stopped");
        self.advance(trial, event)?;
        self.drop_draft(trial.id);
        self.live().release(trial);
        Ok(())
    }

    /// Records what was judged when the other runner was lost, before anything else is judged.
    async fn record_judged(&self, trial: &mut Trial) -> Result<(), RunnerError> {
        let draft = self.draft_of(trial).await?;
        let done = self.judge_and_record(trial, &draft).await?;
        let mut live = self.live();
        live.release(trial);
        if let Done::Recorded { status, .. } = done {
            live.count(trial, status);
        }
        Ok(())
    }

    fn requeue(&self, trial: Trial) {
        let mut live = self.live();
        if trial.holds_slot() {
            let slot = trial.slot as usize + 1;
            let slots = live.slots.len().max(slot);
            live.slots.resize(slots, None);
        }
        tracing::info!(number = trial.number, state = ?trial.state, "an experiment is carried on");
        live.queue.push_back(trial);
    }

    /// Moves the refs of the best to where the ledger says that it is, if a crash came in between.
    pub(super) async fn reconcile(&self, tag: &Tag, tip: &lab::Experiment) -> Result<(), RunnerError> {
        if !self.store.is_kept(tag, &tip.record.candidate).await?
            && let Err(error) = self.store.keep(tag, &tip.record.candidate).await
        {
            tracing::debug!(%error, "the best stays where it is");
        }
        Ok(())
    }
}
