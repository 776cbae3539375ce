//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

/// Every failure of this crate: what, where, and by [`PrepareError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// There is no manifest, so nothing has been prepared here.
    #[error("no prepared data in `{}`", .0.display())]
    NotPrepared(PathBuf),

    /// The manifest cannot be understood.
    #[error("`{}` is not a manifest of this version: {reason}", path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A data file is not the one that the manifest describes.
    #[error("`{}` differs from its manifest: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },

    /// A file or folder cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },

    /// Data from the researcher's own text is there, and other sizes are asked for without naming the text.
    #[error("`{}` holds {text}, and other sizes are asked for", folder.display())]
    OtherText {
        /// The data folder.
        folder: PathBuf,
        /// Where its text came from, in words.
        text: String,
    },

    /// A split is too short for the sequence that was asked for.
    #[error("{split} has {tokens} tokens, which is too few for sequences of {sequence}")]
    TooShort {
        /// `train` or `val`.
        split: &'static str,
        /// Its length.
        tokens: usize,
        /// Inputs per row.
        sequence: usize,
    },

    /// A batch or sequence of no length was asked for.
    #[error("{0} must be at least 1")]
    Zero(&'static str),

    /// The thread that packs batches cannot be started.
    #[error("cannot start the thread that packs batches: {0}")]
    Thread(std::io::Error),

    /// The model's answer in the evaluation cannot be a cross-entropy.
    #[error("evaluation: {0}")]
    BadNats(String),

    /// A crate whose text the corpus needs is not in the cargo registry.
    #[error("the sources of `{name}` {version} are not in the cargo registry under `{}`", registry.display())]
    MissingCrate {
        /// The crate.
        name: String,
        /// The version that Cargo.lock names.
        version: String,
        /// Where cargo unpacks sources.
        registry: PathBuf,
    },

    /// A crate whose text the corpus needs is not in Cargo.lock.
    #[error("`{0}` stands in the corpus's list but not exactly once in Cargo.lock")]
    NotLocked(String),

    /// A Parquet file is to be read by a build that cannot.
    #[error("`{}` is a Parquet file, which this build of prepare does not read", .0.display())]
    NeedsHub(PathBuf),

    /// No answer from the hub, or none that is whole.
    #[error("cannot download {url}: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why it failed.
        reason: String,
    },

    /// Another process is at it.
    #[error("another prepare is downloading `{}`", .0.display())]
    Downloading(PathBuf),

    /// The hub refuses a file.
    #[error("cannot download {url}: the answer is status {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },

    /// What came is not the file that the hub announced.
    #[error("the download of {url} is not the file: {reason}")]
    WrongDownload {
        /// What was asked for.
        url: String,
        /// What differs.
        reason: String,
    },

    /// A Parquet file cannot be read.
    #[error("cannot read text from `{}`: {reason}", path.display())]
    BadParquet {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// The corpus is too small to train and validate on.
    #[error("{found} bytes of text in {origin}; at least {needed} are needed")]
    TooLittleText {
        /// What there is.
        found: usize,
        /// The least that makes sense.
        needed: usize,
        /// Where the text came from.
        origin: String,
    },

    /// The tokenizer could not be trained or used.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
}

impl PrepareError {
    /// What the reader can do about it, in one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotPrepared(_) => "run `cargo run --release -p prepare`",
            Self::BadManifest { .. } | Self::Damaged { .. } => {
                "run `cargo run --release -p prepare --` again with the options that it was made with \
                 (none for the offline corpus), or with `--force` to have the offline corpus in its place"
            }
            Self::Io { .. } => "check that the path exists, its permissions, and the free space",
            Self::OtherText { .. } => {
                "name the text again (`--text`, `--hub`), or replace it by the offline corpus with `--force`"
            }
            Self::TooShort { .. } => "give more text, in more files, or sizes with shorter rows",
            Self::Zero(_) => "set it to 1 or more",
            Self::Thread(_) => "check the limits on threads and memory of this account",
            Self::BadNats(_) => "return the cross-entropy in nats of every target, in the order of the batch",
            Self::MissingCrate { .. } => {
                "run `cargo fetch --locked`, or give text of your own with `--text DIR`"
            }
            Self::NotLocked(_) => "mend the list in prepare/src/corpus/registry.rs",
            Self::NeedsHub(_) => {
                "build with it: `cargo run --release -p prepare --features hub -- --text DIR`"
            }
            Self::Unreachable { .. } => {
                "check the connection, or set HF_ENDPOINT to a mirror; what has come is kept for the next \
                 time. Without the hub: `--text DIR`, or neither option for the offline corpus"
            }
            Self::Downloading(_) => "wait until it is done; what has come is kept",
            Self::Refused { status: 401 | 403, .. } => {
                "check the dataset's name, and set HF_TOKEN to a token that may read it"
            }
            Self::Refused { status: 404, .. } => {
                "check the dataset's name; its files must be named as those of \
                 karpathy/climbmix-400b-shuffle, shard_00000.parquet to shard_06542.parquet"
            }
            Self::Refused { .. } => "try again later, or set HF_ENDPOINT to another mirror",
            Self::WrongDownload { .. } => {
                "try again; if it stays so, unset HF_ENDPOINT or set it to another mirror"
            }
            Self::BadParquet { .. } => {
                "give files with a column `text`, without compression or with snappy or zstd; \
                 delete one that is damaged, and `--hub` downloads it again"
            }
            Self::TooLittleText { .. } => "give a folder with more .md, .txt or .rs files",
            Self::Tokenizer(_) => "check that the text is prose or code in UTF-8",
        }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        Self::io("read", path)
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    #[cfg(feature = "corpus")]
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        Self::io("write", path)
    }
}
