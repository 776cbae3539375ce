//! `overnight lab`: from a fresh clone to the quickstart in JupyterLab.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::env;
use crate::failure::Failure;
use crate::grammar::{InstallArgs, LabArgs};
use crate::setup::kernelspec;

/// What JupyterLab needs, pinned.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What an address escapes: all but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Sets up JupyterLab in `<root>/.venv` with this kernel, then opens the notebook or runs it.
pub(crate) fn run(root: &Path, args: &LabArgs) -> Result<(), Failure> {
    let notebook = root.join(&args.notebook);
    if !args.prepare && !notebook.is_file() {
        return Err(Failure::new(format!("there is no notebook at {}", notebook.display()))
            .hint("name one with --notebook FILE"));
    }
    let venv = root.join(".venv");
    python_environment(&venv)?;
    let spec = kernelspec::install(&InstallArgs {
        user: false,
        sys_prefix: false,
        prefix: Some(venv.clone()),
        name: "overnight".to_owned(),
        display_name: "Overnight (Rust)".to_owned(),
        env: Vec::new(),
    })?;
    say(&format!("kernel     {}", spec.display()));
    if args.prepare {
        say("ready      run `overnight lab` to open JupyterLab");
        Ok(())
    } else if args.execute {
        execute(&venv, root, &notebook)
    } else {
        open(&venv, root, &notebook, args)
    }
}

/// Makes the virtual environment and installs what it lacks; a second time this costs nothing.
fn python_environment(venv: &Path) -> Result<(), Failure> {
    let stamp = venv.join("overnight-requirements.txt");
    let python = venv.join("bin/python");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|had| had == REQUIREMENTS) {
        say(&format!("jupyterlab {} (already there)", venv.display()));
        return Ok(());
    }
    if !python.exists() {
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(venv);
        step("making a Python environment", &mut command).map_err(|failure| {
            failure.hint(
                "Python 3.10 or newer with its venv module is needed (Debian: apt install python3-venv)",
            )
        })?;
    }
    let wanted = venv.join("overnight-wanted.txt");
    write(&wanted, REQUIREMENTS)?;
    let mut command = Command::new(&python);
    command
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "-r"])
        .arg(&wanted);
    step("installing JupyterLab with pip", &mut command)
        .map_err(|failure| failure.hint("pip needs PyPI or a mirror of it (PIP_INDEX_URL)"))?;
    std::fs::rename(&wanted, &stamp).map_err(|error| Failure::io("write", &stamp, &error))
}

/// Runs the notebook without a browser.
fn execute(venv: &Path, root: &Path, notebook: &Path) -> Result<(), Failure> {
    let executed = executed_copy(notebook);
    let mut command = jupyter(venv, root);
    command.args(["execute", "--timeout=-1", "--output"]).arg(&executed).arg(notebook);
    let name = notebook.file_name().unwrap_or_default().to_string_lossy();
    step(&format!("running {name}"), &mut command).map_err(|failure| {
        failure.hint(format!("open {} in JupyterLab to see which cell", notebook.display()))
    })?;
    say(&format!("executed   {}", executed.display()));
    Ok(())
}

/// Where the executed copy of a notebook goes: beside it.
fn executed_copy(notebook: &Path) -> PathBuf {
    notebook.with_extension("executed.ipynb")
}

/// Starts JupyterLab and stays until it ends.
///
/// The notebook is named as the address to begin with, not as a file to open: so the address that JupyterLab
/// prints leads to it also from another machine's browser.
fn open(venv: &Path, root: &Path, notebook: &Path, args: &LabArgs) -> Result<(), Failure> {
    let mut command = jupyter(venv, root);
    command.arg("lab").arg(format!("--ServerApp.root_dir={}", root.display()));
    match notebook.strip_prefix(root) {
        Ok(inside) => command.arg(format!("--LabApp.default_url={}", page(inside))),
        Err(_) => command.arg(notebook),
    };
    if args.no_browser {
        command.arg("--no-browser");
    }
    if nix::unistd::getuid().is_root() && !args.jupyter.iter().any(|arg| arg == "--allow-root") {
        say("note       you are root; JupyterLab is told to allow that (--allow-root)");
        command.arg("--allow-root");
    }
    command.args(&args.jupyter);
    say(&format!("jupyterlab opening {}", notebook.display()));
    let status =
        command.status().map_err(|error| Failure::new(format!("cannot start JupyterLab: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("JupyterLab ended with {status}"))) }
}

/// JupyterLab's page of a notebook, by its path within the server's folder.
fn page(notebook: &Path) -> String {
    let steps = notebook.iter().map(|step| percent_encode(step.as_bytes(), ESCAPED).to_string());
    format!("/lab/tree/{}", steps.collect::<Vec<_>>().join("/"))
}

/// The environment's `jupyter`, with the environment first on the path.
fn jupyter(venv: &Path, root: &Path) -> Command {
    let bin = venv.join("bin");
    let path = env::var("PATH")
        .map_or_else(|| bin.display().to_string(), |path| format!("{}:{path}", bin.display()));
    let mut command = Command::new(bin.join("jupyter"));
    command.current_dir(root).env("PATH", path).env("VIRTUAL_ENV", venv);
    command
}

/// Runs a command behind a spinner; what it printed is shown only if it fails.
fn step(what: &str, command: &mut Command) -> Result<(), Failure> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(spinner());
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    bar.finish_and_clear();
    let output = output.map_err(|error| {
        Failure::new(format!("{what}: cannot start {}: {error}", command.get_program().to_string_lossy()))
    })?;
    if output.status.success() {
        say(&format!("done       {what} ({})", lab::Seconds(began.elapsed().as_secs_f64())));
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(25)..].join("\n");
    Err(Failure::new(format!("{what} failed ({}):\n{tail}", output.status)))
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::io("write", path, &error))
}

#[allow(clippy::print_stdout, reason = "the set-up talks to a terminal")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_executed_copy_lies_beside_the_notebook() {
        assert_eq!(
            executed_copy(Path::new("/a/quickstart.ipynb")),
            Path::new("/a/quickstart.executed.ipynb")
        );
    }

    #[test]
    fn the_page_of_a_notebook_is_an_address() {
        let page = page(Path::new("my night/é#1.ipynb"));
        assert_eq!(page, "/lab/tree/my%20night/%C3%A9%231.ipynb");
    }

    #[test]
    fn a_step_that_fails_shows_its_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let failure = step("trying", &mut command).unwrap_err();
        assert!(
            failure.message.contains("trying failed") && failure.message.contains("one\ntwo"),
            "{failure}"
        );
    }
}
