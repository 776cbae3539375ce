//! What the binary lends to a runner: a library reads no environment and no configuration by itself.

use std::path::PathBuf;
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
    pub reporter: Option<Arc<dyn Reporter>>,
    /// Where the user's own table of prices is, or would be; see [`models::Prices`].
    pub prices: PathBuf,
}

/// Writes the report of a loop that has ended.
pub trait Reporter: Send + Sync {
    /// Writes it, from what the ledger says of a line of research, and says where it is. Called on a thread of its own.
    ///
    /// # Errors
    /// Why there is none, in words for the log.
    fn report(&self, tag: &Tag) -> Result<PathBuf, String>;
}

impl From<Variables> for Host {
    /// A host without look-ups or prices of its own.
    fn from(variables: Variables) -> Self {
        Self { variables, lookup: Arc::new(NoLookup), reporter: None, prices: PathBuf::new() }
    }
}
