//! The Overnight kernel: magics, SQL and shell commands in this process, Rust cells in a child.

mod cell;
mod complete;
mod notebook;
mod rich;
mod rust;
mod shelf;
mod shell;
mod surroundings;
mod watching;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use jupyter::{
    Cell, Completeness, Completion, Failure as CellFailure, InputError, Io, KernelInfo, Language,
    LanguageInfo, MimeBundle, Outcome, Payload,
};
use serde_json::json;

use crate::commands::{self, ask::Memory};
use crate::env;
use crate::failure::{ExitCode, Failure};
use crate::grammar::{Command, LoopCommand, Magic, MagicCommand, StartArgs};
use crate::session::{Session, Shared};
use crate::sink::Sink;
use cell::Part;
use notebook::Notebook;
use shelf::Shelf;
use surroundings::Surroundings;
use watching::Watching;

/// The state of one kernel: what surrounds its cells, and the worker of its Rust cells.
pub(crate) struct Overnight {
    here: Mutex<Surroundings>,
    rust: rust::Rust,
    shelf: Shelf,
    tables: Shared,
    /// What was asked before.
    memory: Memory,
    /// The live views.
    watching: Watching,
}

/// How a part of a cell ended: what the client is asked to do, most often nothing.
type Done<E> = Result<Vec<Payload>, E>;

