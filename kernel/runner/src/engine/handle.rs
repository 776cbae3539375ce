//! Requests: each changes what is live, wakes the loop and is answered at once.

use std::time::Instant;

use lab::{CommitId, Event, Tag};

use super::alerts::Alert;
use super::{Cause, Engine};
use crate::RunnerError;
use crate::history::{HUMAN, Trial};
use crate::proposers::Vetoes;
use crate::protocol::{Request, Response};
use crate::state::State;

/// A request that is being answered.
pub(super) struct Asking<'a>(&'a Engine);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.live().asking -= 1;
        self.0.wake.notify_one();
    }
}

impl Engine {
    /// Does what is asked, and answers.
    pub(crate) async fn handle(&self, request: Request) -> Response {
        // Somebody who only looks does not keep a runner alive that has nothing to do.
        let looks = request == Request::Status;
        let asking = if looks { None } else { self.asking() };
        if asking.is_none() && !looks {
            return Response::Ending;
        }
        let answer = self.answer(request).await;
        answer.unwrap_or_else(|error| Response::error(&error))
    }

    /// Keeps the runner from ending; none where it is too late.
    pub(super) fn asking(&self) -> Option<Asking<'_>> {
        let mut live = self.live();
        if live.closed {
            return None;
        }
        live.asked = Instant::now();
        live.asking += 1;
        Some(Asking(self))
    }

    async fn answer(&self, request: Request) -> Result<Response, RunnerError> {
        let done = |notes: Vec<String>| Ok(Response::Done { notes });
        match request {
            Request::Status => Ok(Response::Status { status: self.status() }),
            Request::Retire => done(self.retire()?),
            Request::Start(options) => done(self.start(options).await?),
            Request::Pause => self.pause(None).await.map(|()| Response::Done { notes: Vec::new() }),
            Request::Resume => done(self.resume().await?),
            Request::Stop { now } => done(self.stop(now).await?),
            Request::Say { event } => done(self.hear(event).await?),
            Request::Run { tag, hypothesis, candidate, author } => {
                let number = self.queue_human(tag, &hypothesis, candidate, &author).await?;
                Ok(Response::Queued { number })
            }
        }
    }

    /// Takes in what a person says to the proposer.
    async fn hear(&self, event: Event) -> Result<Vec<String>, RunnerError> {
        if !event.is_said() {
            return Err(RunnerError::Refused(format!("`{}` is not said to a proposer", event.name())));
        }
        let tag = self.live().tag.clone();
        self.write_lasting(&tag, &self.author, event.clone()).await?;
        if let Some(current) = &mut self.live().current {
            current.resting = false;
        }
        let notes = match event {
            Event::Vetoed { pattern, lifted: false, .. } => self.end_vetoed(&tag, &pattern).await?,
            _ => Vec::new(),
        };
        self.wake.notify_one();
        Ok(notes)
    }

    /// Ends what the loop has on its way that is ruled out now.
    async fn end_vetoed(&self, tag: &Tag, pattern: &str) -> Result<Vec<String>, RunnerError> {
        let vetoes = Vetoes::new(&[pattern.to_owned()]);
        let hit = |trial: &Trial| {
            !matches!(trial.state, State::Ran | State::Judged | State::Recorded)
                && trial.is_of_loop()
                && !trial.is_baseline()
                && trial.tag == *tag
                && vetoes.of(&trial.hypothesis).is_some()
        };
        let (queued, running): (Vec<Trial>, Vec<Trial>) = {
            let mut live = self.live();
            let running: Vec<Trial> =
                live.slots.iter().flatten().filter(|trial| hit(trial)).cloned().collect();
            live.vetoed.extend(running.iter().map(|trial| trial.id));
            let (queued, others): (Vec<Trial>, Vec<Trial>) =
                live.queue.drain(..).partition(|trial| hit(trial) && !trial.holds_slot());
            live.queue = others.into();
            (queued, running)
        };
        let mut notes = Vec::new();
        for mut trial in queued {
            self.rule_out(&mut trial, "it was ruled out before it ran")?;
            self.live().release(&trial);
            notes.push(format!("experiment {} is given up before it runs", trial.number));
        }
        for trial in running {
            if let Some(run) = trial.run {
                self.executor.cancel(run).await;
            }
            notes.push(format!("experiment {} is ended", trial.number));
        }
        Ok(notes)
    }

    /// Gives up a candidate that was made; what that cost counts.
    pub(super) fn rule_out(&self, trial: &mut Trial, reason: &str) -> Result<(), RunnerError> {
        let event = trial.given_up(reason);
        self.advance(trial, event)?;
        self.drop_draft(trial.id);
        self.live().abandoned(trial, None);
        Ok(())
    }

    fn retire(&self) -> Result<Vec<String>, RunnerError> {
        let mut live = self.live();
        if !live.is_idle() || live.interrupted.is_some() {
            return Err(RunnerError::Refused("there is something to do".to_owned()));
        }
        live.retiring = true;
        self.wake.notify_one();
        Ok(Vec::new())
    }

    fn current_tag(&self) -> Result<Tag, RunnerError> {
        let live = self.live();
        let current = live.current.as_ref();
        current
            .map(|current| current.options.tag.clone())
            .ok_or_else(|| RunnerError::Refused("no loop is on".to_owned()))
    }

    /// Begins no new experiment until it is resumed; `reason` is what a person has to mend first.
    pub(super) async fn pause(&self, reason: Option<String>) -> Result<(), RunnerError> {
        let tag = self.current_tag()?;
        let author = if reason.is_some() { "overnight" } else { &self.author };
        self.write_lasting(&tag, author, Event::LoopPaused { reason: reason.clone() }).await?;
        let mut live = self.live();
        if let Some(current) = &mut live.current {
            current.paused = true;
        }
        let problem = reason.map(|reason| format!("paused: {reason}"));
        live.problem = problem.clone().or(live.problem.take());
        drop(live);
        if let Some(problem) = problem {
            self.alert(Alert::Paused, &problem);
        }
        Ok(())
    }

    async fn resume(&self) -> Result<Vec<String>, RunnerError> {
        let Ok(tag) = self.current_tag() else {
            return match self.go_on().await? {
                Some(notes) => Ok(notes),
                None => Err(RunnerError::Refused(
                    "there is no loop to go on with; `loop start` begins one".to_owned(),
                )),
            };
        };
        let stopping_now = self.cancelled();
        if stopping_now {
            return Err(RunnerError::Refused("the loop is being stopped at once; start another".to_owned()));
        }
        self.write_lasting(&tag, &self.author, Event::LoopResumed).await?;
        self.live().alerts.forget();
        if let Some(current) = &mut self.live().current {
            current.paused = false;
            (current.nothing, current.resting) = (0, false);
            if current.stopping {
                current.stopping = false;
                current.ending = None;
            }
        }
        self.closing.send_replace(false);
        self.try_now();
        Ok(Vec::new())
    }

    async fn stop(&self, now: bool) -> Result<Vec<String>, RunnerError> {
        let tag = self.current_tag();
        let busy = self.live().slots.iter().any(Option::is_some);
        let Ok(tag) = tag else {
            return self.stop_without_loop(now, busy).await;
        };
        match self.write_lasting(&tag, &self.author, Event::LoopStopping { now }).await {
            // What cannot be written down can be done all the same.
            Err(error) if error.trouble().is_some() => {
                tracing::warn!(%error, "that it stops is not written down")
            }
            written => drop(written?),
        }
        if let Some(current) = &mut self.live().current {
            current.stopping = true;
            current.end_with(format!("{} stopped it", self.author), Cause::Stopped);
        }
        if now {
            self.cancel.send_replace(true);
        }
        self.wake.notify_one();
        let note = match (busy, now) {
            (false, _) => "the loop ends",
            (true, true) => "what runs is ended now; its numbers are free again",
            (true, false) => "the loop ends when what runs has ended; `loop stop --now` does not wait",
        };
        Ok(vec![note.to_owned()])
    }

    async fn stop_without_loop(&self, now: bool, busy: bool) -> Result<Vec<String>, RunnerError> {
        let interrupted = self.live().interrupted.take();
        if let Some(last) = interrupted {
            let reason = format!("it was cut off, and {} stopped it", self.author);
            self.end_interrupted(&last.tag, reason).await?;
            return Ok(vec!["the loop that was cut off is ended".to_owned()]);
        }
        if now && busy {
            self.cancel.send_replace(true);
            return Ok(vec!["what runs is ended now".to_owned()]);
        }
        Err(RunnerError::Refused("no loop is on".to_owned()))
    }

    async fn queue_human(
        &self,
        tag: Option<Tag>,
        hypothesis: &str,
        candidate: CommitId,
        author: &str,
    ) -> Result<u64, RunnerError> {
        if self.cancelled() {
            return Err(RunnerError::Refused(
                "everything is being stopped; try again in a moment".to_owned(),
            ));
        }
        let tag = tag.unwrap_or_else(|| self.live().tag.clone());
        let Some(parent) = self.store.parent(&candidate).await? else {
            return Err(RunnerError::Refused(format!(
                "the commit {} has no parent: there is nothing that it could improve on",
                candidate.short()
            )));
        };
        self.queue_made(&tag, HUMAN, author, parent, candidate, hypothesis, false).await
    }
}
