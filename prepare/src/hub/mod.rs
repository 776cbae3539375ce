//! Datasets of the Hugging Face hub, in files named as karpathy names them.
//!
//! Files land in a cache folder, whole and checked or not at all; what is there is not asked for again.
//! A download that was cut goes on from its `.part` file.

mod download;
mod remote;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::PrepareError;
use remote::Client;

pub use crate::corpus::{DEFAULT_DATASET, VAL_SHARD};

/// Where the hub is unless `HF_ENDPOINT` names a mirror.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// What to download, from where, to where.
#[derive(Clone)]
pub struct Hub {
    /// The hub or a mirror of it, such as [`DEFAULT_ENDPOINT`].
    pub endpoint: String,
    /// Sent to the endpoint and to no other host.
    pub token: Option<String>,
    /// `owner/name`.
    pub dataset: String,
    /// Files of text to learn from, 1 to [`VAL_SHARD`].
    pub shards: usize,
    /// Folder of the files; `~/.cache/autoresearch/data` is where karpathy's `prepare.py` has its own.
    pub cache: PathBuf,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum Event<'a> {
    /// More of a file has come.
    Bytes {
        /// The file's name.
        file: &'a str,
        /// Bytes of it so far.
        bytes: u64,
        /// Bytes in all, where the hub says so.
        size: Option<u64>,
    },
    /// It is tried again.
    Again {
        /// The file's name.
        file: &'a str,
        /// What went wrong.
        reason: &'a str,
        /// How long it is waited before.
        pause: Duration,
    },
    /// A file is there, whole and checked.
    Whole {
        /// The file's name.
        file: &'a str,
    },
}

/// How patient to be.
#[derive(Clone, Copy)]
struct Patience {
    /// How long a connection may be silent.
    silence: Duration,
    /// How long it is waited before the second attempt; then longer, and never the same.
    pause: Duration,
    /// Attempts after the first: karpathy's `max_attempts` is 5 in all.
    retries: usize,
}

const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(30), pause: Duration::from_secs(1), retries: 4 };

impl Hub {
    /// Downloads what the cache lacks, one file after another; the file for validation is the last.
    pub fn download(&self, on: &dyn Fn(Event<'_>)) -> Result<Vec<PathBuf>, PrepareError> {
        self.download_with(PATIENCE, on)
    }

    fn download_with(
        &self,
        patience: Patience,
        on: &dyn Fn(Event<'_>),
    ) -> Result<Vec<PathBuf>, PrepareError> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(PrepareError::write(&folder))?;
        let names: Vec<String> = (0..self.shards.min(VAL_SHARD)).chain([VAL_SHARD]).map(file_name).collect();
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        if paths.iter().all(|path| path.exists()) {
            return Ok(paths);
        }
        let client = Client::new(&self.endpoint, self.token.clone(), patience.silence)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(PrepareError::Thread)?;
        for (name, path) in names.iter().zip(&paths).filter(|(_, path)| !path.exists()) {
            let url = format!("{}/datasets/{}/resolve/main/{name}", client.endpoint(), self.dataset);
            runtime.block_on(download::file(&client, &url, path, patience, on))?;
        }
        Ok(paths)
    }

    /// The cache has karpathy's files in it; those of another dataset have the same names.
    fn folder(&self) -> PathBuf {
        if self.dataset == DEFAULT_DATASET {
            self.cache.clone()
        } else {
            self.cache.join(self.dataset.replace('/', "--"))
        }
    }
}

fn file_name(number: usize) -> String {
    format!("shard_{number:05}.parquet")
}

#[cfg(test)]
mod tests;
