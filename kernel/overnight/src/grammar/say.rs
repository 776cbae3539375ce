//! What a person says to the proposer: `hypothesis`, `plan`, `loop steer`, `loop veto`.

use clap::{Args, Subcommand};

use super::TagArgs;

/// `hypothesis`.
#[derive(Debug, Clone, Args)]
pub(crate) struct HypothesisArgs {
    /// What to try, in a sentence.
    #[arg(required = true)]
    pub(crate) text: Vec<String>,
    /// Before every other idea: the next proposal is to try it.
    #[arg(long)]
    pub(crate) now: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `loop steer`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SteerArgs {
    /// What to tell it.
    #[arg(required = true)]
    pub(crate) text: Vec<String>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `loop veto`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VetoArgs {
    /// An experiment's number, or a regular expression (a plain word is one) that no hypothesis and no line added by
    /// a candidate may match, whatever the case.
    #[arg(required = true, value_name = "N|PATTERN")]
    pub(crate) what: Vec<String>,
    /// Allow it again.
    #[arg(long)]
    pub(crate) lift: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    #[command(subcommand)]
    pub(crate) change: Option<PlanChange>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// What to change of the plan.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum PlanChange {
    /// Have an idea tried next.
    First {
        /// Its number in the plan.
        idea: usize,
    },
    /// Strike an idea out.
    Strike {
        /// Its number in the plan.
        idea: usize,
    },
}
