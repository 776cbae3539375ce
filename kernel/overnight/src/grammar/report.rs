//! What tells what happened: `report` and `morning`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::TagArgs;

/// `report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    /// The file to write, whose ending says as what; without one it is written where the runner's own reports are.
    pub(crate) file: Option<PathBuf>,
    /// What to write: a notebook, an HTML page or Markdown.
    #[arg(long, value_enum)]
    pub(crate) to: Option<ReportForm>,
    /// Leave the picture out of Markdown, rather than beside it.
    #[arg(long)]
    pub(crate) no_picture: bool,
    /// Have a model write a summary above the rest, marked as such, and fail where none can. Without this it is there
    /// where a model is set up, and the report tells of five experiments or more.
    #[arg(long, conflicts_with = "no_summary")]
    pub(crate) summary: bool,
    /// Ask no model for a summary.
    #[arg(long)]
    pub(crate) no_summary: bool,
    /// The model that writes it, as `ask` takes it.
    #[arg(long, conflicts_with = "no_summary")]
    pub(crate) agent: Option<String>,
    /// Work out every figure of a report again, from the ledger's commit that it was made from.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "to", "no_picture", "summary", "no_summary", "agent", "tag"])]
    pub(crate) check: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// Cells that run again in JupyterLab.
    Notebook,
    /// One file for any browser.
    Html,
    /// For a pull request, its picture beside it.
    Md,
}

/// `morning`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MorningArgs {
    /// Since when, instead of since you last looked: hours (`8`), a time of day (`22:00`), or a date and time.
    #[arg(long, value_name = "TIME|HOURS", value_parser = parse_since)]
    pub(crate) since: Option<Since>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// Since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Since {
    /// So many hours ago.
    Hours(f64),
    /// The latest of this time of day.
    Time(jiff::civil::Time),
    /// A date and time here.
    Here(jiff::civil::DateTime),
    /// A moment.
    At(jiff::Timestamp),
}

fn parse_since(text: &str) -> Result<Since, String> {
    let hours = text.strip_suffix('h').unwrap_or(text).trim().parse::<f64>();
    if let Some(hours) = hours.ok().filter(|hours| hours.is_finite() && (0.0..=100_000.0).contains(hours)) {
        return Ok(Since::Hours(hours));
    }
    let at = text.parse().map(Since::At).ok();
    let here = || text.parse::<jiff::civil::DateTime>().map(Since::Here).ok();
    let day = || text.parse::<jiff::civil::Date>().map(|day| Since::Here(day.into())).ok();
    let time = || text.parse().map(Since::Time).ok();
    at.or_else(here).or_else(day).or_else(time).ok_or_else(|| {
        "expected hours (`8`), a time of day (`22:00`), a date (`2026-11-20`), or both (`2026-11-20T22:00`)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_hours_or_a_time() {
        let date = jiff::civil::date(2026, 11, 20);
        assert_eq!(parse_since("8"), Ok(Since::Hours(8.0)));
        assert_eq!(parse_since("1.5h"), Ok(Since::Hours(1.5)));
        assert_eq!(parse_since("22:00"), Ok(Since::Time(jiff::civil::time(22, 0, 0, 0))));
        assert_eq!(parse_since("2026-11-20"), Ok(Since::Here(date.into())));
        assert_eq!(parse_since("2026-11-20T22:00"), Ok(Since::Here(date.at(22, 0, 0, 0))));
        assert_eq!(
            parse_since("2026-11-20T22:00:00Z"),
            Ok(Since::At("2026-11-20T22:00:00Z".parse().unwrap_or_default()))
        );
        for bad in ["", "yesterday", "-3", "NaN"] {
            assert!(parse_since(bad).is_err(), "{bad}");
        }
    }
}
