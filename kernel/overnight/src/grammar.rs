//! The one grammar: `overnight loop start --hours 8` in a terminal, `%loop start --hours 8` in a cell.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use lab::{Seconds, Status, Tag};

mod ask;
mod exchange;
mod look;
mod plot;
mod report;
pub(crate) mod say;
mod setup;

pub(crate) use ask::AskArgs;
pub(crate) use exchange::{FsckArgs, GcArgs, ImportArgs, MergeArgs, ShareArgs};
pub(crate) use look::{DiffArgs, ExperimentsArgs, OneArgs, Sort, SqlArgs};
pub(crate) use plot::{PlotArgs, PlotKind, Subject};
pub(crate) use report::{MorningArgs, ReportArgs, ReportForm, Since};
pub(crate) use setup::{InstallArgs, LabArgs, NewArgs};

/// What a terminal is given.
#[derive(Debug, Parser)]
#[command(name = "overnight", version, about, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// The lab: a folder inside its git repository.
    #[arg(long, global = true, value_name = "PATH", env = crate::env::LAB)]
    pub(crate) lab: Option<PathBuf>,
    /// Answer in JSON (schema 1).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// What a cell is given after its `%`.
#[derive(Debug, Parser)]
#[command(
    name = "%",
    multicall = false,
    no_binary_name = true,
    disable_version_flag = true,
    max_term_width = 100
)]
pub(crate) struct Magic {
    /// Answer in JSON (schema 1).
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: MagicCommand,
}

/// The commands of a terminal: the shared ones, and those that set up a machine.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    #[command(flatten)]
    Shared(Command),
    /// Set up JupyterLab with this kernel beside the lab, and open the quickstart.
    Lab(LabArgs),
    /// Install the kernel for Jupyter.
    Install(InstallArgs),
    /// Remove the kernel from Jupyter.
    Uninstall(InstallArgs),
    /// Run as a Jupyter kernel; Jupyter calls this.
    #[command(hide = true)]
    Kernel {
        /// The file that says where to listen.
        #[arg(long, value_name = "FILE")]
        connection_file: PathBuf,
    },
    /// Wait for requests and run loops in this process; `loop start` calls this.
    #[command(hide = true)]
    Runner,
    /// Run one job in its folder; the runner calls this.
    #[command(hide = true)]
    Shim {
        /// The job's folder.
        folder: PathBuf,
    },
    /// Build what Rust cells have in scope: polars, the lab's frames. A kernel does so when it first starts.
    Prelude,
    /// Serve the experiments to coding agents: tools by MCP on standard input and output.
    Mcp,
    /// Compile and run Rust cells; the kernel calls this.
    #[command(hide = true)]
    CellsWorker,
}

/// The commands of a cell: the shared ones, and those about the notebook.
#[derive(Debug, Subcommand)]
pub(crate) enum MagicCommand {
    #[command(flatten)]
    Shared(Command),
    /// Show the lab, or change to another.
    Lab {
        /// A folder inside the other lab's repository.
        path: Option<PathBuf>,
    },
    /// List the magics.
    Lsmagic,
    /// Show this notebook's folder, or change it: for shell commands, and for which lab magics are about.
    Cd {
        /// The folder to change to, from the current one on.
        #[arg(value_hint = clap::ValueHint::DirPath)]
        path: Option<PathBuf>,
    },
    /// Show environment variables, or set one for shell commands, Rust cells and loops begun here.
    Env {
        /// NAME shows one, NAME=VALUE or NAME VALUE sets it; nothing shows all.
        assignment: Vec<String>,
        /// Ask for the value, so that it does not stand in the notebook.
        #[arg(long, value_name = "NAME", conflicts_with = "assignment")]
        ask: Option<String>,
    },
    /// Remove what this cell has shown so far.
    Clear {
        /// Only once something new is shown.
        #[arg(long)]
        wait: bool,
    },
    /// Say how long a line of the cell takes; `%%time` times the whole cell.
    Time {
        /// A magic, a shell command or Rust.
        #[arg(required = true)]
        code: Vec<String>,
    },
    /// List the variables of the Rust cells.
    Who,
    /// Show the cells that were run in this session.
    History {
        /// Only the last N.
        #[arg(short, value_name = "N")]
        n: Option<usize>,
    },
    /// Put a file's text into this cell, in place of what it holds.
    Load {
        /// The file.
        file: PathBuf,
    },
    /// Write the cell to a file: `%%writefile FILE`.
    #[command(hide = true)]
    Writefile(WritefileArgs),
}

/// `writefile`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WritefileArgs {
    /// The file.
    pub(crate) file: PathBuf,
    /// Write at the file's end.
    #[arg(long, short)]
    pub(crate) append: bool,
}