impl Overnight {
    /// A kernel whose magics are about the lab that holds `folder`.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Failure> {
        let shelf = Shelf::new(&folder)?;
        let rust = rust::Rust::new(&folder, shelf.folder())?;
        Ok(Self {
            here: Mutex::new(Surroundings { folder, set: BTreeMap::new() }),
            rust,
            shelf,
            tables: Shared::default(),
            memory: Memory::default(),
            watching: Watching::default(),
        })
    }

    fn surroundings(&self) -> MutexGuard<'_, Surroundings> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of them, for what takes its time.
    fn here(&self) -> Surroundings {
        self.surroundings().clone()
    }

    fn session(&self, json: bool) -> Session {
        let here = self.here();
        let frames = Some(self.shelf.folder().to_owned());
        let tables = Arc::clone(&self.tables);
        let memory = self.memory.clone();
        Session { env: here.set, frames, tables, memory, ..Session::new(here.folder, json) }
    }

    /// Runs the parts of a cell in order, until one fails or the client interrupts.
    async fn parts(&self, parts: Vec<Part>, io: &Io) -> Done<CellFailure> {
        let mut payloads = Vec::new();
        for part in parts {
            if io.is_interrupted() {
                return Err(interrupted());
            }
            payloads.extend(match part {
                // It ends itself, as it has a child to end first.
                Part::Rust(code) => self.rust.execute(&code, io).await.map(|()| Vec::new())?,
                Part::Timed(parts) => self.timed(parts, io).await?,
                part => tokio::select! {
                    done = self.part(part, io) => done.map_err(cell_failure)?,
                    () = io.interrupted() => return Err(interrupted()),
                },
            });
        }
        Ok(payloads)
    }

    /// Says how long the parts took, also where they failed.
    async fn timed(&self, parts: Vec<Part>, io: &Io) -> Done<CellFailure> {
        let began = Instant::now();
        let done = Box::pin(self.parts(parts, io)).await;
        io.stdout(&format!("Wall time: {:.3} s\n", began.elapsed().as_secs_f64()));
        done
    }

    async fn part(&self, part: Part, io: &Io) -> Done<Failure> {
        let nothing = |()| Vec::new();
        match part {
            Part::Magic(line) => self.words(&split(&self.here().expand(&line))?, io).await,
            Part::Body { line, body } => self.body(&line, body, io).await,
            Part::Shell(command) => shell::run("sh", &command, &self.here(), io).await.map(nothing),
            Part::Help(name) => {
                let text = complete::help(&name).ok_or_else(|| {
                    Failure::new(format!("there is no magic `{name}`"))
                        .hint("%lsmagic lists them")
                        .code(ExitCode::Usage)
                })?;
                let data = MimeBundle::from_iter([("text/plain".to_owned(), json!(text))]);
                Ok(vec![Payload::Page { data, start: 0 }])
            }
            Part::Rust(_) | Part::Timed(_) => Ok(Vec::new()),
        }
    }

    async fn body(&self, line: &str, body: String, io: &Io) -> Done<Failure> {
        let mut words = split(line)?;
        let asks_for_help = words.iter().any(|word| word == "--help" || word == "-h");
        let nothing = |()| Vec::new();
        match words.first().map(String::as_str) {
            Some(shell @ ("bash" | "sh")) => shell::run(shell, &body, &self.here(), io).await.map(nothing),
            Some("sql" | "ask") => {
                if !body.trim().is_empty() && !asks_for_help {
                    // What follows is the query or the question, also where an option would take one more word.
                    words.extend(["--".to_owned(), body]);
                }
                self.words(&words, io).await
            }
            Some("writefile") if !asks_for_help => {
                if let Asked::Magic(Magic { command: MagicCommand::Writefile(args), .. }) = parse(&words)? {
                    io.stdout(&format!("{}\n", self.here().write(&args, &body)?));
                }
                Ok(Vec::new())
            }
            Some("time" | "writefile") => self.words(&words, io).await,
            Some(name) => Err(Failure::new(format!("there is no cell magic `%%{name}`"))
                .hint(complete::nearest_cell_magic(name))
                .code(ExitCode::Usage)),
            None => Err(Failure::new("`%%` needs a name").hint("such as %%sql").code(ExitCode::Usage)),
        }
    }

    async fn words(&self, words: &[String], io: &Io) -> Done<Failure> {
        let magic = match parse(words)? {
            Asked::Magic(magic) => magic,
            Asked::Help(text) => {
                io.stdout(&text);
                return Ok(Vec::new());
            }
        };
        let session = Session { cell: Some(io.execution_count()), ..self.session(magic.json) };
        let sink = Notebook::new(io.clone(), magic.json);
        match magic.command {
            MagicCommand::Lsmagic => sink.show(view::plain(&complete::list())),
            MagicCommand::Lab { path } => self.lab(path, &sink)?,
            MagicCommand::Cd { path } => {
                let folder = match path {
                    Some(path) => self.surroundings().change(&path)?,
                    None => self.here().folder,
                };
                self.shelf.is_about(&folder)?;
                sink.show(view::plain(&folder.display().to_string()));
            }
            MagicCommand::Clear { wait } => io.clear_output(wait),
            MagicCommand::Env { ask: Some(name), .. } => {
                let value = io.input(&format!("{name}: "), true).await;
                let value = value.map_err(|error| match error {
                    InputError::Interrupted => Failure::interrupted(),
                    error => Failure::new(error.to_string()),
                })?;
                self.surroundings().env(&[name.clone(), value.clone()])?;
                self.rust.set_env(&name, &value).await.map_err(|e| Failure::new(e.evalue))?;
                sink.show(view::plain(&format!("{name} is set")));
            }
            MagicCommand::Env { assignment, ask: None } => {
                let (text, set) = self.surroundings().env(&assignment)?;
                if let Some((name, value)) = set {
                    self.rust.set_env(&name, &value).await.map_err(|e| Failure::new(e.evalue))?;
                }
                sink.show(view::plain(&text));
            }
            MagicCommand::Who => match self.rust.variables(io).await {
                Ok(()) => {}
                Err(error) => return Err(Failure::new(error.evalue)),
            },
            MagicCommand::History { n } => {
                let cells = io.history();
                let from = n.map_or(0, |n| cells.len().saturating_sub(n));
                let cells = cells[from..].iter().map(|(number, code)| format!("In [{number}]: {code}"));
                sink.show(view::plain(&cells.collect::<Vec<_>>().join("\n\n")));
            }
            MagicCommand::Load { file } => {
                let text = format!("// %load {}\n{}", file.display(), self.here().load(&file)?);
                return Ok(vec![Payload::SetNextInput { text, replace: true }]);
            }
            MagicCommand::Time { .. } => return Err(needs_cell("time")),
            MagicCommand::Writefile(_) => return Err(needs_cell("writefile")),
            // It goes on updating its output when the cell is long done.
            MagicCommand::Shared(Command::Loop(LoopCommand::Watch)) => self.watch(session, sink).await?,
            MagicCommand::Shared(Command::Loop(LoopCommand::Start(args))) if !args.wait && !magic.json => {
                let args = StartArgs { watch: false, ..args };
                commands::loops::start(&args, &session, &sink).await?;
                self.watch(session, sink).await?;
            }
            MagicCommand::Shared(Command::Loop(LoopCommand::Wait)) if !magic.json => {
                self.wait(session, sink).await?;
            }
            MagicCommand::Shared(command) => {
                commands::run(command, &session, &sink).await?;
                return Ok(sink.payloads());
            }
        }
        Ok(Vec::new())
    }

    /// Shows the live view, and keeps it up to date after the cell.
    async fn watch(&self, session: Session, sink: Notebook) -> Result<(), Failure> {
        let state = session.ledger()?.state_dir().to_owned();
        sink.update("live", commands::loops::glance(&session).await?);
        self.watching.join(state, session, Arc::new(sink));
        Ok(())
    }

    /// Holds the cell until the loop has ended. One view of it is enough: this cell's, which goes on where the cell is
    /// interrupted.
    async fn wait(&self, session: Session, sink: Notebook) -> Result<(), Failure> {
        let state = session.ledger()?.state_dir().to_owned();
        let sink = Arc::new(sink);
        let held = self.watching.hold(state, session.clone(), Arc::clone(&sink));
        let done = commands::run(Command::Loop(LoopCommand::Wait), &session, &*sink).await;
        held.finish();
        done
    }

    fn lab(&self, path: Option<PathBuf>, sink: &Notebook) -> Result<(), Failure> {
        if let Some(path) = path {
            let path = self.here().path(&path);
            let root = Session::new(path, false).ledger()?.root().to_owned();
            self.shelf.is_about(&root)?;
            self.surroundings().folder = root;
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
        match self.parts(cell::parse(&cell.code), &io).await {
            Ok(payload) => Outcome::Ok { payload },
            Err(failure) => Outcome::Error(failure),
        }
    }

    async fn complete(&self, code: &str, cursor_chars: usize) -> Completion {
        match complete::magic(code, cursor_chars, &self.session(false)) {
            Some(completion) => completion,
            None => self.rust.complete(code, cursor_chars).await,
        }
    }

    async fn inspect(&self, code: &str, cursor_chars: usize, _detail: u8) -> Option<MimeBundle> {
        if let Some(text) = complete::inspect(code, cursor_chars) {
            return Some(MimeBundle::from_iter([("text/plain".to_owned(), json!(text))]));
        }
        let text = self.rust.inspect(code, cursor_chars).await?;
        let forms = ["text/plain", "text/markdown"].map(|mime| (mime.to_owned(), json!(text)));
        Some(MimeBundle::from_iter(forms))
    }

    async fn is_complete(&self, code: &str) -> Completeness {
        complete::completeness(code)
    }

    async fn evaluate(&self, expression: &str) -> Result<MimeBundle, CellFailure> {
        self.rust.evaluate(expression).await
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
    language.rust.prepare(has_rust_cells());
    jupyter::serve(connection, language, options).await?;
    Ok(())
}

/// Whether the notebook that this kernel is for holds Rust; a notebook of magics alone needs no compiler.
fn has_rust_cells() -> bool {
    let cells = || -> Option<bool> {
        let file = std::fs::read(env::path(env::JPY_SESSION_NAME)?).ok()?;
        let notebook: serde_json::Value = serde_json::from_slice(&file).ok()?;
        let source = |cell: &serde_json::Value| match &cell["source"] {
            serde_json::Value::Array(lines) => lines.iter().filter_map(|line| line.as_str()).collect(),
            text => text.as_str().unwrap_or_default().to_owned(),
        };
        let code = notebook["cells"].as_array()?.iter().filter(|cell| cell["cell_type"] == "code");
        Some(code.map(source).any(|code: String| cell::holds_rust(&code)))
    };
    cells().unwrap_or(false)
}

/// The words of a magic, as a shell splits them. A question is prose, which has apostrophes.
fn split(line: &str) -> Result<Vec<String>, Failure> {
    shell_words::split(line)
        .or_else(|error| match line.split_whitespace().next() {
            Some("ask") => Ok(line.split_whitespace().map(str::to_owned).collect()),
            _ => Err(error),
        })
        .map_err(|_| Failure::new(format!("a quote is not closed in: {line}")).code(ExitCode::Usage))
}

/// What the words of a magic ask for.
enum Asked {
    Magic(Magic),
    Help(String),
}

fn parse(words: &[String]) -> Result<Asked, Failure> {
    match Magic::try_parse_from(words) {
        Ok(magic) => Ok(Asked::Magic(magic)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Asked::Help(complete::as_typed(&error.to_string())))
        }
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {
            let name = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string).unwrap_or_default();
            // `%loop strt`: what is wrong comes after the names that are right.
            let right = words.iter().take_while(|word| **word != name).map(|word| format!("{word} "));
            let magic = format!("%{}", right.collect::<String>());
            let hint = match error.get(ContextKind::SuggestedSubcommand) {
                Some(ContextValue::Strings(alike)) if !alike.is_empty() => {
                    let alike: Vec<String> =
                        alike.iter().rev().map(|name| format!("{magic}{name}")).collect();
                    format!("did you mean {}?", alike.join(" or "))
                }
                _ => "%lsmagic lists the magics".to_owned(),
            };
            Err(Failure::new(format!("there is no magic {magic}{name}")).hint(hint).code(ExitCode::Usage))
        }
        Err(error) => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            let text = text.trim_end_matches("For more information, try '--help'.").trim_end();
            Err(Failure::new(complete::as_typed(text))
                .hint("`%name --help` tells what a magic takes, and %lsmagic which there are")
                .code(ExitCode::Usage))
        }
    }
}

fn needs_cell(name: &str) -> Failure {
    Failure::new(format!("`%{name}` is given what it is about by the cell"))
        .hint(format!("`%{name} --help` tells how"))
        .code(ExitCode::Usage)
}

/// What a cell says that an interrupt has ended.
fn interrupted() -> CellFailure {
    cell_failure(Failure { message: "the cell was interrupted".to_owned(), ..Failure::interrupted() })
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
