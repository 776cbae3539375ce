//! Whole nights in virtual time: real git, real journal, and runs and proposals that only take time.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lab::{CommitId, Cost, Experiment, Lab, Metrics, RunId, Seconds, Tag};
use ledger::{Edit, Ledger};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Cause, End, Engine};
use crate::executor::{Executor, Fetched, Given, Kind};
use crate::proposers::team::Team;
use crate::proposers::{Brief, Proposal, ProposeError, Proposer};
use crate::shim::{End as RunEnd, Job};
use crate::store::Store;
use crate::{Host, Paths, Request, Response, RunnerError, StartOptions, Variables};

const RUN: Duration = Duration::from_secs(300);
const PROPOSAL: Duration = Duration::from_secs(60);

/// Runs that take five minutes; every seventh experiment is better than all before it.
#[derive(Default)]
struct Clockwork {
    runs: Mutex<HashMap<RunId, (u64, Instant)>>,
    busy: Mutex<Duration>,
}

#[async_trait]
impl Executor for Arc<Clockwork> {
    async fn prepare(&self, _: u32, _: &CommitId, _: &Lab) -> Result<PathBuf, RunnerError> {
        Ok(PathBuf::new())
    }

    fn job(&self, _: &Lab, _: Kind, given: Given) -> Option<Job> {
        Some(Job {
            schema: lab::SCHEMA,
            command: given.number.to_string(),
            folder: PathBuf::new(),
            environment: BTreeMap::new(),
            timeout: Seconds(600.0),
            stop_at: None,
            grace: Seconds(1.0),
            metrics: true,
            sandbox: None,
            cores: Vec::new(),
            gpu: None,
            metric: None,
            written: None,
        })
    }

    async fn submit(&self, run: RunId, job: &Job) -> Result<(), RunnerError> {
        self.runs.lock().unwrap().insert(run, (job.command.parse().unwrap(), Instant::now()));
        Ok(())
    }

    async fn watch(&self, run: RunId) -> Option<RunEnd> {
        let (number, began) = self.runs.lock().unwrap()[&run];
        sleep_until(began + RUN).await;
        *self.busy.lock().unwrap() += RUN;
        let loss = if number % 7 == 0 { 1000.0 - number as f64 } else { 2000.0 };
        let summary = BTreeMap::from([("loss".to_owned(), loss)]);
        Some(RunEnd { schema: lab::SCHEMA, exit: "0".to_owned(), summary, ..RunEnd::default() })
    }

    async fn cancel(&self, _: RunId) {}

    async fn fetch(&self, run: RunId) -> Result<Fetched, RunnerError> {
        let end = self.watch(run).await.unwrap();
        *self.busy.lock().unwrap() -= RUN;
        Ok(Fetched { end, metrics: Metrics::default(), log: Vec::new() })
    }

    fn folder(&self, _: RunId) -> PathBuf {
        PathBuf::new()
    }
}

/// A proposer that takes a minute for each, and changes a line of its own.
struct Slow {
    at_once: usize,
    made: AtomicUsize,
}

#[async_trait]
impl Proposer for Slow {
    async fn propose(&self, brief: &Brief, _: &mut Cost) -> Result<Proposal, ProposeError> {
        sleep(PROPOSAL).await;
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8(brief.files["train.py"].clone()).unwrap();
        let text = text.replace(&format!("X{made} = 0\n"), &format!("X{made} = {}\n", brief.number));
        let edits = vec![Edit { path: "train.py".to_owned(), content: Some(text.into_bytes()) }];
        Ok(Proposal { edits, hypothesis: format!("X{made}"), ..Proposal::default() })
    }

