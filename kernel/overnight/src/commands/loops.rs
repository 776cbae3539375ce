//! `loop`: start, watch, steer and stop it.

use std::time::Duration;

use lab::status::{LoopState, LoopStatus};
use lab::{Record, Status};
use runner::{Request, Response, StartOptions};
use serde_json::json;
use view::Bundle;

use super::watcher::Watcher;
use super::{data, rehearse, say, space};
use crate::failure::{ExitCode, Failure};
use crate::grammar::{LoopCommand, StartArgs};
use crate::session::Session;
use crate::sink::Sink;

/// How often a watch looks whether something has changed.
const TICK: Duration = Duration::from_millis(300);
/// How many ticks a runner that lives may not answer.
const PATIENCE: usize = 20;
/// How long it waits at most where it cannot look.
const LONGEST: Duration = Duration::from_secs(30);
/// How many printed numbers are named to a person who is to choose one.
const NAMED: usize = 8;

/// Every `loop` command but `start`.
pub(super) async fn run(command: LoopCommand, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    match command {
        LoopCommand::Start(args) => start(&args, session, sink).await,
        LoopCommand::Rehearse(args) => rehearse::run(&args, session, sink).await,
        LoopCommand::Status => {
            let mut watcher = Watcher::open(session)?;
            let status = watcher.status().await?;
            let json = serde_json::to_value(&status).map_err(|error| Failure::new(error.to_string()))?;
            let drawn = tokio::task::block_in_place(|| watcher.draw(&status, sink.width()))?;
            sink.show(drawn.with(view::bundle::JSON, json));
            Ok(())
        }
        LoopCommand::Watch | LoopCommand::Wait => {
            let last = watch(session, sink).await?;
            ended(&last, session)
        }
        LoopCommand::Pause => {
            tell(session, sink, Request::Pause, "paused: no new experiment is started until `loop resume`")
                .await
        }
        LoopCommand::Resume => resume(session, sink).await,
        LoopCommand::Stop { now: false } => {
            tell(
                session,
                sink,
                Request::Stop { now: false },
                "stopping after the current run; `loop stop --now` ends it too",
            )
            .await
        }
        LoopCommand::Stop { now: true } => {
            tell(session, sink, Request::Stop { now: true }, "stopping now").await
        }
        LoopCommand::Space(args) => space::run(&args, session, sink),
        LoopCommand::Steer(args) => say::steer(&args, session, sink).await,
        LoopCommand::Veto(args) => say::veto(&args, session, sink).await,
    }
}

/// Starts a loop, or finds the one that runs.
pub(crate) async fn start(args: &StartArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut watcher = Watcher::open(session)?;
    let lab = session.lab(watcher.ledger())?;
    let options = StartOptions {
        tag: session.tag(watcher.ledger(), args.tag.as_ref())?,
        proposer: args.agent.clone(),
        budget: args.budget,
        hours: args.hours,
        experiments: args.experiments,
        slots: args.slots,
        target: args.target,
        seed: args.seed,
        max_cost: args.max_cost,
    };
    let running = watcher.status().await?.state != LoopState::Idle;
    if !running {
        data::ensure(args.prepare, session, sink).await?;
    }
    if let (false, Some(idle)) = (running, watcher.client().await?) {
        // The new one has the environment of now: a key may have been set since.
        idle.retire().await;
    }
    let notes = match watcher.insist(&Request::Start(options.clone())).await? {
        Response::Done { notes } => notes,
        _ => Vec::new(),
    };
    if running {
        sink.show(view::plain(&notes.join("\n")));
    } else {
        sink.show(started(&options, &lab, &notes));
    }
    if args.watch || args.wait {
        let last = watch(session, sink).await?;
        return ended(&last, session);
    }
    Ok(())
}

/// What `loop start` says.
fn started(options: &StartOptions, lab: &lab::Lab, notes: &[String]) -> Bundle {
    let budget = options.budget.unwrap_or(lab.budget);
    let until = match (options.experiments, options.hours) {
        (Some(n), Some(hours)) => format!("{n} experiments or {hours} h, whichever comes first"),
        (Some(1), None) => "one experiment".to_owned(),
        (Some(n), None) => format!("{n} experiments"),
        (None, Some(hours)) => format!("{hours} h"),
        (None, None) => "until it is stopped".to_owned(),
    };
    let mut text = format!(
        "The loop has started: {} changes {}, {} is to be {}d, {budget} a run, {until}.\n\
         It goes on when this is closed. `loop watch` shows it, `loop stop` ends it; branch autoresearch/{}.",
        options.proposer,
        lab.editable.join(", "),
        lab.metric,
        lab.direction,
        options.tag,
    );
    for note in notes {
        text.push('\n');
        text.push_str(note);
    }
    view::plain(&text).with(
        view::bundle::JSON,
        json!({"schema": lab::SCHEMA, "tag": options.tag, "proposer": options.proposer}),
    )
}

