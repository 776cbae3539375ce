//! Beginning a loop, and going on with one that was cut off.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lab::{AtBudget, CommitId, Event, EventId, Lab, Seconds, Tag};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use super::draft::read_program;
use super::live::Current;
use super::{Cause, Engine};
use crate::executor::{missing, preflight};
use crate::history::{Counts, LoopSoFar, Trial};
use crate::processes::{MARK, Process};
use crate::proposers::better::better;
use crate::proposers::search::Search;
use crate::proposers::team::Team;
use crate::proposers::{Limits, Means, searches};
use crate::protocol::StartOptions;
use crate::sandbox::{Facts, Ground, report};
use crate::{RunnerError, machine, paths};

/// How long the end of a loop waits for its report: others take a runner for dead that is silent for longer than minutes.
const REPORT: Duration = Duration::from_secs(30);

/// What a loop was told, in `loop.json`: what its event does not say.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    schema: u32,
    /// The event that began it.
    id: EventId,
    options: StartOptions,
    base: CommitId,
    /// When it ends, on this boot of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends: Option<Moment>,
}

/// What is read of what says where a report is.
#[derive(Deserialize)]
struct Written {
    file: PathBuf,
}

/// Where the process says that its report is; what it prints where it says nothing.
async fn report_of(mut child: tokio::process::Child) -> Result<PathBuf, String> {
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        while stdout.read_buf(&mut said).await.is_ok_and(|read| read > 0) {
            if let Ok(written) = serde_json::from_slice::<Written>(&said) {
                return Ok(written.file);
            }
        }
    }
    let ended = child.wait_with_output().await.map_err(|error| error.to_string())?;
    Err(String::from_utf8_lossy(&ended.stderr).trim().to_owned())
}

/// How far a loop is that begins or goes on.
struct SoFar {
    since: Timestamp,
    deadline: Option<Timestamp>,
    ends: Option<Duration>,
    counts: Counts,
}

/// A moment that setting the clock does not move.
#[derive(Debug, Serialize, Deserialize)]
struct Moment {
    /// The boot of the machine.
    boot: String,
    /// Since that boot, in seconds.
    uptime: Seconds,
}

impl Moment {
    fn after(hours: f64) -> Self {
        Self { boot: machine::boot(), uptime: Seconds(machine::uptime().as_secs_f64() + hours * 3600.0) }
    }
}

/// When a loop ends: at `moment` where that is of this boot, or else as far from now as the clock says.
fn ends(deadline: Option<Timestamp>, moment: Option<Moment>) -> Option<Duration> {
    let deadline = deadline?;
    Some(match moment.filter(|moment| moment.boot == machine::boot()) {
        Some(moment) => moment.uptime.duration(),
        None => {
            let left = deadline.duration_since(Timestamp::now());
            machine::uptime() + Duration::try_from(left).unwrap_or_default()
        }
    })
}

/// What the last loop was told, where that is known.
pub(super) fn last_told(paths: &crate::Paths) -> Option<StartOptions> {
    let plan = std::fs::read(paths.plan()).ok()?;
    serde_json::from_slice::<Plan>(&plan).ok().map(|plan| plan.options)
}

impl Engine {
    /// Begins a loop, or goes on with the one that was cut off. Returns what the person should know.
    pub(crate) async fn start(&self, options: StartOptions) -> Result<Vec<String>, RunnerError> {
        let _one = self.reserving.lock().await;
        if let Some(current) = &self.live().current {
            return Ok(vec![format!(
                "a loop is on already, since {}: `{}` on `{}`",
                minute(current.since),
                current.options.proposer,
                current.options.tag
            )]);
        }
        let interrupted = self.live().interrupted.clone();
        if let Some(last) = interrupted {
            if last.tag == options.tag && last.proposer == options.proposer {
                return self.revive(last).await;
            }
            let event = Event::LoopEnded {
                reason: "it was cut off, and another loop was begun".to_owned(),
                failed: false,
            };
            self.write_lasting(&last.tag, "overnight", event).await?;
            self.begin_report(&last.tag, true);
            self.live().interrupted = None;
        }
        self.begin(options).await
    }

