//! The Overnight kernel: magics, SQL and shell commands in this process, Rust cells in a child.

mod cell;
mod complete;
mod notebook;
mod rust;
mod shell;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use jupyter::{
    Cell, Completeness, Completion, Failure as CellFailure, Io, KernelInfo, Language, LanguageInfo,
    MimeBundle, Outcome,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::commands;
use crate::failure::{ExitCode, Failure};
use crate::grammar::{Command, LoopCommand, Magic, MagicCommand};
use crate::session::Session;
use crate::sink::Sink;
use cell::Part;
use notebook::Notebook;

/// The state of one kernel: which lab its magics are about, and its Rust cells.
pub(crate) struct Overnight {
    folder: Mutex<PathBuf>,
    rust: rust::Rust,
    interrupted: Notify,
}

impl Overnight {
    /// A kernel whose magics are about the lab that holds `folder`.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Failure> {
        Ok(Self { rust: rust::Rust::new(&folder)?, folder: Mutex::new(folder), interrupted: Notify::new() })
    }

    fn session(&self, json: bool) -> Session {
        Session::new(self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone(), json)
    }

    async fn part(&self, part: Part, io: &Io) -> Result<(), CellFailure> {
        match part {
            Part::Magic(line) => self.magic(&line, io).await.map_err(cell_failure),
            Part::Body { line, body } => self.body(&line, body, io).await.map_err(cell_failure),
            Part::Shell(command) => shell::run("sh", &command, &self.here(), io).await.map_err(cell_failure),
            Part::Help(name) => {
                let text = complete::help(&name).ok_or_else(|| {
                    CellFailure::new(
                        "UsageError",
                        &format!("there is no magic `{name}`; `%lsmagic` lists them"),
                    )
                })?;
                io.stdout(&text);
                Ok(())
            }
            Part::Rust(code) => self.rust.execute(&code, io).await,
        }
    }

    /// Takes an interrupt that nothing has waited for.
    async fn was_interrupted(&self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.interrupted.notified()).await.is_ok()
    }

    fn here(&self) -> PathBuf {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn body(&self, line: &str, body: String, io: &Io) -> Result<(), Failure> {
        let mut words = split(line)?;
        match words.first().map(String::as_str) {
            Some("bash") => shell::run("bash", &body, &self.here(), io).await,
            Some("sh") => shell::run("sh", &body, &self.here(), io).await,
            Some("sql") => {
                if !body.trim().is_empty() && !words.iter().any(|word| word == "--help" || word == "-h") {
                    words.push(body);
                }
                self.words(&words, io).await
            }
            Some(name) => Err(Failure::new(format!("there is no cell magic `%%{name}`"))
                .hint("there are %%sql, %%bash and %%sh")
                .code(ExitCode::Usage)),
            None => Err(Failure::new("`%%` needs a name").hint("such as %%sql").code(ExitCode::Usage)),
        }
    }

    async fn magic(&self, line: &str, io: &Io) -> Result<(), Failure> {
        self.words(&split(line)?, io).await
    }

    async fn words(&self, words: &[String], io: &Io) -> Result<(), Failure> {
        let magic = match Magic::try_parse_from(words) {
            Ok(magic) => magic,
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                io.stdout(&error.to_string());
                return Ok(());
            }
            Err(error) => return Err(usage(&error)),
        };
        let session = self.session(magic.json);
        let sink = Notebook::new(io.clone(), magic.json);
        match magic.command {
            MagicCommand::Lsmagic => {
                sink.show(view::plain(&complete::list()));
                Ok(())
            }
            MagicCommand::Lab { path } => self.lab(path, &sink),
            // It goes on updating its output when the cell is long done.
            MagicCommand::Shared(Command::Loop(LoopCommand::Watch)) => {
                let first = commands::loops::glance(&session).await?;
                sink.update("live", first);
                tokio::spawn(async move {
                    if let Err(failure) = commands::loops::watch(&session, &sink).await {
                        sink.line(&failure.to_string());
                    }
                });
                Ok(())
            }
            MagicCommand::Shared(command) => commands::run(command, &session, &sink).await,
        }
    }

    fn lab(&self, path: Option<PathBuf>, sink: &Notebook) -> Result<(), Failure> {
        if let Some(path) = path {
            let path = self.here().join(path);
            let root = Session::new(path, false).ledger()?.root().to_owned();
            *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = root;
        }
        let session = self.session(false);
        let ledger = session.ledger()?;
        session.lab(&ledger)?;
        sink.show(view::plain(&ledger.root().display().to_string()));
        Ok(())
    }
}

