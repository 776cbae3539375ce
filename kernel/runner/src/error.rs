//! What can go wrong around a loop, told so that a person can mend it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// What went wrong in the runner.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The disk has less room than is left to others.
    #[error("{0}")]
    Cramped(String),
    /// Another runner holds the lab.
    #[error("another runner (process {pid}) has held this lab since {since}")]
    Held {
        /// The other runner's process.
        pid: u32,
        /// When it took the lab.
        since: Timestamp,
    },
    /// A runner on another machine holds the lab.
    #[error("a runner on `{host}` (process {pid} there) has held this lab since {since}", host = holder.host, pid = holder.pid, since = holder.since)]
    Elsewhere {
        /// Who.
        holder: Box<crate::lock::Holder>,
        /// The file that says so.
        path: PathBuf,
    },
    /// This runner's lock is gone.
    #[error("this runner no longer holds the lab: {path}: {reason}")]
    Lost {
        /// The lock's file.
        path: PathBuf,
        /// What became of it.
        reason: String,
    },
    /// A file that a newer version wrote.
    #[error("{path} has schema {found}; this version reads up to {known}", known = lab::SCHEMA)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried: `read`, `write`, `create` …
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lab's program is wrong.
    #[error("program.md: {0}")]
    Lab(#[from] lab::LabError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// An input of the lab is not there.
    #[error("the input `{input}` is missing in {root}")]
    MissingInput {
        /// The path as the lab names it.
        input: String,
        /// The researcher's checkout.
        root: PathBuf,
        /// Whether the lab has a `setup` that could make it.
        setup: bool,
    },
    /// A command of the lab begins with a program that is not there.
    #[error("`{field}` starts with `{program}`, which is not on PATH")]
    NoProgram {
        /// The setting: `run`, `build` or `setup`.
        field: &'static str,
        /// The program.
        program: String,
    },
    /// A run could write what it is judged by.
    #[error("`writes` has `{path}`, which holds the repository's history, or what Overnight keeps of it")]
    Writes {
        /// The path as the lab names it.
        path: String,
    },
    /// The lab's `setup` failed.
    #[error("`setup` ended with {exit}: {command}\n{tail}")]
    Setup {
        /// The command.
        command: String,
        /// How it ended.
        exit: String,
        /// The last lines that it printed.
        tail: String,
    },
    /// The proposer cannot work on this lab.
    #[error("the proposer `{name}` cannot work here: {reason}")]
    Proposer {
        /// Its name, as it was given.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A loop is on already, or none is.
    #[error("{0}")]
    Refused(String),
    /// A process could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runner answered something that this client does not know.
    #[error("the runner's answer could not be understood: {0}")]
    Protocol(String),
    /// It had nothing more to do, and has ended while it was asked.
    #[error("the runner has just ended")]
    Ending,
    /// What the runner told its client, in its own words.
    #[error("{message}")]
    Told {
        /// The error's text.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The exit code that the command line owes to it.
        code: u8,
    },
}

impl RunnerError {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cramped(_) => Some(MAKE_ROOM.to_owned()),
            Self::Held { .. } => {
                Some("`loop status` shows what it does; `loop stop` ends it after the current run".to_owned())
            }
            Self::Elsewhere { holder, path } => Some(format!(
                "stop it there; where `{}` is gone for good, wait some minutes or remove {}",
                holder.host,
                path.display()
            )),
            Self::Lost { .. } => Some(
                "it has stopped so that no two runners write to one lab; what runs goes on, and `loop resume` takes it over"
                    .to_owned(),
            ),
            Self::Newer { .. } => {
                Some("update Overnight, or go on with the version that wrote it".to_owned())
            }
            Self::MissingInput { input, setup: true, .. } => Some(format!(
                "`setup` ran, but did not make it; run it by hand and see why, or take `{input}` out of `inputs`"
            )),
            Self::MissingInput { input, setup: false, .. } => Some(format!(
                "make it, or name the command that makes it as `setup:` in program.md, or take `{input}` out of `inputs`"
            )),
            Self::NoProgram { program, .. } if program == "uv" => Some(
                "install uv by `curl -LsSf https://astral.sh/uv/install.sh | sh` or `pip install uv`, \
                 or set `run:` in program.md to a command that works without it"
                    .to_owned(),
            ),
            Self::NoProgram { program, field } => {
                Some(format!("install `{program}`, or change `{field}:` in program.md"))
            }
            Self::Writes { .. } => {
                Some("name a folder beside it: a run could change its own record otherwise".to_owned())
            }
            Self::Setup { .. } => {
                Some("run the command by hand in the lab's folder and see what it needs".to_owned())
            }
            Self::Lab(_) => {
                Some("`overnight program` shows the program with the error in its place".to_owned())
            }
            Self::Spawn { .. } => {
                Some("is the program still where it was when the runner started?".to_owned())
            }
            Self::Told { hint, .. } => hint.clone(),
            Self::Io { source, what: "lock", .. } if source.raw_os_error() == Some(37) => Some(
                "the file system gives no locks: on NFS see that the server's lock service (`rpc.statd`, `lockd`) \
                 runs, or keep the repository on a local disk"
                    .to_owned(),
            ),
            Self::Io { source, .. } => trouble(source).map(|_| MAKE_ROOM.to_owned()),
            Self::Ledger(error) => Some(error.hint()),
            Self::Proposer { .. }
            | Self::Refused(_)
            | Self::Ending
            | Self::Protocol(_) => None,
        }
    }

    /// The exit code that the command line owes to this error (see [`exit`](crate::exit)).
    pub fn code(&self) -> u8 {
        match self {
            Self::Held { .. } | Self::Elsewhere { .. } => crate::exit::HELD,
            Self::Lab(_)
            | Self::Writes { .. }
            | Self::NoProgram { .. }
            | Self::MissingInput { .. }
            | Self::Proposer { .. } => crate::exit::LAB,
            Self::Told { code, .. } => *code,
            _ => crate::exit::FAILED,
        }
    }

    /// What is wrong with the machine, in some words, where the same may work once that is mended: a full disk, one
    /// that may not be written, a file server that is away, too many processes.
    pub fn trouble(&self) -> Option<&'static str> {
        use ledger::LedgerError::{Busy, Command, File, Full, Git, ReadOnly};
        match self {
            Self::Io { source, .. } | Self::Spawn { source, .. } => trouble(source),
            Self::Cramped(_) => Some("the disk is nearly full"),
            Self::Ledger(Full { .. }) => Some("the disk is full"),
            Self::Ledger(ReadOnly { reason, .. }) => said(reason).or(Some("the disk cannot be written")),
            Self::Ledger(Busy { .. }) => Some("git is busy"),
            Self::Ledger(File { source, .. }) => trouble(source),
            Self::Ledger(Command { output, .. }) => said(output),
            Self::Ledger(Git(error)) => said(error.message()),
            _ => None,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// What a person is to do about a disk.
const MAKE_ROOM: &str = "mend that, free some disk space where it is full, and `loop resume`: nothing that was \
                         finished is lost";

/// What a system's error says of the machine, if it does.
fn trouble(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull => Some("the disk is full"),
        Kind::QuotaExceeded => Some("the disk quota is used up"),
        Kind::ReadOnlyFilesystem => Some("the disk is read-only"),
        Kind::StaleNetworkFileHandle | Kind::TimedOut => Some("the file server is away"),
        Kind::OutOfMemory | Kind::WouldBlock => Some("the machine has no room for another process"),
        Kind::ExecutableFileBusy => Some("a program is being replaced"),
        _ => match error.raw_os_error() {
            // EIO, ENFILE, EMFILE, ENOLCK.
            Some(5) => Some("the disk cannot be read or written"),
            Some(23 | 24) => Some("too many files are open"),
            Some(37) => Some("the file system gives no locks"),
            _ => None,
        },
    }
}

/// The same for what git said.
fn said(text: &str) -> Option<&'static str> {
    [
        ("No space left on device", "the disk is full"),
        ("quota exceeded", "the disk quota is used up"),
        ("Read-only file system", "the disk is read-only"),
        ("Stale file handle", "the file server is away"),
        ("Input/output error", "the disk cannot be read or written"),
        ("Too many open files", "too many files are open"),
        ("Resource temporarily unavailable", "the machine has no room for another process"),
        ("Cannot allocate memory", "the machine has no room for another process"),
        ("No locks available", "the file system gives no locks"),
    ]
    .iter()
    .find_map(|(words, what)| text.contains(words).then_some(*what))
}
