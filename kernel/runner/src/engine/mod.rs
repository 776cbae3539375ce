//! The engine: what the runner has in its hands, and its loop over slots.
//!
//! Experiments are carried through their states by tasks ([`carry`]), one for each slot; the loop here
//! starts them ([`work`]), counts what they finish, and ends when there is nothing left to do.
//! Requests ([`handle`]) change what is live and wake the loop; they never wait for a run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lab::status::Best;
use lab::{CommitId, Entry, Event, RunId, Status, Tag};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

mod alerts;
mod begin;
mod brief;
mod carry;
mod draft;
mod handle;
mod hooks;
mod live;
mod outlive;
mod propose;
mod record;
mod recover;
mod refuse;
mod repair;
mod setup;
#[cfg(test)]
mod tests;
mod tidy;
mod trouble;
mod work;

pub(crate) use live::Live;

use crate::executor::Executor;
use crate::history::{History, Trial};
use crate::journal::Journal;
use crate::lock::{Guard, Lock};
use crate::proposers::team::Team;
use crate::proposers::{ProposeError, Proposer};
use crate::shim::End as RunEnd;
use crate::store::Store;
use crate::{Host, Paths, RunnerError, exit};
use alerts::Alert;
use carry::Done;
use work::Next;

/// How often a runner looks whether the lab is still its own, and what time it is.
const LOOK: Duration = Duration::from_secs(5);
/// How many of the commits that were made last are held, for nobody sees them before they are in the queue.
const MADE: usize = 64;

/// How a runner ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Why, in a sentence.
    pub reason: String,
    /// What kind of end it is.
    pub cause: Cause,
    /// How many experiments the last loop finished.
    pub experiments: u64,
    /// How many of them were kept.
    pub kept: u64,
}

/// What kind of end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It did what it was told, or nothing was left to do.
    Done,
    /// Somebody stopped it.
    Stopped,
    /// The baseline fails.
    Baseline,
    /// Something failed that experiments cannot mend: the disk, git, `setup`, a proposer.
    Failed,
}

impl End {
    /// The exit code that the command line owes to it.
    pub fn code(&self) -> u8 {
        match self.cause {
            Cause::Done | Cause::Stopped => exit::DONE,
            Cause::Baseline => exit::BASELINE,
            Cause::Failed => exit::FAILED,
        }
    }
}

/// The runner's hands.
pub(crate) struct Engine {
    pub(crate) root: PathBuf,
    pub(crate) paths: Paths,
    pub(crate) store: Store,
    pub(crate) host: Host,
    executor: Box<dyn Executor>,
    /// What the lab's commands are built and run with, once it is known.
    toolchain: OnceLock<Option<String>>,
    /// The researcher's git name.
    author: String,
    /// This clone's id.
    writer: String,
    journal: Mutex<Journal>,
    live: Mutex<Live>,
    /// A look at whether the lab is still this runner's.
    guard: OnceLock<Guard>,
    /// Something has changed that the loop may act on.
    wake: Notify,
    /// Whether everything that runs is to be ended at once.
    cancel: watch::Sender<bool>,
    /// Whether no candidate is to be made any more.
    closing: watch::Sender<bool>,
    /// The proposers of the current loop.
    team: Mutex<Option<Arc<Team>>>,
    /// From a judgement to its record nobody else judges: the best must not move in between.
    judging: tokio::sync::Mutex<()>,
    /// One at a time: what reserves a number, begins or revives a loop.
    reserving: tokio::sync::Mutex<()>,
    /// One at a time: what holds commits.
    holding: tokio::sync::Mutex<()>,
}

/// Where an experiment is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its candidate is being made.
    Desk,
    /// It has this slot.
    Slot(u32),
}

/// What ends when it is dropped by the loop.
type Carried = (Place, Trial, Result<Done, RunnerError>);

