//! What goes between machines, and what keeps a lab sound: `share`, `merge`, `import`, `fsck`, `gc`.

use std::path::PathBuf;

use clap::Args;
use lab::{Seconds, Tag};

use super::TagArgs;

/// `share`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShareArgs {
    /// A git remote, the address of a repository, or its folder; `origin` or the only remote by default.
    pub(crate) remote: Option<String>,
    /// Every line of research.
    #[arg(long, conflicts_with = "tag")]
    pub(crate) all: bool,
    /// The branch autoresearch/TAG too, so that web pages of the remote show it.
    #[arg(long)]
    pub(crate) branch: bool,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `merge`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MergeArgs {
    /// A git remote, the address of a repository, or its folder; `origin` or the only remote by default.
    pub(crate) remote: Option<String>,
    /// Only this line of research of theirs; all of them by default.
    #[arg(long, value_parser = Tag::parse)]
    pub(crate) tag: Option<Tag>,
    /// Into this line of research here; the one of the same name by default.
    #[arg(long, value_name = "TAG", value_parser = Tag::parse, requires = "tag")]
    pub(crate) into: Option<Tag>,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    /// The results.tsv to read; with `--branch` the one of the branch, or of the checkout.
    #[arg(required_unless_present = "branch")]
    pub(crate) file: Option<PathBuf>,
    /// A branch as karpathy/autoresearch leaves it: a commit for each change that was kept.
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `fsck`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FsckArgs {
    /// Mend what can be mended without losing anything.
    #[arg(long)]
    pub(crate) repair: bool,
}

/// `gc`.
#[derive(Debug, Clone, Args)]
pub(crate) struct GcArgs {
    /// How many folders of runs stay, the newest; the ledger has what they held.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) keep: usize,
    /// What was not used for so long goes: worktrees with their build folders, labs whose repository is gone.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = lab::settings::parse_seconds)]
    pub(crate) older: Seconds,
    /// Of every lab of this user whose repository is gone, too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Say what would go, and remove nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
