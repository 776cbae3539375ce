//! Overnight: the Karpathy loop from a notebook or a terminal, every experiment kept in git.

mod child;
mod commands;
mod env;
mod failure;
mod grammar;
mod kernel;
mod log;
mod lookup;
mod mcp;
mod service;
mod session;
mod setup;
mod sink;
mod terminal;

use std::process;

use clap::Parser;

use failure::{ExitCode, Failure};
use grammar::{Cli, CliCommand};
use session::Session;
use terminal::Terminal;

/// Threads of the runtime at most: on a machine with many cores, the others are the runs'.
const THREADS: usize = 4;

fn main() -> process::ExitCode {
    // A Rust cell's own process starts as this program and never comes back from here.
    cells::runtime_hook();
    let cli = Cli::parse();
    let code = match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            terminal::complain(&failure);
            failure.code
        }
    };
    process::ExitCode::from(code as u8)
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::new(format!("the current folder cannot be used: {error}")))?;
    let folder = cli.lab.map_or_else(|| here.clone(), |path| here.join(path));
    match cli.command {
        CliCommand::Shared(command) => {
            let session = Session::new(folder, cli.json);
            let terminal = Terminal::new(cli.json);
            runtime()?.block_on(async {
                tokio::select! {
                    done = commands::run(command, &session, &terminal) => done,
                    _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
                }
            })?;
        }
        CliCommand::Lab(args) => {
            let root = Session::new(folder, false).ledger()?.root().to_owned();
            service::begin_prelude();
            setup::jupyterlab::run(&root, &args)?;
        }
        CliCommand::Install(args) => {
            terminal::say(&setup::kernelspec::install(&args)?.display().to_string());
            service::begin_prelude();
        }
        CliCommand::Uninstall(args) => {
            terminal::say(&setup::kernelspec::uninstall(&args)?.display().to_string())
        }
        CliCommand::Kernel { connection_file } => service::kernel(&connection_file, folder)?,
        CliCommand::Runner => return service::runner(folder),
        CliCommand::Shim { folder } => return Ok(service::shim(&folder)),
        CliCommand::Prelude => service::prelude()?,
        CliCommand::Mcp => service::mcp(folder)?,
        CliCommand::CellsWorker => service::cells(),
    }
    Ok(ExitCode::Done)
}

/// The runtime that commands, kernel and runner run on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(THREADS, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(THREADS))
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))
}
