//! What every experiment of the bundled lab shares, and none may change: the text, its tokens, the
//! batches, and the measure.
//!
//! ```no_run
//! # fn main() -> Result<(), prepare::PrepareError> {
//! let data = prepare::Dataset::open("data")?;
//! let mut batches = data.train_batches(16, 42)?; // packed on a thread of their own
//! let batch = batches.next_batch(); // 16 rows of `data.sequence()` inputs, and the targets
//!
//! // A model that knows nothing but the number of tokens:
//! let nats = (data.vocab_size() as f32).ln();
//! let result = data.evaluate_bpb(16, |batch| vec![nats; batch.targets.len()])?;
//! println!("{:.6} bits per byte", result.bpb);
//! # Ok(())
//! # }
//! ```
//!
//! The binary `prepare` (feature `corpus`, on by default) writes what [`Dataset::open`] reads; with the
//! feature `hub` also from Parquet files and from datasets of the Hugging Face hub. `train` links the
//! library without these features, so that a candidate's build is light.

mod batches;
mod dataset;
mod documents;
mod error;
mod evaluate;
mod manifest;
mod packing;
mod profile;
mod random;

#[cfg(feature = "corpus")]
pub mod corpus;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "corpus")]
pub mod shards;
#[cfg(feature = "corpus")]
mod tokenizer;

pub use batches::{Batch, TrainBatches};
pub use dataset::Dataset;
pub use error::PrepareError;
pub use evaluate::Evaluation;
pub use manifest::{FileRecord, Manifest, Source, SourceCrate, SourceFile, Split};
pub use profile::Profile;
