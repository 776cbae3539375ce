//! The kernel's side: starts the worker when a cell needs it, drives it, ends it.

mod building;
mod control;
mod folder;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::CellsError;
use crate::message::{Bundle, CellError, Completions, Outcome, Reply, Request, StreamName};
use crate::oom;
use crate::prelude::State;
use control::Control;
use folder::Folder;
pub use folder::OwnedFolder;
use process::{Heard, Process};

/// How long a completion may take before the answer is "nothing".
const COMPLETION_LIMIT: Duration = Duration::from_millis(300);
/// How long an idle worker may take to end by itself.
const QUIT_LIMIT: Duration = Duration::from_millis(500);
/// How long a cell may take to end by itself once it is interrupted, and how long after each harder way.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(2);

/// How to start the worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program; it calls [`crate::runtime_hook`] and, with `args`, [`crate::worker::run`].
    pub program: PathBuf,
    /// What makes the program a worker.
    pub args: Vec<OsString>,
    /// What makes the program build the prelude ([`crate::Prelude::build`]); without it cells have none.
    pub build: Option<Vec<OsString>>,
    /// The folder that cells run in.
    pub directory: PathBuf,
    /// Where preludes are, and the workers' folders of compiled code; those are deleted in the end.
    pub cache: PathBuf,
    /// Environment variables besides those of this process.
    pub env: Vec<(String, String)>,
}

/// Where a cell's output goes, as it comes, and who answers its questions.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Text, also without a newline; may hold `\r` and ANSI codes.
    fn stream(&self, name: StreamName, text: &str);
    /// A value.
    fn display(&self, bundle: Bundle);
    /// What was shown so far is no longer wanted.
    fn clear(&self) {}
    /// A line that the person types; none where nobody is asked.
    async fn ask(&self, prompt: &str, password: bool) -> Option<String>;
}

/// Where nobody looks.
struct Nowhere;

#[async_trait]
impl Sink for Nowhere {
    fn stream(&self, _: StreamName, _: &str) {}
    fn display(&self, _: Bundle) {}
    async fn ask(&self, _: &str, _: bool) -> Option<String> {
        None
    }
}

/// Runs Rust cells, one at a time, in a child process that is started by the first of them.
pub struct Worker {
    config: StdMutex<Config>,
    control: Arc<Control>,
    session: Mutex<Session>,
}

#[derive(Default)]
struct Session {
    folder: Option<Folder>,
    process: Option<Process>,
    last_id: u64,
    /// A completion or an inspection whose answer has not been seen, as it was asked but for its number.
    owed: Option<Request>,
    /// Output of threads that earlier cells left behind, for the next cell to show.
    late: Vec<Reply>,
    /// The variables that the next cell has.
    variables: Vec<String>,
    /// What the system had killed for want of memory when the worker started.
    oom_before: Option<u64>,
}

impl Worker {
    /// A worker that is not started yet.
    pub fn new(config: Config) -> Self {
        Self { config: StdMutex::new(config), control: Arc::default(), session: Mutex::default() }
    }

    /// Whether the child process runs (it starts with the first cell).
    pub async fn is_running(&self) -> bool {
        self.session.lock().await.process.is_some()
    }

    /// Makes ready what a cell will need, unless the worker runs: begins to build the prelude in a process of its own
    /// where nobody does, and where it is built and `warm` is wanted, starts the worker and lets it load what the
    /// first cell needs. Waits for neither; a cell that comes meanwhile is run after that.
    pub async fn prepare(&self, warm: bool) {
        let mut session = self.session.lock().await;
        if session.process.is_some() {
            return;
        }
        let config = self.config();
        match building::state(&config).await {
            // What goes wrong is met again, and told, by the first cell.
            Some(State::Missing) => drop(building::spawn(&config)),
            Some(State::Ready) if warm && self.start(&mut session, &Nowhere).await.is_ok() => {
                if let Some(process) = &mut session.process {
                    process.send(&Request::Warm).await;
                }
            }
            _ => {}
        }
    }

    /// Sets an environment variable for all cells from now on.
    pub async fn set_env(&self, name: &str, value: &str) -> Outcome {
        self.config
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .env
            .push((name.to_owned(), value.to_owned()));
        if !self.is_running().await {
            return Outcome::Ok;
        }
        let code = format!("#[allow(unused_unsafe)] unsafe {{ std::env::set_var({name:?}, {value:?}); }}");
        self.execute(&code, &Nowhere).await
    }

    fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a cell to its end. A second call waits for the first.
    pub async fn execute(&self, code: &str, sink: &dyn Sink) -> Outcome {
        let mut session = self.session.lock().await;
        let _cell = self.control.begin();
        match self.run(&mut session, code, sink).await {
            Ok(outcome) => outcome,
            Err(CellsError::Interrupted) => interrupted("interrupted before the cell ran", ""),
            Err(error) => {
                // Whatever it was, this worker is not to be trusted any more.
                self.end(&mut session).await;
                Outcome::Error(error.into())
            }
        }
    }

