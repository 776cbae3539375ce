//! Rust cells, between Jupyter and the worker that compiles them.

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use cells::{Bundle, Config, StreamName, Worker};
use jupyter::{Completion, Failure as CellFailure, Io};
use tokio::sync::Mutex;

use super::rich;
use crate::failure::Failure;
use crate::{env, session};

/// The worker of one kernel; its process starts with the first Rust cell, or before it is needed.
pub(super) struct Rust {
    worker: Arc<Worker>,
    /// Cells of other subshells wait for it, and can be interrupted while they do.
    turn: Mutex<()>,
}

impl Rust {
    /// A worker whose cells run in `folder`; the frames that they share with SQL are in `frames`.
    pub(super) fn new(folder: &Path, frames: &Path) -> Result<Self, Failure> {
        let program = session::program()?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let worker = Worker::new(Config {
            args: vec!["cells-worker".into()],
            build: Some(vec!["prelude".into()]),
            directory: folder.to_owned(),
            cache: session::cache_home()?,
            env: vec![(env::PROGRAM.to_owned(), text(&program)), (env::FRAMES.to_owned(), text(frames))],
            program,
        });
        Ok(Self { worker: Arc::new(worker), turn: Mutex::default() })
    }

    /// Begins to make ready what the next cell needs; returns at once.
    pub(super) fn prepare(&self, soon: bool) {
        let worker = Arc::clone(&self.worker);
        tokio::spawn(async move { worker.prepare(soon).await });
    }

    /// Runs a cell. One that looks like Python is told so.
    pub(super) async fn execute(&self, code: &str, io: &Io) -> Result<(), CellFailure> {
        let _turn = tokio::select! {
            turn = self.turn.lock() => turn,
            () = io.interrupted() => return Err(CellFailure::new("Interrupted", "interrupted before it ran")),
        };
        let output = Output(io);
        let mut run = pin!(self.worker.execute(code, &output));
        let outcome = tokio::select! {
            biased;
            outcome = &mut run => outcome,
            () = io.interrupted() => {
                self.worker.interrupt();
                let outcome = run.await;
                // Where the worker had to go, the next cell shall not wait for another.
                self.prepare(true);
                outcome
            }
        };
        let Some(error) = outcome.error() else { return Ok(()) };
        let mut traceback = error.traceback.clone();
        if error.ename != "Interrupted"
            && let Some(hint) = cells::looks_like_python(code)
        {
            traceback.push(format!("\x1b[36mhint\x1b[0m: {}", hint.text));
        }
        Err(CellFailure { ename: error.ename.clone(), evalue: error.evalue.clone(), traceback })
    }

    /// The value of an expression.
    pub(super) async fn evaluate(&self, expression: &str) -> Result<Bundle, CellFailure> {
        let _turn = self.turn.lock().await;
        let shown = Collected::default();
        match self.worker.execute(expression, &shown).await.error() {
            None => Ok(shown.0.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Some(error) => Err(CellFailure::new(&error.ename, &error.evalue)),
        }
    }

    /// Shows the variables of the cells so far.
    pub(super) async fn variables(&self, io: &Io) -> Result<(), CellFailure> {
        if self.worker.is_running().await {
            return self.execute(":vars", io).await;
        }
        io.stdout("no Rust cell has been run yet\n");
        Ok(())
    }

    /// Sets an environment variable for all cells from now on.
    pub(super) async fn set_env(&self, name: &str, value: &str) -> Result<(), CellFailure> {
        let _turn = self.turn.lock().await;
        match self.worker.set_env(name, value).await.error() {
            None => Ok(()),
            Some(error) => Err(CellFailure::new(&error.ename, &error.evalue)),
        }
    }

    /// What could stand at the cursor; nothing while a cell runs or before the first one.
    pub(super) async fn complete(&self, code: &str, cursor_chars: usize) -> Completion {
        let found = self.worker.complete(code, in_bytes(code, cursor_chars)).await;
        if found.matches.is_empty() {
            return Completion::none(cursor_chars);
        }
        let chars = |bytes: usize| code.get(..bytes).map_or(cursor_chars, |text| text.chars().count());
        let matches = found.matches.into_iter().map(|found| (found.text, found.kind)).collect();
        Completion::typed(matches, chars(found.start), chars(found.end))
    }

    /// What is known of what stands at the cursor, as Markdown; nothing while a cell runs or before the first one.
    pub(super) async fn inspect(&self, code: &str, cursor_chars: usize) -> Option<String> {
        self.worker.inspect(code, in_bytes(code, cursor_chars)).await
    }

    /// Ends the worker.
    pub(super) async fn shutdown(&self) {
        self.worker.shutdown().await;
    }
}

/// Where the cursor is, in bytes; the end of the code where it lies beyond.
fn in_bytes(code: &str, cursor_chars: usize) -> usize {
    code.char_indices().nth(cursor_chars).map_or(code.len(), |(index, _)| index)
}

/// A cell's output as the worker sees it.
struct Output<'a>(&'a Io);

#[async_trait]
impl cells::Sink for Output<'_> {
    fn stream(&self, name: StreamName, text: &str) {
        match name {
            StreamName::Stdout => self.0.stdout(text),
            StreamName::Stderr => self.0.stderr(text),
        }
    }

    fn display(&self, bundle: Bundle) {
        self.0.result(rich::drawn(bundle));
    }

    fn clear(&self) {
        self.0.clear_output(false);
    }

    async fn ask(&self, prompt: &str, password: bool) -> Option<String> {
        self.0.input(prompt, password).await.ok()
    }
}

/// What a cell shows last; what it prints is not asked for.
#[derive(Default)]
struct Collected(std::sync::Mutex<Bundle>);

#[async_trait]
impl cells::Sink for Collected {
    fn stream(&self, _: StreamName, _: &str) {}

    fn display(&self, bundle: Bundle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rich::drawn(bundle);
    }

    async fn ask(&self, _: &str, _: bool) -> Option<String> {
        None
    }
}
