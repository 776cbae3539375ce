//! What the binary lends to a runner: a library reads no environment and no configuration by itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::Tag;

use crate::Variables;
use crate::proposers::{Lookup, NoLookup};

/// Where a runner runs.
#[derive(Clone)]
pub struct Host {
    /// The caller's environment: candidates see an allow-list of it, proposers what they need.
    pub variables: Variables,
    /// What models may look up.
    pub lookup: Arc<dyn Lookup>,
    /// What writes the report of a loop that has ended; without it none is written.
    pub reporter: Option<Reporter>,
    /// Where the user's own table of prices is, or would be; see [`models::Prices`].
    pub prices: PathBuf,
}

/// The arguments with which this program writes the report of a loop that has ended, from what the ledger of the lab at
/// a root says of a line of research, with a model's summary or without. It prints JSON whose `file` is where that is.
pub type Reporter = fn(root: &Path, tag: &Tag, summary: bool) -> Vec<OsString>;

impl From<Variables> for Host {
    /// A host without look-ups or prices of its own.
    fn from(variables: Variables) -> Self {
        Self { variables, lookup: Arc::new(NoLookup), reporter: None, prices: PathBuf::new() }
    }
}
