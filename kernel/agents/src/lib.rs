//! Coding agents by the Agent Client Protocol, version 1 (<https://agentclientprotocol.com>): Claude Code, Codex,
//! Gemini CLI, opencode, and whatever else speaks it on its standard input and output.
//!
//! ```no_run
//! # async fn example() -> Result<(), agents::AgentError> {
//! use agents::{Known, Session, Spec};
//!
//! let mut spec = Spec::new(Known::Claude.command(), "/tmp/tree".into());
//! spec.writable = std::sync::Arc::new(|path| path == std::path::Path::new("train.py"));
//! let mut session = Session::new(spec);
//! let limit = std::time::Duration::from_secs(600);
//! let turn = session.ask("Lower the rate in train.py.", "Lower it once more.", limit, &|_| ()).await?;
//! println!("{}", turn.text);
//! # Ok(())
//! # }
//! ```
//!
//! The messages are written down here, as lines of JSON: the protocol's own crate had four majors in five months, and
//! passes over lines that cannot be read, so that a turn hangs.
//!
//! What an agent asks leave for is granted by policy ([`Spec::writable`]). That is no wall: an agent that does not ask
//! edits all the same, and who uses its edits looks at what it changed.

mod agent;
mod error;
mod known;
mod policy;
mod session;
mod wire;

pub use agent::{Agent, Turn, Usage};
pub use error::AgentError;
pub use known::Known;
pub use session::Session;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// Whether an agent may edit a file, by its path below the folder in which it works.
pub type Writable = Arc<dyn Fn(&Path) -> bool + Send + Sync>;
/// Gets a line that an agent wrote.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
/// Gets what an agent is doing, as it comes: what follows its name in a sentence.
pub type Step<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// How an agent is started, and what it may do.
#[derive(Clone)]
pub struct Spec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it works.
    pub folder: PathBuf,
    /// Its whole environment: nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Servers of tools that it may use.
    pub servers: Vec<Server>,
    /// What it may edit when it asks.
    pub writable: Writable,
    /// The mode that its session is put in, where it has modes.
    pub mode: Option<String>,
    /// What it takes beyond the protocol, as `_meta` of a new session.
    pub meta: Option<Value>,
    /// What gets its standard error, line by line.
    pub log: Log,
    /// How long it may take to start.
    pub start: Duration,
    /// How long it may take to end a turn that is cancelled.
    pub grace: Duration,
}

impl Spec {
    /// A command in a folder, that may edit nothing and says its errors to nobody.
    pub fn new(command: Vec<String>, folder: PathBuf) -> Self {
        Self {
            command,
            folder,
            environment: BTreeMap::new(),
            servers: Vec::new(),
            writable: Arc::new(|_| false),
            mode: None,
            meta: None,
            log: Arc::new(|_| ()),
            start: Duration::from_mins(1),
            grace: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for Spec {
    /// Without its environment, which may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("command", &self.command)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A server of tools, spoken to by MCP on its standard input and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What its tools are called by.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments: what it has to know stands here, for agents add what they like to its environment.
    pub arguments: Vec<String>,
}
