//! Experiments in git: append, read, candidates, worktrees, `results.tsv`. Knows no loop.
//!
//! ```no_run
//! use lab::Tag;
//! use ledger::{Edit, Ledger};
//!
//! let ledger = Ledger::open(std::path::Path::new("."))?;
//! let parent = ledger.snapshot()?.commit;
//! let edit = Edit { path: "train.py".into(), content: Some(b"DEPTH = 9\n".to_vec()) };
//! let candidate = ledger.candidate(&parent, &[edit], "deeper")?;
//! println!("{}", ledger.diff(&parent, &candidate)?);
//!
//! for experiment in ledger.experiments(&Tag::default())? {
//!     println!("{} {}", experiment.record.number, experiment.record.hypothesis);
//! }
//! # Ok::<(), ledger::LedgerError>(())
//! ```
//!
//! # Where things are
//!
//! | ref | what |
//! |---|---|
//! | `refs/overnight/ledger/<tag>` | the ledger: each append is one commit, whose parents are the previous one and the candidate |
//! | `refs/overnight/best/<tag>` | the best candidate |
//! | `refs/overnight/remote/<remote>/ledger/<tag>` | a remote's ledger, as it was when it was last seen |
//! | `refs/overnight/held` | candidates on their way, which nothing else keeps from `git gc` |
//! | `refs/heads/autoresearch/<tag>` | the same for people, unless it is checked out or was moved by somebody |
//!
//! The tree of a ledger commit:
//!
//! ```text
//! meta.json                                   {"schema": 1}
//! experiments/<writer>/<NN>/<NN>/<NN>/        number 1234 is 00/12/34
//!     record.json  program.md  metrics.parquet  log.zst
//! events/<writer>/<YYYY-MM-DD>/<uuid>.json
//! ```
//!
//! An append writes the blobs, the trees on the way to them and a commit, then moves the ref by
//! compare-and-swap. The researcher's working tree, index, HEAD and stash are never written.

mod advance;
mod append;
mod branch;
mod candidate;
mod check;
mod collecting;
mod error;
mod fsck;
mod git;
mod held;
mod import;
mod keep;
mod kept;
mod known;
mod merge;
mod message;
mod metrics_file;
mod open;
mod packing;
mod read;
mod refs;
mod remote;
mod repeats;
mod snapshot;
mod sync;
mod tidy;
mod transport;
mod tree;
mod tsv;
mod walk;
mod worktree;
mod writer;

#[cfg(test)]
mod testing;

pub use candidate::Edit;
pub use check::Contents;
pub use error::LedgerError;
pub use fsck::{Finding, Health};
pub use import::Imported;
pub use keep::BranchMoved;
pub use known::Known;
pub use metrics_file::{decode as decode_metrics, encode as encode_metrics};
pub use open::Ledger;
pub use remote::{Merged, Remote, Sent, ShareOptions};
pub use snapshot::Snapshot;
pub use transport::{Transport, redacted};
pub use walk::Changes;

/// The version of the ledger's tree that this crate writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;
