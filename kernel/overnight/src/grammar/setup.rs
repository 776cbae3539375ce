//! What sets up a machine or a repository: `new`, `lab`, `install`, `uninstall`.

use std::path::PathBuf;

use clap::Args;

use super::parse_assignment;

/// `new`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NewArgs {
    /// The file that candidates may change.
    #[arg(long)]
    pub(crate) editable: Option<String>,
    /// The command that prints the metric.
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// The metric's name.
    #[arg(long)]
    pub(crate) metric: Option<String>,
    /// Higher is better.
    #[arg(long)]
    pub(crate) maximize: bool,
}

/// `lab` in a terminal.
#[derive(Debug, Clone, Args)]
pub(crate) struct LabArgs {
    /// Run the quickstart without a browser, and say where the executed copy is.
    #[arg(long)]
    pub(crate) execute: bool,
    /// Start JupyterLab without opening a browser.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Set up and go no further.
    #[arg(long, conflicts_with = "execute")]
    pub(crate) prepare: bool,
    /// The notebook to open.
    #[arg(long, default_value = "notebooks/quickstart.ipynb")]
    pub(crate) notebook: PathBuf,
    /// Further arguments for JupyterLab, after `--`.
    #[arg(last = true)]
    pub(crate) jupyter: Vec<String>,
}

/// `install` and `uninstall`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallArgs {
    /// For this user (the default).
    #[arg(long, group = "where")]
    pub(crate) user: bool,
    /// Into the active Python environment (`VIRTUAL_ENV` or `CONDA_PREFIX`).
    #[arg(long, group = "where")]
    pub(crate) sys_prefix: bool,
    /// Below this folder, in `share/jupyter/kernels`.
    #[arg(long, value_name = "DIR", group = "where")]
    pub(crate) prefix: Option<PathBuf>,
    /// The kernel's name.
    #[arg(long, default_value = "overnight")]
    pub(crate) name: String,
    /// The name that Jupyter shows.
    #[arg(long, default_value = "Overnight (Rust)")]
    pub(crate) display_name: String,
    /// An environment variable for the kernel.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_assignment)]
    pub(crate) env: Vec<(String, String)>,
}
