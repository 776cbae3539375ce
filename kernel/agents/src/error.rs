//! What goes wrong with an agent.

use crate::Turn;

/// An agent that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It could not be started.
    #[error("`{command}` could not be started: {source}")]
    Start {
        /// The command.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended.
    #[error("it ended ({0})")]
    Ended(String),
    /// What it wrote is not the protocol.
    #[error("it wrote what cannot be understood: {0}")]
    Malformed(String),
    /// It refused a request.
    #[error("{method}: {message}")]
    Refused {
        /// The request.
        method: String,
        /// Why.
        message: String,
    },
    /// It speaks another version of the protocol.
    #[error("it speaks version {0} of the protocol, not 1")]
    Version(String),
    /// It did not answer in time.
    #[error("it did not answer `{method}` within {seconds} s")]
    Hung {
        /// The request.
        method: String,
        /// How long it was waited for.
        seconds: u64,
        /// What had come until then; its `stop` is not empty where the agent ended the turn when it was cancelled.
        turn: Box<Turn>,
    },
}
