//! The charts.

use std::convert::Infallible;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::TagArgs;

/// `plot`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlotArgs {
    /// Which chart.
    #[arg(value_enum, default_value_t = PlotKind::Progress)]
    pub(crate) kind: PlotKind,
    /// The experiments (`curves`, `compare`): numbers, `best`, `latest`, `running`; or the two columns (`pareto`).
    #[arg(value_name = "WHAT")]
    pub(crate) of: Vec<Subject>,
    /// The metric to draw (`curves`, `compare`); `loss` or the lab's own by default.
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// A column that is better when it is lower (`pareto`).
    #[arg(long, value_name = "COLUMN")]
    pub(crate) minimize: Vec<String>,
    /// A column that is better when it is higher (`pareto`).
    #[arg(long, value_name = "COLUMN")]
    pub(crate) maximize: Vec<String>,
    /// Every loop, not the last alone (`timeline`).
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// What a chart is of: an experiment or a column, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject(pub(crate) String);

impl FromStr for Subject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlotKind {
    /// Every experiment's metric in order, and the best so far.
    Progress,
    /// The metrics of runs over their steps.
    Curves,
    /// The curves of two experiments, and how far they are apart at each step.
    Compare,
    /// Two metrics against each other, and what is best in either.
    Pareto,
    /// What each constant did.
    Parameters,
    /// Who did what, and when.
    Timeline,
    /// What each candidate was made from.
    Lineage,
    /// How far runs of the same candidate are apart.
    Noise,
}

impl PlotKind {
    /// What people call it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
