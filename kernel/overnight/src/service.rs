//! The processes that nobody starts by hand: the kernel, the runner, the shim, the cells' worker.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Tag;
use runner::{Begin, Client, Host, Paths, Variables};

use crate::failure::{ExitCode, Failure};
use crate::lookup::Commands;
use crate::session::{Session, cache_home, private_folder};
use crate::{env, kernel, log, mcp, runtime, session};

/// How long a runner may take to open a ledger and listen: a large one on a slow disk takes seconds.
const BEGINS: Duration = Duration::from_secs(120);

/// Runs as a Jupyter kernel until the client shuts it down or the parent dies.
pub(crate) fn kernel(connection_file: &Path, folder: PathBuf) -> Result<(), Failure> {
    log::to_file(&connection_file.with_extension("log"));
    let connection = jupyter::Connection::read(connection_file)?;
    let options = jupyter::Options {
        parent_pid: env::var(env::JPY_PARENT_PID).and_then(|pid| pid.parse().ok()),
        username: "overnight".to_owned(),
        history: history_file(),
        ..jupyter::Options::default()
    };
    let runtime = runtime()?;
    let served = runtime.block_on(kernel::serve(connection, options, folder));
    // Whatever still waits (a watch, a blocking read) ends with the process.
    runtime.shutdown_background();
    served
}

/// Where the cells of all sessions are kept; without a home folder, nowhere.
fn history_file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folder = etcetera::choose_base_strategy().ok()?.data_dir().join("overnight");
    private_folder(&folder).ok()?;
    Some(folder.join("history.sqlite"))
}

/// Where the user's own prices of models are, if there are any.
fn prices_file() -> PathBuf {
    use etcetera::BaseStrategy;
    etcetera::choose_base_strategy()
        .map(|base| base.config_dir().join("overnight/prices.toml"))
        .unwrap_or_default()
}

/// What models and programs are lent: the environment with what a notebook has set, look-ups in the lab, prices.
pub(crate) fn host(session: Session, tag: Option<Tag>) -> Host {
    let mut variables = env::all();
    variables.extend(session.env.clone());
    Host {
        variables: Variables(variables),
        prices: prices_file(),
        reporter: Some(reporter),
        lookup: Arc::new(Commands::new(session).about(tag)),
    }
}

/// `overnight report`, as the runner calls it.
fn reporter(root: &Path, tag: &Tag, summary: bool) -> Vec<OsString> {
    let words =
        ["--json", "report", "--tag", tag.as_str()].into_iter().chain((!summary).then_some("--no-summary"));
    [OsString::from("--lab"), root.into()].into_iter().chain(words.map(OsString::from)).collect()
}

/// Runs what is asked of it in this process, which belongs to no terminal and no kernel.
pub(crate) fn runner(folder: PathBuf) -> Result<ExitCode, Failure> {
    runner::memory::hold_little();
    let session = Session::new(folder, false);
    let ledger = session.ledger()?;
    let paths = session.paths(&ledger)?;
    let root = ledger.root().to_owned();
    drop(ledger);
    // It fails where this process leads a group already, and then it is on its own anyway.
    let _ = nix::unistd::setsid();
    log::to_file(&paths.state.join("runner.log"));
    let host = host(session, None);
    let end = runtime()?.block_on(runner::serve(&root, paths, Begin::Idle, host))?;
    tracing::info!(reason = end.reason, "the runner ends");
    Ok(ExitCode::from_number(end.code()))
}

/// Runs one job in its folder.
pub(crate) fn shim(folder: &Path) -> ExitCode {
    ExitCode::from_number(runner::shim::run(folder).try_into().unwrap_or(1))
}

/// Answers coding agents about the lab until they go.
pub(crate) fn mcp(folder: PathBuf) -> Result<(), Failure> {
    let lookup = Commands::new(Session::new(folder, false));
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let served = runtime()?.block_on(mcp::serve(&lookup, input, output));
    served.map_err(|error| Failure::new(format!("the agent cannot be answered: {error}")))
}

/// Compiles and runs Rust cells for a kernel.
pub(crate) fn cells() -> ! {
    cells::worker::run()
}

/// Builds what Rust cells have in scope, at the lowest priority: a run that trains meanwhile is being measured.
pub(crate) fn prelude() -> Result<(), Failure> {
    // Where these fail, it is only less polite. The second is for systems that share the processor between sessions
    // first, and then only within each: it is about the whole session, so only about one of its own.
    let _ = rustix::process::nice(19);
    if nix::unistd::setsid().is_ok() {
        let _ = std::fs::write("/proc/self/autogroup", "19");
    }
    let prelude = cells::Prelude::find(&cache_home()?)?;
    let bar = indicatif::ProgressBar::no_length().with_message("building what Rust cells have in scope");
    if let Ok(style) = indicatif::ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let built = prelude.build(&mut |done, total| {
        bar.set_length(u64::from(total));
        bar.set_position(u64::from(done));
    });
    bar.finish_and_clear();
    Ok(built?)
}

/// Begins that build in a process of its own. What goes wrong there is met again, and told, by the first Rust cell.
pub(crate) fn begin_prelude() {
    let begun = session::program().map(|program| {
        std::process::Command::new(program)
            .arg("prelude")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    if let Ok(Err(error)) = begun {
        tracing::debug!(%error, "the prelude of Rust cells is not built yet");
    }
}

/// Begins a runner that outlives this process, and waits until it answers. `env` is added to what it
/// inherits.
pub(crate) async fn begin(
    root: &Path,
    paths: &Paths,
    env: &BTreeMap<String, String>,
) -> Result<Client, Failure> {
    let errors = paths.state.join("runner.err");
    let stderr = std::fs::File::create(&errors).map_err(|error| Failure::io("write", &errors, &error))?;
    let mut command = tokio::process::Command::new(&paths.program);
    command.arg("--lab").arg(root).arg("runner");
    command.current_dir(root).envs(env).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let mut child = command
        .spawn()
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", paths.program.display())))?;
    let begun = Instant::now();
    while begun.elapsed() < BEGINS {
        if let Some(client) = Client::connect(paths).await? {
            return Ok(client);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let told = std::fs::read_to_string(&errors).unwrap_or_default();
            let told = told.trim().trim_start_matches("error: ").to_owned();
            let code =
                ExitCode::from_number(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1));
            return Err(match told.split_once("\nhint: ") {
                Some((message, hint)) => Failure::new(message).hint(hint),
                None if told.is_empty() => Failure::new(format!("the runner ended at once ({status})")),
                None => Failure::new(told),
            }
            .code(code));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let process = child.id().map_or_else(String::new, |id| format!(" (process {id})"));
    let log = paths.state.join("runner.log");
    Err(Failure::new(format!("the runner{process} was started, and has not answered for {BEGINS:?}"))
        .hint(format!("it may still be reading: ask again in a while, or see {}", log.display())))
}