/// The live view as it is now.
pub(crate) async fn glance(session: &Session) -> Result<Bundle, Failure> {
    let mut watcher = Watcher::open(session)?;
    let status = watcher.status().await?;
    tokio::task::block_in_place(|| watcher.draw(&status, 100))
}

/// Keeps the live view up to date until the loop ends, and returns its last status.
pub(crate) async fn watch(session: &Session, sink: &dyn Sink) -> Result<LoopStatus, Failure> {
    let mut watcher = Watcher::open(session)?;
    let (mut pause, mut looked) = (TICK, false);
    loop {
        match look(&mut watcher, sink).await {
            Ok(status) if status.state == LoopState::Idle => {
                if !sink.redraws() {
                    // A log has the whole of it once, at its end.
                    sink.update("live", tokio::task::block_in_place(|| watcher.draw(&status, sink.width()))?);
                }
                return Ok(status);
            }
            Ok(_) => (pause, looked) = (TICK, true),
            Err(failure) if !looked => return Err(failure),
            // A file server that is away, or a repository that is being repacked, is no reason to see nothing in the
            // morning.
            Err(failure) => {
                pause = (pause * 2).min(LONGEST);
                tracing::debug!(%failure, "cannot look at the loop");
                if let Some(view) = watcher.troubled(&failure, sink.width()).filter(|_| sink.redraws()) {
                    sink.update("live", view);
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Shows what is new, and returns the status.
async fn look(watcher: &mut Watcher, sink: &dyn Sink) -> Result<LoopStatus, Failure> {
    let mut status = watcher.status().await?;
    for _ in 0..PATIENCE {
        if status.pid.is_some() || !watcher.is_held() {
            break;
        }
        // A runner that lives and does not answer is busy or about to end: it has not been cut off.
        tokio::time::sleep(TICK).await;
        status = watcher.status().await?;
    }
    tokio::task::block_in_place(|| show(watcher, &status, sink))?;
    Ok(status)
}

/// Shows what is new of the live view: in its place, or as lines of a log.
pub(super) fn show(watcher: &mut Watcher, status: &LoopStatus, sink: &dyn Sink) -> Result<(), Failure> {
    if sink.redraws() {
        if let Some(view) = watcher.changed(status, sink.width())? {
            sink.update("live", view);
        }
    } else {
        for line in watcher.news(status)? {
            sink.line(&line);
        }
    }
    Ok(())
}

/// A loop that ended because something is broken is a failure of who waited for it.
fn ended(last: &LoopStatus, session: &Session) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let experiments = ledger.experiments(&last.tag)?;
    let broken = experiments.last().filter(|e| e.record.baseline && e.record.status != Status::Keep);
    if let Some(baseline) = broken {
        let Record { number, reason, .. } = &*baseline.record;
        return Err(Failure::new(format!("the baseline fails (experiment {number}): {reason}"))
            .hint(
                unnamed(&baseline.record).unwrap_or_else(|| format!("`log {number}` shows what it printed")),
            )
            .code(ExitCode::Baseline));
    }
    match &last.problem {
        None => Ok(()),
        Some(problem) => Err(Failure::new(problem.clone())),
    }
}

/// What to do about a run that went well and printed other numbers than the metric that the program names. Which of
/// them is meant is for a person to say.
fn unnamed(record: &Record) -> Option<String> {
    let went_well = record.runs.last().is_some_and(|run| run.exit == "0");
    let printed: Vec<&str> = record.summary.keys().take(NAMED).map(String::as_str).collect();
    (went_well && !printed.is_empty() && !record.summary.contains_key(record.metric.as_str())).then(|| {
        format!(
            "it printed {}: name the one that decides as `metric:` in program.md, and say whether lower or higher is \
             better as `direction:`",
            printed.join(", ")
        )
    })
}

/// Goes on after a pause, or after the runner's death.
async fn resume(session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut watcher = Watcher::open(session)?;
    data::ensure(false, session, sink).await?;
    watcher.insist(&Request::Resume).await?;
    sink.show(view::plain("the loop goes on"));
    Ok(())
}

async fn tell(session: &Session, sink: &dyn Sink, request: Request, done: &str) -> Result<(), Failure> {
    let mut watcher = Watcher::open(session)?;
    let Some(mut client) = watcher.client().await? else {
        return Err(Failure::new("no loop is running")
            .hint("`loop start` begins one, `loop resume` goes on with a broken one"));
    };
    let mut told = vec![done.to_owned()];
    if let Response::Done { notes } = client.request(&request).await? {
        told.extend(notes);
    }
    sink.show(view::plain(&told.join("\n")));
    Ok(())
}
