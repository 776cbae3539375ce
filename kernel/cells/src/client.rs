//! The kernel's side: starts the worker when a cell needs it, drives it, ends it.

mod folder;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::CellsError;
use crate::message::{Bundle, CellError, Completions, Outcome, Reply, Request, StreamName};
use folder::Folder;
use process::{Control, Heard, Process};

/// How long a completion may take before the answer is "nothing".
const COMPLETION_LIMIT: Duration = Duration::from_millis(300);
/// How long an idle worker may take to end by itself.
const QUIT_LIMIT: Duration = Duration::from_millis(500);

/// How to start the worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program; it calls [`crate::runtime_hook`] and, with `args`, [`crate::worker::run`].
    pub program: PathBuf,
    /// What makes the program a worker.
    pub args: Vec<OsString>,
    /// The folder that cells run in.
    pub directory: PathBuf,
    /// Where the worker's folder of compiled code is made; it is deleted in the end.
    pub temp: PathBuf,
    /// Environment variables besides those of this process.
    pub env: Vec<(String, String)>,
}

/// Where a cell's output goes, as it comes.
pub trait Sink: Send + Sync {
    /// Text, also without a newline; may hold `\r` and ANSI codes.
    fn stream(&self, name: StreamName, text: &str);
    /// A value.
    fn display(&self, bundle: Bundle);
}

/// Where nobody looks.
struct Nowhere;

impl Sink for Nowhere {
    fn stream(&self, _: StreamName, _: &str) {}
    fn display(&self, _: Bundle) {}
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
    /// A completion whose answer has not been seen.
    owed: Option<u64>,
    /// Output of threads that earlier cells left behind, for the next cell to show.
    late: Vec<Reply>,
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

    /// Sets an environment variable for all cells from now on.
    pub async fn set_env(&self, name: &str, value: &str) -> Outcome {
        self.config().env.push((name.to_owned(), value.to_owned()));
        if !self.is_running().await {
            return Outcome::Ok;
        }
        let code = format!("#[allow(unused_unsafe)] unsafe {{ std::env::set_var({name:?}, {value:?}); }}");
        self.execute(&code, &Nowhere).await
    }

    fn config(&self) -> std::sync::MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a cell to its end. A second call waits for the first.
    pub async fn execute(&self, code: &str, sink: &dyn Sink) -> Outcome {
        let mut session = self.session.lock().await;
        let _cell = self.control.begin();
        match self.run(&mut session, code, sink).await {
            Ok(outcome) => outcome,
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
        self.start(session)?;
        let Some(process) = &mut session.process else {
            return Ok(Outcome::Ok);
        };
        // A worker that is gone is met below, as the end of its replies.
        process.send(&Request::Execute { id, code: code.to_owned() }).await;
        loop {
            match process.hear().await? {
                Heard::Reply(Reply::Done { id: done, outcome }) if done == id => {
                    // An interrupt that came in the last moment has killed the worker all the same.
                    let interrupted = self.control.finish();
                    return if interrupted { self.ended(session, sink).await } else { Ok(outcome) };
                }
                Heard::Reply(reply) => show(reply, sink),
                Heard::Progress(line) => sink.stream(StreamName::Stderr, &format!("{line}\n")),
                Heard::End => return self.ended(session, sink).await,
            }
        }
    }

    fn start(&self, session: &mut Session) -> Result<(), CellsError> {
        if session.process.is_some() {
            return Ok(());
        }
        // Kept over restarts, so that dependencies need not be compiled again after an interrupt.
        let folder = match session.folder.take() {
            Some(folder) => folder,
            None => Folder::create(&self.config().temp)?,
        };
        let process = Process::start(&self.config(), &folder, &self.control);
        session.folder = Some(folder);
        session.owed = None;
        session.process = Some(process?);
        Ok(())
    }

    /// The replies have ended while a cell ran: by an interrupt, `:quit`, or a death.
    async fn ended(&self, session: &mut Session, sink: &dyn Sink) -> Result<Outcome, CellsError> {
        let Some(process) = session.process.take() else {
            return Ok(Outcome::Ok);
        };
        let interrupted = self.control.finish();
        let (status, last_words) = process.end(&self.control).await;
        if interrupted {
            return Ok(Outcome::Interrupted(CellError::new(
                "Interrupted",
                "the cell was interrupted; its variables are lost",
                "The next Rust cell starts afresh. Loops, magics and the kernel go on.",
            )));
        }
        if status.is_some_and(|status| status.success()) {
            sink.stream(
                StreamName::Stderr,
                "The Rust worker has ended. The next cell starts afresh, without variables.\n",
            );
            return Ok(Outcome::Ok);
        }
        let status = status.map_or_else(|| "in an unknown way".to_owned(), |status| status.to_string());
        Err(CellsError::Died { status, last_words })
    }

    /// Ends the running cell, if there is one, by killing the worker with all that it started.
    /// Returns at once; [`Worker::execute`] then gives [`Outcome::Interrupted`].
    pub fn interrupt(&self) {
        self.control.interrupt();
    }

    /// What could stand at `cursor` (in bytes). Empty unless the worker runs, is idle and answers
    /// within 0.3 s.
    pub async fn complete(&self, code: &str, cursor: usize) -> Completions {
        let Ok(mut session) = self.session.try_lock() else {
            return Completions::default();
        };
        let answer = timeout(COMPLETION_LIMIT, session.complete(code, cursor)).await;
        answer.ok().flatten().unwrap_or_default()
    }

    /// Ends the worker and deletes its folder; a cell that runs is interrupted.
    pub async fn shutdown(&self) {
        self.control.interrupt();
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
    }
}

impl Session {
    async fn complete(&mut self, code: &str, cursor: usize) -> Option<Completions> {
        let process = self.process.as_mut()?;
        // One question at a time, so that slow answers do not pile up before the next cell.
        let mut asked = None;
        loop {
            if self.owed.is_none() {
                self.last_id += 1;
                asked = Some(self.last_id);
                self.owed = asked;
                process.send(&Request::Complete { id: self.last_id, code: code.to_owned(), cursor }).await;
            }
            match process.hear().await.ok()? {
                Heard::Reply(Reply::Completions { id, completions }) => {
                    self.owed = None;
                    if asked == Some(id) {
                        return Some(completions);
                    }
                }
                Heard::Reply(reply) => self.late.push(reply),
                Heard::Progress(_) => {}
                Heard::End => return None,
            }
        }
    }
}

/// Shows a reply; the end of a cell that nobody waited for, or a late completion, is nothing.
fn show(reply: Reply, sink: &dyn Sink) {
    match reply {
        Reply::Stream { name, text, .. } => sink.stream(name, &text),
        Reply::Display { bundle, .. } => sink.display(bundle),
        Reply::Done { .. } | Reply::Completions { .. } => {}
    }
}
