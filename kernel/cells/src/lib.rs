//! Rust cells: evcxr in a child process, and the client that drives it.
//!
//! ```no_run
//! # async fn example(sink: &dyn cells::Sink) {
//! let worker = cells::Worker::new(cells::Config {
//!     program: "/usr/bin/overnight".into(),
//!     args: vec!["cells-worker".into()],
//!     directory: "/home/ada/lab".into(),
//!     build: Some(vec!["prelude".into()]),
//!     cache: "/home/ada/.cache/overnight".into(),
//!     env: vec![],
//! });
//! worker.execute("let x = 1 + 1;", sink).await; // starts the child, compiles, runs
//! worker.execute("x", sink).await;              // the sink is given `2`
//! # }
//! ```
//!
//! Four processes take part, so that no cell can hurt the kernel:
//!
//! ```text
//! kernel ──requests, replies──► worker (evcxr: parse, compile) ──► tap ──► runtime (user's code)
//!    ▲                            │  ▲                              │
//!    └── streams, displays ───────┘  └──────── output.fifo ─────────┘
//! ```
//!
//! evcxr would mix the user's output, rich values and its own protocol on one pipe, line by line.
//! The tap takes them apart again: text flows as it is written (also without a newline), and a
//! panic or a failing `?` is told as an error. An interrupt kills the compilers, or tells the loops
//! of the running code to end; what does not end within two seconds is killed. The worker leads a process
//! group of its own, and whatever it started ends with it.
//!
//! The binary that is named as `program` calls [`runtime_hook`] first thing in `main` and
//! [`worker::run`] when asked to be the worker.

mod client;
mod diagnostic;
mod error;
mod hook;
mod message;
mod oom;
pub mod prelude;
mod python;
mod source;
mod tap;
pub mod worker;

pub use client::{Config, OwnedFolder, Sink, Worker};
pub use error::CellsError;
pub use hook::runtime_hook;
pub use message::{Bundle, CellError, Completion, Completions, Outcome, StreamName};
pub use prelude::{Prelude, PreludeError};
pub use python::{Hint, looks_like_python};
pub use source::{Completeness, is_complete};
