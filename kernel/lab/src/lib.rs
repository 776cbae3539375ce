//! A lab as values: what `program.md` says, what a run prints, and what became of each experiment.
//!
//! Pure: no process, no git, no clock. Everything here is data and functions over data, so that the
//! loop, the ledger and the notebook agree on every word.
//!
//! ```
//! use lab::{Lab, Seconds, metrics::Reader};
//!
//! let lab = Lab::parse("---\nrun: ./bench\nmetric: ms\neditable: fast.c\n---\nMake it fast.")?;
//! assert_eq!(lab.metric.as_str(), "ms");
//!
//! let mut reader = Reader::new();
//! reader.push(b"step 1 | loss: 3.2\rstep 2 | loss: 3.1\n---\nms: 41.5\n", Seconds(0.1));
//! assert_eq!(reader.finish().summary.get("ms"), Some(&41.5));
//! # Ok::<(), lab::LabError>(())
//! ```

pub mod event;
pub mod experiment;
pub mod id;
pub mod judgement;
pub mod metrics;
pub mod noise;
pub mod record;
pub mod said;
pub mod settings;
pub mod status;
pub mod value;

mod editable;
mod error;
mod peers;
mod program;

pub use editable::{Editable, RECORDS};
pub use error::LabError;
pub use event::{Entry, Event, Hook, IdeaPlace, Rung};
pub use experiment::Experiment;
pub use id::{CommitId, Epoch, EventId, ExperimentId, MetricName, RunId, Seconds, Tag};
pub use judgement::{Claim, Judgement, Status};
pub use metrics::Metrics;
pub use noise::{Noise, noise};
pub use peers::Peers;
pub use record::{Cost, Environment, Record, RunRecord};
pub use said::{Idea, Said};
pub use settings::{AgentSession, AtBudget, Direction, EpochInputs, Lab, Limits};

/// The version of every serialised format of this crate: records, events, status and JSON output.
pub const SCHEMA: u32 = 1;
