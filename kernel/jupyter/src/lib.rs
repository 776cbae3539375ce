//! The kernel side of Jupyter messaging 5.5 on zeromq. Knows no lab and no language.
//!
//! Implement [`Language`], read the connection file that the client wrote, and serve:
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//! use jupyter::{Connection, JupyterError, Language, Options, serve};
//!
//! async fn run(language: Arc<dyn Language>, file: &Path) -> Result<(), JupyterError> {
//!     let connection = Connection::read(file)?;
//!     serve(connection, language, Options::default()).await
//! }
//! ```
//!
//! `examples/echo.rs` is a whole kernel in one page.
//!
//! What the crate takes care of, so that a language need not:
//!
//! - `busy` and `idle` around every request, on shell and on control;
//! - order: whatever a cell wrote reaches the client before that cell's `idle`;
//! - floods: writers wait when the client cannot keep up, nothing is dropped, memory stays bounded; a
//!   client that has stopped reading does not hold up the others;
//! - a panic in the language becomes an error reply, and the kernel lives on;
//! - a message that is malformed or wrongly signed is dropped with a warning in the log.
//!
//! A cell runs on a thread of its own, so it may block. Control answers meanwhile, and so do subshells.

mod bind;
mod comm;
mod connection;
mod control;
mod error;
mod execute;
mod heartbeat;
mod history;
mod io;
mod iopub;
mod isolate;
mod kernel;
mod language;
mod life;
mod requests;
mod router;
mod serve;
mod session;
mod shell;
mod stdin;
mod usage;
pub mod wire;

pub use comm::{Comm, CommMessage};
pub use connection::{Channel, Connection};
pub use error::JupyterError;
pub use io::{DisplayId, Io, Recording};
pub use jupyter_protocol::{ConnectionInfo, HelpLink, connection_info::Transport};
pub use language::{
    Cell, Completeness, Completion, Failure, KernelInfo, Language, LanguageInfo, MimeBundle, Outcome, Payload,
};
pub use serve::{Options, serve};
pub use stdin::InputError;