    /// Goes on with the loop that was cut off, if there is one.
    pub(crate) async fn go_on(&self) -> Result<Option<Vec<String>>, RunnerError> {
        let _one = self.reserving.lock().await;
        let interrupted = self.live().interrupted.clone();
        match interrupted {
            Some(last) => self.revive(last).await.map(Some),
            None => Ok(None),
        }
    }

    async fn begin(&self, options: StartOptions) -> Result<Vec<String>, RunnerError> {
        if options.slots == 0 {
            return Err(RunnerError::Refused("a loop needs at least one slot".to_owned()));
        }
        let (_, lab) = read_program(&self.root, options.budget)?;
        let (base, dirty) = self.store.snapshot().await?;
        self.check(&options, &lab, &base).await?;
        let mut notes = Vec::new();
        if dirty {
            notes.push("changes that are not committed are part of what the loop starts from".to_owned());
        }
        if options.budget.is_some() && !lab.declared && lab.at_budget == AtBudget::Code {
            notes.push(
                "the lab's code holds its own budget, so the budget that was given cannot bind; `at_budget: stop` in \
                 program.md would end each run at it"
                    .to_owned(),
            );
        }
        if options.proposer == "search" {
            notes.extend(better(&self.host.variables));
        }
        notes.push(if lab.sandbox { Facts::probe().line(lab.network) } else { report::OFF.to_owned() });
        let now = Timestamp::now();
        let deadline = options.hours.map(|hours| deadline(now, hours)).transpose()?;
        let (deadline, dangers) = self.look_ahead(deadline, lab.budget);
        notes.extend(dangers);
        notes.extend(self.executor.notes(options.slots));
        let event = Event::LoopStarted {
            proposer: options.proposer.clone(),
            budget: lab.budget,
            deadline,
            experiments: options.experiments,
            slots: options.slots,
            seed: options.seed,
            pid: std::process::id(),
        };
        // Only what is in the journal has begun; a plan without its event is passed over.
        let author = self.author.clone();
        let entry = self.write_lasting(&options.tag, &author, event).await?;
        let moment =
            deadline.map(|deadline| Moment::after(deadline.duration_since(now).as_secs_f64() / 3600.0));
        let plan = Plan {
            schema: lab::SCHEMA,
            id: entry.id,
            options: options.clone(),
            base: base.clone(),
            ends: moment,
        };
        let text = serde_json::to_vec(&plan).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        paths::write_whole(&self.paths.plan(), &text)?;
        let so_far =
            SoFar { since: entry.at, deadline, ends: ends(deadline, plan.ends), counts: Counts::default() };
        self.go(so_far, options, base).await?;
        Ok(notes)
    }

    async fn revive(&self, last: LoopSoFar) -> Result<Vec<String>, RunnerError> {
        let plan = std::fs::read(self.paths.plan()).ok();
        let plan = plan
            .and_then(|bytes| serde_json::from_slice::<Plan>(&bytes).ok())
            .filter(|plan| plan.id == last.id);
        let (options, base, moment) = match plan {
            Some(plan) => (plan.options, plan.base, plan.ends),
            None => (
                StartOptions {
                    tag: last.tag.clone(),
                    proposer: last.proposer.clone(),
                    budget: Some(last.budget),
                    experiments: last.experiments,
                    slots: last.slots,
                    seed: last.seed,
                    ..StartOptions::default()
                },
                self.store.snapshot().await?.0,
                None,
            ),
        };
        let (_, lab) = read_program(&self.root, options.budget)?;
        self.check(&options, &lab, &base).await?;
        let planned = options.experiments.map(|n| format!(" of {n}")).unwrap_or_default();
        let note = format!(
            "the loop that began at {} was cut off; it goes on after {}{planned} experiments",
            minute(last.since),
            last.counts.finished
        );
        if last.paused {
            self.write(&last.tag, &self.author, Event::LoopResumed)?;
        }
        let (deadline, dangers) = self.look_ahead(last.deadline, lab.budget);
        let ends = ends(deadline, moment.filter(|_| deadline == last.deadline));
        let so_far = SoFar { since: last.since, deadline, ends, counts: last.counts };
        self.go(so_far, options, base).await?;
        Ok([vec![note], dangers].concat())
    }