    async fn run(&self, session: &mut Session, code: &str, sink: &dyn Sink) -> Result<Outcome, CellsError> {
        session.last_id += 1;
        let id = session.last_id;
        for reply in std::mem::take(&mut session.late) {
            show(reply, sink);
        }
        self.start(session, sink).await?;
        let Some(process) = &mut session.process else {
            return Ok(Outcome::Ok);
        };
        // A worker that is gone is met below, as the end of its replies.
        process.send(&Request::Execute { id, code: code.to_owned() }).await;
        let mut pressed = Pressed::default();
        loop {
            let heard = tokio::select! {
                heard = process.hear() => heard?,
                () = pressed.next(&self.control) => {
                    match pressed.0 {
                        Pressure::Gentle(_) => process.send(&Request::Interrupt { force: false }).await,
                        Pressure::Forced(_) => process.send(&Request::Interrupt { force: true }).await,
                        Pressure::None | Pressure::Killed => self.control.kill(),
                    }
                    continue;
                }
            };
            match heard {
                Heard::Reply(Reply::Done { id: done, outcome, variables }) if done == id => {
                    let before = std::mem::replace(&mut session.variables, variables);
                    return Ok(match outcome {
                        Outcome::Interrupted(_) => interrupted_keeping(&before, &session.variables),
                        outcome => outcome,
                    });
                }
                Heard::Reply(Reply::Ask { prompt, password, .. }) => {
                    let text = sink.ask(&prompt, password).await;
                    // The interrupt comes first, so that the cell ends at the answer.
                    if self.control.is_interrupted() && pressed.begin() {
                        process.send(&Request::Interrupt { force: false }).await;
                    }
                    process.send(&Request::Answer { text }).await;
                }
                // Too late: the cell may have changed what it is about.
                Heard::Reply(Reply::Completions { .. } | Reply::Inspected { .. }) => session.owed = None,
                Heard::Reply(reply) => show(reply, sink),
                Heard::Progress(line) => sink.stream(StreamName::Stderr, &format!("{line}\n")),
                Heard::End => return self.ended(session, sink).await,
            }
        }
    }

    async fn start(&self, session: &mut Session, sink: &dyn Sink) -> Result<(), CellsError> {
        if session.process.is_some() {
            return Ok(());
        }
        let config = self.config();
        let prelude = building::wait(&config, &self.control, sink).await?;
        // Kept over restarts, so that dependencies need not be compiled again after an interrupt.
        let folder = match session.folder.take() {
            Some(folder) => folder,
            None => Folder::create(&config.cache.join("cells"), prelude.as_ref())?,
        };
        let process = Process::start(&config, &folder, prelude.as_ref(), &self.control);
        session.folder = Some(folder);
        session.owed = None;
        session.variables.clear();
        session.oom_before = oom::kills();
        session.process = Some(process?);
        Ok(())
    }

    /// The replies have ended while a cell ran: by an interrupt, `:quit`, or a death.
    async fn ended(&self, session: &mut Session, sink: &dyn Sink) -> Result<Outcome, CellsError> {
        let Some(process) = session.process.take() else {
            return Ok(Outcome::Ok);
        };
        let was_interrupted = self.control.is_interrupted();
        let lost = std::mem::take(&mut session.variables);
        let (status, last_words) = process.end(&self.control).await;
        if was_interrupted {
            return Ok(interrupted_keeping(&lost, &[]));
        }
        if status.is_some_and(|status| status.success()) {
            sink.stream(
                StreamName::Stderr,
                "The Rust worker has ended. The next cell starts afresh, without variables.\n",
            );
            return Ok(Outcome::Ok);
        }
        let status = status.map_or_else(|| "in an unknown way".to_owned(), |status| status.to_string());
        let memory = oom::verdict(&status, session.oom_before, oom::kills());
        Err(CellsError::Died { status, last_words, memory })
    }

    /// Ends the running cell, if there is one: its compile at once, its code at the next turn of a loop, or
    /// after two seconds by killing its process. Returns at once; [`Worker::execute`] then gives
    /// [`Outcome::Interrupted`].
    pub fn interrupt(&self) {
        self.control.interrupt();
    }

    /// What could stand at `cursor` (in bytes). Empty unless the worker runs, is idle and answers
    /// within 0.3 s.
    pub async fn complete(&self, code: &str, cursor: usize) -> Completions {
        let question = |id| Request::Complete { id, code: code.to_owned(), cursor };
        match self.question(question).await {
            Some(Reply::Completions { completions, .. }) => completions,
            _ => Completions::default(),
        }
    }

