//! What can keep a kernel from starting. Once it serves, trouble with one message or one client is
//! logged and survived.

use std::path::PathBuf;

use crate::connection::Channel;

/// Why a kernel could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JupyterError {
    /// The connection file is not there or may not be read.
    #[error("cannot read the connection file {}: {source}", path.display())]
    ReadConnection {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection file is not what Jupyter writes.
    #[error("the connection file {origin} is not valid: {source}")]
    ParseConnection {
        /// Where the text came from.
        origin: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// The connection file asks for a signature that the kernel does not know.
    #[error("the connection file asks for the signature scheme {0:?}, known is \"hmac-sha256\"")]
    SignatureScheme(String),
    /// A socket could not be bound, most often as its port is taken.
    #[error("cannot bind the {channel} socket to {endpoint}: {source}")]
    Bind {
        /// Which of the five sockets.
        channel: Channel,
        /// Where it was to listen, as a zeromq endpoint.
        endpoint: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave the kernel no thread or no runtime to publish from.
    #[error("cannot start the thread that publishes output: {0}")]
    Thread(std::io::Error),
    /// Not even in memory could a history be made.
    #[error("cannot start the history of cells: {0}")]
    History(rusqlite::Error),
}

impl JupyterError {
    /// What the reader can do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ReadConnection { .. } => {
                "Jupyter writes this file and passes its path; start the kernel through a Jupyter client."
            }
            Self::ParseConnection { .. } => {
                "The file must hold transport, ip, five ports, key and signature_scheme as Jupyter writes them."
            }
            Self::SignatureScheme(_) => "Set Session.signature_scheme to hmac-sha256 in the client.",
            Self::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                "Another process took the port; start the kernel again, Jupyter will choose other ports."
            }
            Self::Bind { .. } => "Check the address in the connection file and that it may be bound.",
            Self::Thread(_) | Self::History(_) => {
                "The machine is out of threads or memory; free some and start again."
            }
        }
    }
}
