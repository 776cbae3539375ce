//! What every experiment of the bundled lab shares, and none may change: the text, its tokens, the
//! batches, and the measure.
//!
//! ```no_run
//! # fn main() -> Result<(), prepare::PrepareError> {
//! let data = prepare::Dataset::open("data")?;
//! let mut batches = data.train_batches(16, 128, 42)?;
//! let batch = batches.next_batch(); // 16 rows of 128 inputs and 128 targets, one token later
//!
//! // A model that knows nothing but the number of tokens:
//! let nats = (data.vocab_size() as f32).ln();
//! let result = data.evaluate_bpb(16, 128, |batch| vec![nats; batch.targets.len()])?;
//! println!("{:.6} bits per byte", result.bpb);
//! # Ok(())
//! # }
//! ```
//!
//! The binary `prepare` (feature `corpus`, on by default) writes what [`Dataset::open`] reads. `train`
//! links the library without that feature, so that a candidate's build is light.

mod batches;
mod dataset;
mod error;
mod evaluate;
mod manifest;
mod random;

#[cfg(feature = "corpus")]
pub mod corpus;
#[cfg(feature = "corpus")]
pub mod shards;

pub use batches::{Batch, TrainBatches};
pub use dataset::Dataset;
pub use error::PrepareError;
pub use evaluate::Evaluation;
pub use manifest::{FileRecord, Manifest, Source, SourceCrate, Split};