    /// What is known of what stands before `cursor` (in bytes), as Markdown. Nothing unless the worker runs, is
    /// idle and answers within 0.3 s.
    pub async fn inspect(&self, code: &str, cursor: usize) -> Option<String> {
        let question = |id| Request::Inspect { id, code: code.to_owned(), cursor };
        match self.question(question).await {
            Some(Reply::Inspected { markdown, .. }) => Some(markdown).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    async fn question(&self, request: impl Fn(u64) -> Request) -> Option<Reply> {
        let mut session = self.session.try_lock().ok()?;
        timeout(COMPLETION_LIMIT, session.question(request)).await.ok().flatten()
    }

    /// Ends the worker and deletes its folder; a cell that runs is interrupted.
    pub async fn shutdown(&self) {
        self.control.interrupt();
        if self.control.is_interrupted() {
            self.control.kill();
        }
        let mut session = self.session.lock().await;
        if let Some(process) = &mut session.process {
            process.send(&Request::Quit).await;
            let _ = timeout(QUIT_LIMIT, process.silence()).await;
        }
        self.end(&mut session).await;
        session.folder = None;
    }

    async fn end(&self, session: &mut Session) {
        if let Some(process) = session.process.take() {
            process.end(&self.control).await;
        }
        session.variables.clear();
    }
}

impl Session {
    /// The answer to a question. One at a time is asked, so that slow answers do not pile up before the next cell;
    /// who asks the same again gets the answer that came too late the first time.
    async fn question(&mut self, request: impl Fn(u64) -> Request) -> Option<Reply> {
        let process = self.process.as_mut()?;
        let wanted = request(0);
        loop {
            if self.owed.is_none() {
                self.last_id += 1;
                self.owed = Some(wanted.clone());
                process.send(&request(self.last_id)).await;
            }
            match process.hear().await.ok()? {
                Heard::Reply(reply @ (Reply::Completions { .. } | Reply::Inspected { .. })) => {
                    if self.owed.take().as_ref() == Some(&wanted) {
                        return Some(reply);
                    }
                }
                Heard::Reply(reply) => self.late.push(reply),
                Heard::Progress(_) => {}
                Heard::End => return None,
            }
        }
    }
}

/// How hard a cell is pressed to end, and when it will be pressed harder.
#[derive(Debug, Default, Clone, Copy)]
enum Pressure {
    #[default]
    None,
    /// Its compile is ended, its loops are told.
    Gentle(Instant),
    /// The process of its code is killed.
    Forced(Instant),
    /// The worker is killed with all that it started.
    Killed,
}

#[derive(Debug, Default)]
struct Pressed(Pressure);

impl Pressed {
    /// Waits until the cell is to be pressed harder.
    async fn next(&mut self, control: &Control) {
        match self.0 {
            Pressure::None => {
                control.interrupted().await;
                self.begin();
            }
            Pressure::Gentle(until) => {
                sleep_until(until).await;
                self.0 = Pressure::Forced(Instant::now() + INTERRUPT_LIMIT);
            }
            Pressure::Forced(until) => {
                sleep_until(until).await;
                self.0 = Pressure::Killed;
            }
            Pressure::Killed => std::future::pending().await,
        }
    }

    /// Whether this is the first time.
    fn begin(&mut self) -> bool {
        let first = matches!(self.0, Pressure::None);
        if first {
            self.0 = Pressure::Gentle(Instant::now() + INTERRUPT_LIMIT);
        }
        first
    }
}

/// What an interrupted cell says: which of the variables before it are there still.
fn interrupted_keeping(before: &[String], kept: &[String]) -> Outcome {
    let (kept, lost): (Vec<&str>, Vec<&str>) =
        before.iter().map(String::as_str).partition(|name| kept.iter().any(|kept| kept == name));
    let more = match (kept.is_empty(), lost.is_empty()) {
        (true, true) => "There were no variables before it.".to_owned(),
        (false, true) => format!("Kept: {}.", kept.join(", ")),
        (true, false) => format!("Lost with its process: {}. The next cell starts afresh.", lost.join(", ")),
        (false, false) => {
            format!("Kept: {}. Lost, since the cell had taken them: {}.", kept.join(", "), lost.join(", "))
        }
    };
    interrupted("the cell was interrupted", &more)
}

fn interrupted(what: &str, more: &str) -> Outcome {
    Outcome::Interrupted(CellError::new("Interrupted", what, more))
}

/// Shows a reply; the end of a cell that nobody waited for is nothing.
fn show(reply: Reply, sink: &dyn Sink) {
    match reply {
        Reply::Stream { name, text, .. } => sink.stream(name, &text),
        Reply::Display { bundle, .. } => sink.display(bundle),
        Reply::Done { .. } | Reply::Completions { .. } | Reply::Inspected { .. } | Reply::Ask { .. } => {}
    }
}
