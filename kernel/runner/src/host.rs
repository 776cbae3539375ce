//! What the binary lends to a runner: a library reads no environment and no configuration by itself.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Variables;
use crate::proposers::{Lookup, NoLookup};

/// Where a runner runs.
#[derive(Clone)]
pub struct Host {
    /// The caller's environment: candidates see an allow-list of it, proposers what they need.
    pub variables: Variables,
    /// What models may look up.
    pub lookup: Arc<dyn Lookup>,
    /// Where the user's own table of prices is, or would be; see [`models::Prices`].
    pub prices: PathBuf,
}

impl From<Variables> for Host {
    /// A host without look-ups or prices of its own.
    fn from(variables: Variables) -> Self {
        Self { variables, lookup: Arc::new(NoLookup), prices: PathBuf::new() }
    }
}