#[async_trait]
impl Language for Overnight {
    fn info(&self) -> KernelInfo {
        KernelInfo {
            implementation: "overnight".to_owned(),
            implementation_version: env!("CARGO_PKG_VERSION").to_owned(),
            banner: format!(
                "Overnight {}: the Karpathy loop in a notebook. %lsmagic lists what it can do; other cells are Rust.",
                env!("CARGO_PKG_VERSION")
            ),
            language: LanguageInfo {
                name: "rust".to_owned(),
                version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
                mimetype: "text/rust".to_owned(),
                file_extension: ".rs".to_owned(),
                pygments_lexer: "rust".to_owned(),
                codemirror_mode: "rust".to_owned(),
                nbconvert_exporter: "script".to_owned(),
            },
            help_links: Vec::new(),
        }
    }

    async fn execute(&self, cell: Cell, io: Io) -> Outcome {
        let mut outcome = Outcome::ok();
        for part in cell::parse(&cell.code) {
            let done = if let Part::Rust(code) = part {
                // It ends itself, as it has a child to end first.
                if self.was_interrupted().await {
                    Err(cell_failure(Failure::interrupted()))
                } else {
                    self.rust.execute(&code, &io).await
                }
            } else {
                tokio::select! {
                    done = self.part(part, &io) => done,
                    () = self.interrupted.notified() => Err(cell_failure(Failure::interrupted())),
                }
            };
            if let Err(failure) = done {
                outcome = Outcome::Error(failure);
                break;
            }
        }
        // An interrupt that came as the cell ended is not for the next one.
        self.was_interrupted().await;
        outcome
    }

    async fn complete(&self, code: &str, cursor_chars: usize) -> Completion {
        match complete::magic(code, cursor_chars) {
            Some(completion) => completion,
            None => self.rust.complete(code, cursor_chars).await,
        }
    }

    async fn inspect(&self, code: &str, cursor_chars: usize, _detail: u8) -> Option<MimeBundle> {
        let text = complete::inspect(code, cursor_chars)?;
        Some(MimeBundle::from_iter([("text/plain".to_owned(), json!(text))]))
    }

    async fn is_complete(&self, code: &str) -> Completeness {
        complete::completeness(code)
    }

    async fn interrupt(&self) {
        self.interrupted.notify_one();
        self.rust.interrupt();
    }

    async fn shutdown(&self, _restart: bool) {
        self.rust.shutdown().await;
    }
}

/// Runs the kernel until the client shuts it down.
pub(crate) async fn serve(
    connection: jupyter::Connection,
    options: jupyter::Options,
    folder: PathBuf,
) -> Result<(), Failure> {
    let language = Arc::new(Overnight::new(folder)?);
    jupyter::serve(connection, language, options).await?;
    Ok(())
}

/// The words of a magic, as a shell splits them.
fn split(line: &str) -> Result<Vec<String>, Failure> {
    shell_words::split(line)
        .map_err(|_| Failure::new(format!("a quote is not closed in: {line}")).code(ExitCode::Usage))
}

/// A magic that does not exist or was given what it does not take.
fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
    Failure::new(text)
        .hint("%lsmagic lists the magics; `%name --help` tells what one takes")
        .code(ExitCode::Usage)
}

/// A failure as a cell shows it.
fn cell_failure(failure: Failure) -> CellFailure {
    let name = match failure.code {
        ExitCode::Usage => "UsageError",
        ExitCode::Lab => "LabError",
        ExitCode::Interrupted => "Interrupted",
        _ => "Error",
    };
    let mut traceback = vec![format!("\x1b[31m{name}\x1b[0m: {}", failure.message)];
    traceback.extend(failure.hint.iter().map(|hint| format!("\x1b[36mhint\x1b[0m: {hint}")));
    CellFailure { ename: name.to_owned(), evalue: failure.message, traceback }
}

/// The grammar of magics, for completion and help.
fn grammar() -> clap::Command {
    let mut command = Magic::command();
    command.build();
    command
}
