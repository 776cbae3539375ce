//! The commands that look at experiments.

use clap::{Args, ValueEnum};
use lab::Status;

use super::{TagArgs, Which, statuses};

/// `experiments`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExperimentsArgs {
    /// Only those with this status, or with one of several: `--status keep,suspect`.
    #[arg(long, value_parser = statuses(), value_delimiter = ',')]
    pub(crate) status: Vec<Status>,
    /// Only those of a proposer whose name has this in it.
    #[arg(long, value_name = "NAME")]
    pub(crate) proposer: Option<String>,
    /// Only those that have this in their hypothesis, reason or notes.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// The order of the rows; what has nothing of the kind comes last.
    #[arg(long, value_enum, default_value_t = Sort::Number)]
    pub(crate) sort: Sort,
    /// Turn the order round.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Only the N best. What is invalid, suspect, discarded by hand or of another epoch has no rank, unless `--status`
    /// asks for it.
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// Rows to show at once.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// Which page of so many rows to show; without it the last rows, or with another order the first.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) page: Option<u64>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// What to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// In the order in which they were tried.
    Number,
    /// Best first, of those whose value counts (see `--top`).
    Value,
    /// The greatest gain on its parent first.
    Delta,
    /// Longest first.
    Seconds,
    /// Dearest first.
    Cost,
    /// By peak memory, the most first.
    Memory,
    /// Newest first.
    Newest,
}

/// One experiment.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneArgs {
    /// Its number, or `best`, `latest` or `running`; another clone's is `ada/17`.
    #[arg(default_value = "best")]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `diff`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DiffArgs {
    /// An experiment (its number, `best` or `latest`), against its parent if no second is given.
    #[arg(default_value = "best")]
    pub(crate) a: Which,
    /// The experiment to compare it with.
    pub(crate) b: Option<Which>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `sql`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SqlArgs {
    /// The query, over the tables experiments, runs, metrics, events and constants, and the frames that have a name.
    #[arg(required = true)]
    pub(crate) query: Vec<String>,
    /// Rows to show at once.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// Which page of so many rows to show.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) page: u64,
    /// Give the answer a name, by which later queries and Rust cells (`frame("NAME")`) find it.
    #[arg(long, value_name = "NAME")]
    pub(crate) save: Option<String>,
    /// Write the answer to a file: `--to parquet FILE`, also csv and arrow.
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"])]
    pub(crate) to: Vec<String>,
    /// Draw two columns of the answer, as line, steps or points, a colour for each value of a third: `--chart line
    /// step loss run`.
    #[arg(long, num_args = 3..=4, value_names = ["KIND", "X", "Y", "COLOUR"])]
    pub(crate) chart: Vec<String>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}