/// The commands that a terminal and a cell share.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Start, watch and stop the loop.
    #[command(subcommand)]
    Loop(LoopCommand),
    /// The table of experiments.
    Experiments(ExperimentsArgs),
    /// One experiment: its hypothesis, judgement, diff and curve.
    Experiment(OneArgs),
    /// The best experiment so far.
    Best(TagArgs),
    /// The metrics of one experiment, a row per step.
    Metrics(OneArgs),
    /// What one experiment printed.
    Log(OneArgs),
    /// What one experiment changed, or the difference of two.
    Diff(DiffArgs),
    /// Try a change of your own, judged and recorded like the loop's.
    Run(RunArgs),
    /// Keep an experiment, whatever the judge said.
    Keep(OverrideArgs),
    /// Discard an experiment, whatever the judge said.
    Discard(OverrideArgs),
    /// Write a note on an experiment.
    Note(NoteArgs),
    /// Make a git branch of an experiment's candidate.
    Branch(BranchArgs),
    /// Draw a chart.
    Plot(PlotArgs),
    /// Write a report of everything, for others to read; or check the figures of one.
    Report(ReportArgs),
    /// Tell what has happened since you last looked, and what needs you.
    Morning(MorningArgs),
    /// Query experiments, runs, metrics and events.
    Sql(SqlArgs),
    /// Ask the research agent about the lab, or `--local` the standard questions.
    Ask(AskArgs),
    /// Show the program and the settings that it gives.
    Program,
    /// Note an idea that the proposer should try.
    Hypothesis(say::HypothesisArgs),
    /// Show what the proposer intends next, and change the order.
    Plan(say::PlanArgs),
    /// Show what a model is told before it proposes: the program, the files, what was tried.
    Brief(BriefArgs),
    /// Write the experiments as results.tsv, or the tables as files that pandas, polars and DuckDB read.
    Export(ExportArgs),
    /// Read experiments from a results.tsv, or from a branch that was made without Overnight.
    Import(ImportArgs),
    /// Send the experiments to a git remote, with their candidates, metrics and logs.
    Share(ShareArgs),
    /// Fetch the experiments of a git remote and add them to the ones here.
    Merge(MergeArgs),
    /// Check everything that must hold of a lab, and say how to mend what does not.
    Fsck(FsckArgs),
    /// Free the disk of what can be made again; no experiment is ever dropped.
    Gc(GcArgs),
    /// Write a program.md for this repository.
    New(NewArgs),
    /// Say what is ready here and what is missing.
    Doctor,
}

/// The loop.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LoopCommand {
    /// Play a few minutes of the night for real, on a copy of the lab, and say what it would bring or what is in the way.
    Rehearse(StartArgs),
    /// Start the loop; it goes on when the notebook or the terminal is closed.
    Start(StartArgs),
    /// Say what the loop is doing.
    Status,
    /// Watch the loop; in a notebook this returns at once and goes on updating.
    Watch,
    /// Watch the loop until it ends.
    Wait,
    /// Start no new experiment until `loop resume`.
    Pause,
    /// Go on after a pause, or with a loop that was cut off.
    Resume,
    /// Stop after the current runs.
    Stop {
        /// End the current runs too.
        #[arg(long)]
        now: bool,
    },
    /// Show what `search` would change: the constants of the editable files, and what each may become.
    Space(TagArgs),
    /// Tell the proposer something.
    Steer(say::SteerArgs),
    /// Rule something out: an experiment on its way, or whatever matches a pattern.
    Veto(say::VetoArgs),
}

/// `loop start`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StartArgs {
    /// Stop after this many hours.
    #[arg(long)]
    pub(crate) hours: Option<f64>,
    /// Stop after this many experiments, a baseline among them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) experiments: Option<u64>,
    /// The time that a run is meant to take (`20s`, `5m`), instead of the program's.
    #[arg(long, value_name = "TIME", value_parser = parse_budget)]
    pub(crate) budget: Option<Seconds>,
    /// How many runs at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) slots: u32,
    /// What makes the candidates: `search`, `anthropic:MODEL`, `openai:MODEL`, `openai:MODEL@URL` (a server of your
    /// own), `search+MODEL` (both), `acp:claude`, `acp:codex`, `acp:gemini`, `acp:opencode`, `acp:COMMAND` (a coding
    /// agent), or `command:PROGRAM`; several with commas between them take turns, by what each gains.
    #[arg(long, default_value = "search")]
    pub(crate) agent: String,
    /// Stop before proposing costs more than this, in US dollars.
    #[arg(long, value_name = "USD", value_parser = parse_dollars)]
    pub(crate) max_cost: Option<f64>,
    /// The line of research to start or continue.
    #[arg(long, value_parser = Tag::parse)]
    pub(crate) tag: Option<Tag>,
    /// Stop when the metric is as good as this.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) target: Option<f64>,
    /// The seed of proposer and runs.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// In a checkout of karpathy/autoresearch whose data is missing, run its `prepare.py` first without asking.
    #[arg(long)]
    pub(crate) prepare: bool,
    /// Stay until the loop ends.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show the live view until the loop ends.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// A line of research.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TagArgs {
    /// The line of research; the one last worked on by default.
    #[arg(long, value_parser = Tag::parse)]
    pub(crate) tag: Option<Tag>,
}