impl Engine {
    /// The engine of the lab that `root` is in, with its journal open.
    pub(crate) async fn open(
        paths: &Paths,
        store: Store,
        host: Host,
        executor: Box<dyn Executor>,
    ) -> Result<(Arc<Self>, History), RunnerError> {
        let root = store.root().to_owned();
        let (author, writer) = store.names().await?;
        let (journal, contents) = Journal::open(&paths.journal())?;
        let history = History::fold(&contents.entries);
        let mut live = Live::new(&history, begin::last_told(paths));
        live.report = history.last.as_ref().and_then(|last| crate::status::report(paths, last));
        let engine = Self {
            root,
            paths: paths.clone(),
            store,
            host,
            executor,
            toolchain: OnceLock::new(),
            author,
            writer,
            journal: Mutex::new(journal),
            live: Mutex::new(live),
            guard: OnceLock::new(),
            wake: Notify::new(),
            cancel: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            team: Mutex::new(None),
            judging: tokio::sync::Mutex::new(()),
            reserving: tokio::sync::Mutex::new(()),
            holding: tokio::sync::Mutex::new(()),
        };
        Ok((Arc::new(engine), history))
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event to the journal.
    fn write(&self, tag: &Tag, author: &str, event: Event) -> Result<Entry, RunnerError> {
        crate::blocking::here(|| match event {
            // How a run ended is in its folder, and what is recorded in the ledger: both are found again.
            Event::BuildEnded { .. } | Event::RunEnded { .. } | Event::Recorded { .. } => {
                self.journal().write_lazily(author, tag, event)
            }
            _ => self.journal().write(author, tag, event),
        })
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is written unless the lab's lock is held.
    pub(crate) fn guarded(&self, lock: &Lock) -> Result<(), RunnerError> {
        self.journal().guarded(lock.guard()?);
        let _ = self.guard.set(lock.guard()?);
        Ok(())
    }

    /// Keeps a commit that waits for its run from `git gc`, beside all others of which something is on its way.
    pub(crate) async fn hold(&self, commit: &CommitId) -> Result<(), RunnerError> {
        let _one = self.holding.lock().await;
        let mut held = Vec::new();
        {
            let mut live = self.live();
            live.made.push_back(commit.clone());
            if live.made.len() > MADE {
                live.made.pop_front();
            }
            held.extend(live.made.iter().cloned());
            let trials = live.slots.iter().flatten().chain(&live.queue).chain(&live.desk);
            held.extend(trials.flat_map(|trial| [trial.candidate.clone(), trial.parent.clone()]).flatten());
            held.extend(live.current.as_ref().map(|current| current.base.clone()));
        }
        self.store.hold(held).await
    }

    /// Writes an event to the journal, and to the ledger where it lasts. A ledger that cannot be written
    /// now gets it at the next start.
    async fn write_lasting(&self, tag: &Tag, author: &str, event: Event) -> Result<Entry, RunnerError> {
        let entry = self.write(tag, author, event)?;
        if entry.event.lasts()
            && let Err(error) = self.store.append_event(entry.clone()).await
        {
            tracing::warn!(%error, event = entry.event.name(), "an event could not be written to the ledger");
        }
        Ok(entry)
    }

    /// Writes what happened to an experiment, and shows it.
    fn advance(&self, trial: &mut Trial, event: Event) -> Result<(), RunnerError> {
        // Nothing illegal reaches the journal.
        crate::state::next(trial.state, &event)
            .map_err(|illegal| RunnerError::Refused(illegal.to_string()))?;
        let author = if trial.is_of_loop() { "overnight" } else { &trial.author };
        let entry = self.write(&trial.tag, author, event)?;
        trial.apply(&entry).map_err(|illegal| RunnerError::Refused(illegal.to_string()))?;
        self.live().show(trial);
        Ok(())
    }

    fn cancelled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Whether an experiment is not to go on: everything is ended at once, or somebody ruled it out.
    fn stopped(&self, trial: &Trial) -> bool {
        self.cancelled() || self.live().vetoed.contains(&trial.id)
    }

    /// Returns once everything is to be ended at once.
    async fn until_cancelled(&self) {
        let mut cancel = self.cancel.subscribe();
        // The sender lives as long as `self`.
        let _ = cancel.wait_for(|cancel| *cancel).await;
    }

    /// Returns once no candidate is to be made any more.
    async fn until_closing(&self) {
        let mut closing = self.closing.subscribe();
        let _ = closing.wait_for(|closing| *closing).await;
    }

    pub(crate) fn team(&self) -> Option<Arc<Team>> {
        self.team.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who makes an experiment's candidate, and mends it.
    fn proposer_of(&self, trial: &Trial) -> Option<Arc<dyn Proposer>> {
        self.team()?.named(&trial.proposer)
    }

    /// Waits for the end of a run, and ends it where everything is to be ended.
    async fn watch(&self, run: RunId) -> Option<RunEnd> {
        let mut watch = self.executor.watch(run);
        tokio::select! {
            end = &mut watch => return end,
            () = self.until_cancelled() => self.executor.cancel(run).await,
        }
        watch.await
    }

    /// Works until there is nothing left to do and `idle` is over.
    pub(crate) async fn run(self: Arc<Self>, idle: Duration) -> Result<End, RunnerError> {
        let mut tasks: JoinSet<Carried> = JoinSet::new();
        let mut last: Option<End> = None;
        loop {
            let mut retry = Duration::from_secs(3600);
            loop {
                match self.next_work(!tasks.is_empty()).await {
                    Ok(Next::Start { slot, trial, draft }) => {
                        let engine = Arc::clone(&self);
                        tasks.spawn(async move {
                            let mut trial = *trial;
                            let done = engine.carry(&mut trial, *draft).await;
                            (Place::Slot(slot), trial, done)
                        });
                    }
                    Ok(Next::Propose { trial, draft }) => {
                        let engine = Arc::clone(&self);
                        tasks.spawn(async move {
                            let mut trial = *trial;
                            let done = engine.make(&mut trial, *draft).await;
                            (Place::Desk, trial, done)
                        });
                    }
                    Ok(Next::Wait) => break,
                    Ok(Next::Retry(after)) => {
                        retry = after;
                        break;
                    }
                    Ok(Next::Ended(end)) => last = Some(end),
                    Err(error @ RunnerError::Lost { .. }) => return Err(error),
                    Err(error) => {
                        if !self.endure(&error)
                            && let Some(end) = self.fail(&error)
                        {
                            last = Some(end);
                        }
                        retry = Duration::ZERO;
                        break;
                    }
                }
            }
            if tasks.is_empty() && self.live().is_idle() {
                self.cancel.send_replace(false);
                if last.is_some() {
                    // What this process was still saying would end with it.
                    self.told().await;
                }
                let mut live = self.live();
                if (last.is_some() || live.retiring) && live.close() {
                    return Ok(last.unwrap_or_else(|| live.nothing_done()));
                }
                retry = idle;
            }
            let wait = self.live().until_deadline().map_or(retry, |left| left.min(retry));
            tokio::select! {
                Some(done) = tasks.join_next() => match done {
                    Ok((_, _, Err(error @ RunnerError::Lost { .. }))) => return Err(error),
                    Ok((place, trial, done)) => {
                        if let Some(end) = self.finished(place, &trial, done).await {
                            last = Some(end);
                        }
                    }
                    Err(error) => return Err(RunnerError::Refused(format!("an experiment's task ended badly: {error}"))),
                },
                () = self.wake.notified() => {}
                lost = self.until_lost() => return Err(lost),
                () = self.until_over(wait) => {
                    let mut live = self.live();
                    if tasks.is_empty() && last.is_none() && live.quiet_for(idle) && live.close() {
                        return Ok(live.nothing_done());
                    }
                }
            }
        }
    }

    /// Returns once the lab is no longer this runner's. Meanwhile it shows others that it lives.
    async fn until_lost(&self) -> RunnerError {
        let Some(guard) = self.guard.get() else { return std::future::pending().await };
        loop {
            if let Err(lost) = guard.check() {
                return lost;
            }
            guard.beat();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns after `wait`, or once the loop's time is over: a machine that slept meanwhile did not count it.
    async fn until_over(&self, wait: Duration) {
        let until = tokio::time::Instant::now() + wait;
        while tokio::time::Instant::now() < until {
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + LOOK)).await;
            if self.live().until_deadline().is_some_and(|left| left < LOOK) {
                return;
            }
        }
    }

    /// Takes in how an experiment ended.
    async fn finished(&self, place: Place, trial: &Trial, done: Result<Done, RunnerError>) -> Option<End> {
        self.live().free(place, trial);
        match done {
            Ok(Done::Proposed) => {
                self.live().queue.push_back(trial.clone());
                None
            }
            Ok(Done::Recorded { status, again }) => {
                {
                    let mut live = self.live();
                    live.count(trial, status);
                    live.trouble = None;
                    live.alerts.settle(Alert::Trouble);
                }
                if status == Status::Suspect {
                    let reason = trial.judgement.as_ref().map_or("", |judgement| &judgement.reason);
                    let text = format!("experiment {} is suspect: {reason}", trial.number);
                    self.alert(Alert::Suspect(trial.number), &text);
                }
                if trial.is_baseline() && status != Status::Keep {
                    let reason = trial.judgement.as_ref().map_or_else(String::new, |j| j.reason.clone());
                    return self.baseline_failed(&reason).await;
                }
                if again && let Err(error) = self.try_again(trial).await {
                    tracing::warn!(%error, "a change that beat its parent could not be tried on the new best");
                }
                None
            }
            Ok(Done::Abandoned { why }) => {
                // Where others propose too, they go on without it.
                let team = self.team();
                let why = why.filter(|why| !team.is_some_and(|team| team.missed(&trial.proposer, why)));
                // A proposer that fails on a machine in trouble is not to blame.
                let why = why.filter(|why| !matches!(why, ProposeError::Failed(_)) || self.ill().is_none());
                self.live().abandoned(trial, why.as_ref());
                if let Some(ProposeError::Blocked(reason)) = why {
                    self.pause(Some(reason)).await.map_or_else(|error| self.fail(&error), |()| None)
                } else {
                    None
                }
            }
            Err(error) if self.endure(&error) => {
                if !trial.state.is_final() {
                    self.live().queue.push_front(trial.clone());
                }
                None
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Ends what cannot go on. Experiments stay in the journal where they are: the next start has them.
    fn fail(&self, error: &RunnerError) -> Option<End> {
        tracing::error!(%error, "the runner cannot go on");
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let mut live = self.live();
        live.problem = Some(error.to_string());
        live.queue.clear();
        if let Some(current) = &mut live.current {
            current.end_with(format!("{error}{hint}"), Cause::Failed);
            return None;
        }
        live.end(error.to_string());
        Some(End { reason: error.to_string(), cause: Cause::Failed, experiments: 0, kept: 0 })
    }

    /// The baseline fails: no loop can work on this lab, and what people queued cannot be judged.
    async fn baseline_failed(&self, reason: &str) -> Option<End> {
        let reason = format!("the baseline fails: {reason}");
        let queue: Vec<Trial> = {
            let mut live = self.live();
            live.problem = Some(reason.clone());
            live.queue.drain(..).collect()
        };
        for mut trial in queue {
            let event = trial.given_up(&reason);
            if let Err(error) = self.advance(&mut trial, event) {
                tracing::warn!(%error, "a queued experiment could not be given up");
            }
            self.live().release(&trial);
        }
        self.alert(Alert::Baseline, &reason);
        let mut live = self.live();
        if let Some(current) = &mut live.current {
            current.end_with(reason, Cause::Baseline);
            return None;
        }
        live.end(reason.clone());
        Some(End { reason, cause: Cause::Baseline, experiments: 1, kept: 0 })
    }

    /// Shows what is the best now.
    fn show_best(&self, tip: Option<&lab::Experiment>) {
        self.live().best =
            tip.and_then(|tip| Some(Best { number: tip.record.number, value: tip.record.value? }));
    }
}