    async fn go(&self, so_far: SoFar, options: StartOptions, base: CommitId) -> Result<(), RunnerError> {
        self.hold(&base).await?;
        let SoFar { since, deadline, ends, counts } = so_far;
        self.closing.send_replace(false);
        let mut live = self.live();
        live.tag = options.tag.clone();
        // What was carried on may have finished since the loop began to go on.
        let counts = live.interrupted.take().map_or(counts, |last| last.counts);
        live.ended = None;
        live.report = None;
        live.alerts.forget();
        live.problem = None;
        let slots = live.slots.len().max(options.slots as usize);
        live.slots.resize(slots, None);
        live.last = Some(options.clone());
        live.current = Some(Current {
            options,
            base,
            since,
            deadline,
            ends,
            counts,
            nothing: 0,
            resting: false,
            paused: false,
            stopping: false,
            ending: None,
        });
        drop(live);
        self.wake.notify_one();
        Ok(())
    }

    /// Whether the loop can work at all, asked before anything is begun.
    async fn check(&self, options: &StartOptions, lab: &Lab, base: &CommitId) -> Result<(), RunnerError> {
        preflight(lab, &self.host.variables)?;
        let facts = Facts::default();
        let ground =
            Ground { root: &self.root, paths: &self.paths, variables: &self.host.variables, facts: &facts };
        if let Some(path) = ground.too_much(lab) {
            return Err(RunnerError::Writes { path: path.to_owned() });
        }
        if lab.setup.is_none()
            && let Some(input) = missing(&self.root, lab)
        {
            return Err(RunnerError::MissingInput {
                input: input.to_owned(),
                root: self.root.clone(),
                setup: false,
            });
        }
        let refuse = |reason: String| RunnerError::Proposer { name: options.proposer.clone(), reason };
        let files = self.store.editable_files(base, lab).await?;
        if files.is_empty() {
            return Err(refuse(format!(
                "no committed file matches `editable: {}`; commit it, or change `editable` in program.md",
                lab.editable.join(", ")
            )));
        }
        if Team::names(&options.proposer).iter().any(|name| searches(name)) {
            Search::space(&files, &lab.space).map_err(|why| {
                let more = better(&self.host.variables).map(|more| format!(". {more}")).unwrap_or_default();
                refuse(format!("{why}{more}"))
            })?;
        }
        let means = Means {
            host: self.host.clone(),
            store: self.store.clone(),
            folder: self.paths.proposers(),
            program: self.paths.program.clone(),
        };
        let limits = Limits { hours: options.hours, usd: options.max_cost };
        let team = means.team(&options.proposer, limits).map_err(refuse)?;
        *self.team.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(team));
        Ok(())
    }

    /// Writes the end of the current loop. `None` where there is none.
    pub(super) async fn end_loop(
        &self,
        reason: &str,
        cause: Cause,
    ) -> Result<Option<super::End>, RunnerError> {
        let Some(tag) = self.live().current.as_ref().map(|current| current.options.tag.clone()) else {
            return Ok(None);
        };
        // Gone first: where the disk is full even its end cannot be written, and it has ended all the same.
        let current = {
            let mut live = self.live();
            live.reporting = self.host.reporter.is_some();
            live.end(reason.to_owned());
            if cause == Cause::Failed || cause == Cause::Baseline {
                live.problem.get_or_insert_with(|| reason.to_owned());
            }
            live.current.take()
        };
        self.give_up_queued(&tag);
        // With it ends what it may have kept running.
        let team = self.team.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(team);
        self.cancel.send_replace(false);
        let failed = matches!(cause, Cause::Failed | Cause::Baseline);
        let event = Event::LoopEnded { reason: reason.to_owned(), failed };
        if let Err(error) = self.write_lasting(&tag, "overnight", event).await {
            tracing::error!(%error, "the loop's end could not be written");
        }
        // Who limits the cost is not asked for more afterwards.
        let pays = current.as_ref().is_none_or(|current| current.options.max_cost.is_none());
        self.write_report(&tag, pays).await;
        let counts = current.map(|current| current.counts).unwrap_or_default();
        Ok(Some(super::End {
            reason: reason.to_owned(),
            cause,
            experiments: counts.finished,
            kept: counts.kept,
        }))
    }

    /// Ends a loop that was cut off and does not go on; its report is not waited for.
    pub(super) async fn end_interrupted(&self, tag: &Tag, reason: String) -> Result<(), RunnerError> {
        let event = Event::LoopEnded { reason: reason.clone(), failed: false };
        self.write_lasting(tag, "overnight", event).await?;
        self.begin_report(tag, true);
        let mut live = self.live();
        live.interrupted = None;
        live.end(reason);
        Ok(())
    }

    /// Has the report written of a loop whose end is written down, and waits for it a while. What goes wrong there is no
    /// matter of the loop's.
    async fn write_report(&self, tag: &Tag, summary: bool) {
        if let Some(written) = self.begin_report(tag, summary) {
            match tokio::time::timeout(REPORT, written).await {
                Ok(Ok(Some(path))) => self.live().report = Some(path.display().to_string()),
                Ok(_) => {}
                Err(_) => tracing::warn!("the loop's report takes too long; it is not waited for"),
            }
        }
        self.live().reporting = false;
    }

    /// Has that report written, by a process of its own: what it takes of memory is not the runner's. It says where the
    /// report is as soon as it is there, and goes on by itself, also without the runner, until it has a summary.
    fn begin_report(&self, tag: &Tag, summary: bool) -> Option<oneshot::Receiver<Option<PathBuf>>> {
        let mut command = tokio::process::Command::new(&self.paths.program);
        command
            .args(self.host.reporter?(&self.root, tag, summary))
            .current_dir(&self.root)
            .env_clear()
            .envs(&self.host.variables.0)
            .env(MARK, self.paths.mark())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (tell, written) = oneshot::channel();
        tokio::spawn(async move {
            let told = match command.spawn() {
                Ok(child) => report_of(child).await,
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = &told {
                tracing::warn!(error, "the loop's report could not be written");
            }
            let _ = tell.send(told.ok());
        });
        Some(written)
    }

    /// Gives up what the loop had queued and not begun to run.
    fn give_up_queued(&self, tag: &Tag) {
        let queue: Vec<Trial> = self.live().queue.drain(..).collect();
        for mut trial in queue {
            if trial.is_of_loop() && trial.tag == *tag && !self.live().may_go_on(&trial) {
                let event = trial.given_up("the loop ended before it ran");
                if let Err(error) = self.advance(&mut trial, event) {
                    tracing::warn!(%error, "a queued experiment could not be given up");
                }
                self.live().release(&trial);
            } else {
                self.live().queue.push_back(trial);
            }
        }
    }

    /// This process, for the status.
    pub(crate) fn pid() -> u32 {
        u32::try_from(Process::current().pid).unwrap_or(0)
    }
}

/// A time as people read it.
fn minute(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d %H:%M UTC")
}

fn deadline(now: Timestamp, hours: f64) -> Result<Timestamp, RunnerError> {
    let refuse = || RunnerError::Refused(format!("a loop cannot take {hours} hours"));
    if hours.is_nan() || hours <= 0.0 {
        return Err(refuse());
    }
    let length = SignedDuration::try_from_secs_f64(hours * 3600.0).map_err(|_| refuse())?;
    now.checked_add(length).map_err(|_| refuse())
}
