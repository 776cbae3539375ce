//! Coding agents by the Agent Client Protocol, version 1 (<https://agentclientprotocol.com>): Claude Code, Codex,
//! Gemini CLI, opencode, and whatever else speaks it on its standard input and output.
//!
//! ```no_run
//! # async fn example() -> Result<(), agents::AgentError> {
//! use agents::{Known, Session, Spec};
//!
//! let mut spec = Spec::new(Known::Claude.command(), "/tmp/tree".into());
//! spec.writable.push("train.py".into());
//! let mut session = Session::new(spec);
//! let turn = session.ask("Lower the learning rate.", std::time::Duration::from_secs(600)).await?;
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
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// How an agent is started, and what it may do.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it works.
    pub folder: PathBuf,
    /// Its whole environment: nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Servers of tools that it may use.
    pub servers: Vec<Server>,
    /// What it may edit when it asks: paths below `folder`.
    pub writable: Vec<PathBuf>,
    /// The mode that its session is put in, where it has modes.
    pub mode: Option<String>,
    /// What it takes beyond the protocol, as `_meta` of a new session.
    pub meta: Option<Value>,
    /// The file that gets what it says on standard error.
    pub log: PathBuf,
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
            writable: Vec::new(),
            mode: None,
            meta: None,
            log: PathBuf::from("/dev/null"),
            start: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
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
