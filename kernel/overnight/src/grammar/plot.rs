//! The charts.

use clap::{Args, ValueEnum};

use super::{TagArgs, Which};

/// `plot`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlotArgs {
    /// Which chart.
    #[arg(value_enum, default_value_t = PlotKind::Progress)]
    pub(crate) kind: PlotKind,
    /// The experiments to draw (`curves`): numbers, `best`, `latest`, `running`.
    pub(crate) which: Vec<Which>,
    /// The metric to draw (`curves`); `loss` or the first one by default.
    #[arg(long)]
    pub(crate) metric: Option<String>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// The charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlotKind {
    /// Every experiment's metric in order, and the best so far.
    Progress,
    /// The metrics of runs over their steps.
    Curves,
}
