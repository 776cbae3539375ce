//! `ask`.

use clap::Args;

use super::TagArgs;

/// `ask`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AskArgs {
    /// What to ask; in a notebook it may be the body of a `%%ask` cell.
    #[arg(allow_negative_numbers = true)]
    pub(crate) text: Vec<String>,
    /// The model that answers: `anthropic:MODEL`, `openai:MODEL` or `openai:MODEL@URL` (a server of your own);
    /// by default that of `OVERNIGHT_AGENT`, else that of the last loop which had one.
    #[arg(long, conflicts_with = "local")]
    pub(crate) agent: Option<String>,
    /// Answer the standard questions by queries, without a model: all of them, or those that the text is about.
    #[arg(long)]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}