    fn at_once(&self) -> usize {
        self.at_once
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let ended = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// The engine of a new lab in a folder, and what it runs on.
async fn engine(folder: &Path) -> (Arc<Engine>, Arc<Clockwork>) {
    let root = folder.join("lab");
    std::fs::create_dir(&root).unwrap();
    let program = "---\nrun: sh\nmetric: loss\neditable: train.py\nbudget: 5m\n---\n";
    std::fs::write(root.join("program.md"), program).unwrap();
    let lines: String = (0..500).map(|line| format!("X{line} = 0\n\n\n\n")).collect();
    std::fs::write(root.join("train.py"), format!("A = 2\n\n\n\n{lines}")).unwrap();
    git(&root, &["init", "--quiet"]);
    git(&root, &["config", "user.name", "Ada"]);
    git(&root, &["config", "user.email", "ada@example.org"]);
    git(&root, &["add", "."]);
    git(&root, &["commit", "--quiet", "-m", "start"]);
    let store = Store::open(&root).unwrap();
    let paths = Paths {
        state: Ledger::open(&root).unwrap().state_dir().to_owned(),
        cache: folder.join("cache"),
        runtime: folder.join("run"),
        program: PathBuf::new(),
    };
    let clockwork = Arc::new(Clockwork::default());
    let variables = Variables([("PATH".to_owned(), std::env::var("PATH").unwrap())].into());
    let executor = Box::new(Arc::clone(&clockwork));
    let (engine, _) = Engine::open(&paths, store, Host::from(variables), executor).await.unwrap();
    (engine, clockwork)
}

/// A night of so many experiments: how it ended, the ledger, and the share of their time that slots were idle.
async fn night(slots: u32, experiments: u64) -> (End, Vec<Experiment>, f64) {
    let folder = tempfile::tempdir().unwrap();
    let (engine, clockwork) = engine(folder.path()).await;
    let options = StartOptions { experiments: Some(experiments), slots, ..StartOptions::default() };
    engine.start(options).await.unwrap();
    let slow = Slow { at_once: slots as usize, made: AtomicUsize::new(0) };
    *engine.team.lock().unwrap() = Some(Arc::new(Team::alone("search", Arc::new(slow))));
    let began = Instant::now();
    let end = engine.run(Duration::from_secs(10)).await.unwrap();
    let whole = began.elapsed() * slots;
    let idle = 1.0 - clockwork.busy.lock().unwrap().div_duration_f64(whole);
    (end, Ledger::open(&folder.path().join("lab")).unwrap().experiments(&Tag::default()).unwrap(), idle)
}

#[tokio::test(start_paused = true)]
async fn a_slot_does_not_wait_for_a_slow_proposer() {
    let (end, experiments, idle) = night(1, 80).await;
    assert_eq!((end.cause, end.experiments), (Cause::Done, 80));
    assert!(idle < 0.02, "idle for {:.1}% of the night", 100.0 * idle);
    // What was made on an older best was put on the new one before it ran: nothing is judged against a best that it
    // does not build on.
    let kept = experiments.iter().filter(|e| e.record.status == lab::Status::Keep).count();
    assert_eq!((end.kept, kept), (12, 12));
    assert!(experiments.iter().all(|e| !e.record.reason.contains("does not build on")), "{experiments:?}");
}

#[tokio::test(start_paused = true)]
async fn nor_do_several() {
    let (end, _, idle) = night(4, 160).await;
    assert_eq!((end.cause, end.experiments), (Cause::Done, 160));
    // The baseline is run alone, and at the end there is less left than slots.
    let alone = 3.0 * (RUN.as_secs_f64() + PROPOSAL.as_secs_f64()) * 2.0 / (160.0 * RUN.as_secs_f64());
    assert!(idle < 0.02 + alone, "idle for {:.1}% of the night", 100.0 * idle);
}

#[tokio::test(start_paused = true)]
async fn the_last_ones_are_not_tried_again_beyond_what_was_asked_for() {
    // 21 and 28 run together, on one best: what comes second is better than it too, and there is no room for it.
    let (end, experiments, _) = night(16, 33).await;
    assert_eq!((end.cause, end.experiments, experiments.len()), (Cause::Done, 33, 33));
    assert!(experiments.iter().any(|e| e.record.reason.contains("was kept meanwhile")), "{experiments:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_late_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = engine(folder.path()).await;
    let veto = || Request::Say {
        event: lab::Event::Vetoed { pattern: "deeper".to_owned(), number: None, lifted: false, cell: None },
    };
    assert_eq!(engine.handle(veto()).await, Response::Done { notes: Vec::new() });
    Arc::clone(&engine).run(Duration::from_secs(10)).await.unwrap();
    assert_eq!(engine.handle(veto()).await, Response::Ending);
}

#[tokio::test]
async fn nobody_ends_while_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = engine(folder.path()).await;
    let asking = engine.asking();
    assert!(asking.is_some() && !engine.live().close());
    drop(asking);
    assert!(engine.live().close() && engine.asking().is_none());
}