/// `brief`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BriefArgs {
    /// How many tokens it may have, about.
    #[arg(long, default_value_t = runner::proposers::prompt::TOKENS)]
    pub(crate) tokens: usize,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// What you expect.
    #[arg(long, short = 'm', default_value = "")]
    pub(crate) hypothesis: String,
    /// Change a constant of the best candidate, instead of taking the editable file from the checkout.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Take the editable files from this experiment instead, such as another clone's: `--from ada/17`.
    #[arg(long, value_name = "EXPERIMENT", conflicts_with = "set")]
    pub(crate) from: Option<Which>,
    /// Return at once.
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `keep` and `discard`.
#[derive(Debug, Clone, Args)]
pub(crate) struct OverrideArgs {
    /// The experiment.
    pub(crate) which: Which,
    /// Why.
    #[arg(long, short = 'm', default_value = "by hand")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `note`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NoteArgs {
    /// The experiment.
    pub(crate) which: Which,
    /// The note.
    #[arg(required = true)]
    pub(crate) text: Vec<String>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `branch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BranchArgs {
    /// The experiment.
    pub(crate) which: Which,
    /// The new branch's name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// `export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, or for all tables the folder. A results.tsv is printed without one.
    pub(crate) file: Option<PathBuf>,
    /// What to write; results.tsv by default, else the tables.
    #[arg(long, value_enum)]
    pub(crate) to: Option<FileFormat>,
    /// Only this table.
    #[arg(long, value_parser = PossibleValuesParser::new(frames::TABLES))]
    pub(crate) table: Option<String>,
    /// Only the metrics of this experiment: its number, `best`, `latest` or `running`.
    #[arg(long, value_name = "EXPERIMENT")]
    pub(crate) of: Option<Which>,
    #[command(flatten)]
    pub(crate) tag: TagArgs,
}

/// What a table is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// karpathy's results.tsv.
    Tsv,
    /// Comma-separated text.
    Csv,
    /// Parquet, compressed.
    Parquet,
    /// Arrow IPC.
    Arrow,
}

/// An experiment, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its number.
    Number(u64),
    /// By the name of the clone that it is from, and its number there.
    Peer(String, u64),
    /// The best of the current epoch.
    Best,
    /// The newest that is done.
    Latest,
    /// The one in progress.
    Running,
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            "latest" => Ok(Self::Latest),
            "running" => Ok(Self::Running),
            _ => {
                let number = |text: &str| text.trim_start_matches('#').parse::<u64>().ok();
                let found = match text.rsplit_once('/') {
                    Some((name, last)) if !name.is_empty() => {
                        number(last).map(|number| Self::Peer(name.to_owned(), number))
                    }
                    _ => number(text).map(Self::Number),
                };
                found.ok_or_else(|| {
                    "expected an experiment's number, `best`, `latest` or `running`, or another clone's as `ada/17`"
                        .to_owned()
                })
            }
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Peer(name, number) => write!(f, "{name}/{number}"),
            Self::Best => f.write_str("best"),
            Self::Latest => f.write_str("latest"),
            Self::Running => f.write_str("running"),
        }
    }
}

fn parse_budget(text: &str) -> Result<Seconds, String> {
    let budget = lab::settings::parse_seconds(text)?;
    if budget.0 > 0.0 { Ok(budget) } else { Err("a run needs some time: `20s`, `5m`".to_owned()) }
}

fn parse_dollars(text: &str) -> Result<f64, String> {
    let dollars = text
        .trim_start_matches('$')
        .parse::<f64>()
        .ok()
        .filter(|dollars| dollars.is_finite() && *dollars > 0.0);
    dollars.ok_or_else(|| "write dollars, such as 2.50".to_owned())
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::word)).try_map(|word| {
        Status::ALL.into_iter().find(|status| status.word() == word).ok_or("there is no such status")
    })
}

fn parse_assignment(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn both_grammars_are_well_formed() {
        Cli::command().debug_assert();
        Magic::command().debug_assert();
    }
}
