//! The loop: state machine, journal, proposers, executor, judge.
//!
//! One runner per lab, in a process of its own that outlives every notebook:
//!
//! ```no_run
//! # async fn example(paths: runner::Paths, variables: runner::Variables) -> Result<(), runner::RunnerError> {
//! use runner::{Begin, StartOptions};
//!
//! let options = StartOptions { experiments: Some(8), ..StartOptions::default() };
//! let end = runner::serve(".".as_ref(), paths, Begin::Start(options), variables).await?;
//! println!("{}", end.reason);
//! # Ok(())
//! # }
//! ```
//!
//! and clients that talk to it: [`Client::connect`], [`Client::request`].
//!
//! Data flows one way: program → candidate ([`proposers`]) → run ([`executor`], [`shim`]) → judgement
//! ([`judge`]) → ledger. Every step is an event, on disk before it is acted on ([`journal`]), and the
//! steps that an experiment can take are one function ([`state`]). A runner that was killed at any
//! instant is followed by another that reads the journal and goes on.

pub mod executor;
pub mod fsck;
pub mod gc;
pub mod history;
pub mod journal;
pub mod judge;
pub mod lock;
pub mod memory;
pub mod outlive;
pub mod overrides;
pub mod processes;
pub mod proposers;
pub mod protocol;
pub mod rehearsal;
pub mod reports;
pub mod sandbox;
pub mod shim;
pub mod state;
pub mod status;
pub mod store;

mod blocking;
mod client;
mod engine;
mod environment;
mod error;
mod gpu;
mod host;
mod machine;
mod paths;
mod serve;
mod shell;
mod standing;

pub use client::Client;
pub use engine::{Cause, End};
pub use environment::{Variables, is_secret};
pub use error::RunnerError;
pub use host::{Host, Reporter};
pub use paths::{Paths, disk_usage};
pub use protocol::{Request, Response, StartOptions};
pub use sandbox::Facts;
pub use serve::{Begin, Serve, serve};

/// Exit codes that the command line owes to what a runner says.
pub mod exit {
    /// The loop ended as it was told.
    pub const DONE: u8 = 0;
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The lab or its program is invalid.
    pub const LAB: u8 = 3;
    /// The baseline fails.
    pub const BASELINE: u8 = 4;
    /// Another runner holds the lab.
    pub const HELD: u8 = 5;
    /// It was interrupted.
    pub const INTERRUPTED: u8 = 6;
}
