//! The lab's tables as polars frames.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use polars::prelude::DataFrame;
use polars_io::ipc::{IpcReader, IpcWriter};
use polars_io::{SerReader, SerWriter};
use serde_json::{Value, json};

use crate::display::drawn;
use crate::{Error, Result};

/// The `overnight` program, as the kernel sets it.
const PROGRAM: &str = "OVERNIGHT_PROGRAM";
/// The folder of this notebook's named frames, as the kernel sets it.
const FRAMES: &str = "OVERNIGHT_FRAMES";
/// Rows that a frame shows, the first and the last ones.
const SHOWN: usize = 20;

/// One row per experiment in the ledger: `number`, `status`, `value`, `delta`, `hypothesis`, …
pub fn experiments() -> Result<DataFrame> {
    table("experiments", None)
}

/// One row per step of an experiment's run: its number, `"best"`, `"latest"`, `"running"` or `"all"`.
/// A run in progress is read up to this moment.
pub fn metrics(of: impl Display) -> Result<DataFrame> {
    table("metrics", Some(&of.to_string()))
}

/// One row per run, those in progress among them.
pub fn runs() -> Result<DataFrame> {
    table("runs", None)
}

/// One row per event: steering, notes, overrides, what the loop did.
pub fn events() -> Result<DataFrame> {
    table("events", None)
}

/// A frame that `%%sql --save NAME` or [`export`] has left.
pub fn frame(name: &str) -> Result<DataFrame> {
    let path = named(name)?;
    let file = File::open(&path)
        .map_err(|_| Error::new(format!("there is no frame `{name}`: `%%sql --save {name}` makes one")))?;
    Ok(IpcReader::new(file).finish()?)
}

/// Gives a frame a name, by which `%%sql` can query it and [`frame`] gets it back.
pub fn export(name: &str, frame: &DataFrame) -> Result<()> {
    let path = named(name)?;
    let unfinished = path.with_extension("new");
    IpcWriter::new(File::create(&unfinished)?).finish(&mut frame.clone())?;
    Ok(fs::rename(&unfinished, &path)?)
}

/// What changed from one experiment's candidate to another's: numbers, `"best"` or `"latest"`.
pub fn diff(a: impl Display, b: impl Display) -> Result<Diff> {
    let answer = ask(program()?.arg("--json").arg("diff").arg(a.to_string()).arg(b.to_string()))?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| Error::new(error.to_string()))?;
    Ok(Diff { unified: answer["diff"].as_str().unwrap_or_default().to_owned() })
}

/// The difference of two candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// As `git diff` writes it; empty where there is none.
    pub unified: String,
}

impl Diff {
    pub(crate) fn show(&self) {
        drawn("diff", &json!({"unified": self.unified}));
    }
}

/// Shows a frame: the kernel draws the table, and is given the rows that it shows.
pub(crate) fn show(frame: &DataFrame) {
    let height = frame.height();
    let rows = if height <= 2 * SHOWN {
        Ok(frame.clone())
    } else {
        frame.head(Some(SHOWN)).vstack(&frame.tail(Some(SHOWN)))
    };
    match rows.map_err(Error::from).and_then(|rows| leave(&rows)) {
        Ok(path) => drawn("frame", &json!({"path": path, "rows": height})),
        // Where the kernel cannot read it, polars' own way of writing it is better than nothing.
        Err(_) => crate::display("text/plain", &frame.to_string()),
    }
}

/// Leaves a frame where the kernel reads it, and removes it then.
pub(crate) fn leave(frame: &DataFrame) -> Result<PathBuf> {
    static LEFT_SO_FAR: AtomicU64 = AtomicU64::new(0);
    let path = folder()?.join(format!(".shown-{}.arrow", LEFT_SO_FAR.fetch_add(1, Relaxed)));
    IpcWriter::new(File::create(&path)?).finish(&mut frame.clone())?;
    Ok(path)
}

/// A table, from a file that the program writes.
fn table(name: &str, of: Option<&str>) -> Result<DataFrame> {
    static ASKED_SO_FAR: AtomicU64 = AtomicU64::new(0);
    let number = ASKED_SO_FAR.fetch_add(1, Relaxed);
    let path = folder()?.join(format!(".asked-{number}.arrow"));
    let mut command = program()?;
    command.args(["export", "--table", name, "--to", "arrow"]).arg(&path);
    if let Some(of) = of {
        command.args(["--of", of]);
    }
    ask(&mut command)?;
    // The file is read whole, so it may go at once.
    let frame = IpcReader::new(File::open(&path)?).finish();
    let _ = fs::remove_file(&path);
    Ok(frame?)
}

/// Runs the program; what it says on standard error is the error.
fn ask(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(said.trim().trim_start_matches("error: ")))
}

/// The program, asked about the lab that the notebook is about now.
fn program() -> Result<Command> {
    let program = env::var_os(PROGRAM).ok_or_else(|| Error::new(format!("{PROGRAM} is not set")))?;
    let mut command = Command::new(program);
    if let Ok(lab) = fs::read(folder()?.join(".lab")) {
        command.arg("--lab").arg(OsString::from_vec(lab));
    }
    Ok(command)
}

fn folder() -> Result<PathBuf> {
    let folder = env::var_os(FRAMES).ok_or_else(|| Error::new(format!("{FRAMES} is not set")))?;
    Ok(folder.into())
}

fn named(name: &str) -> Result<PathBuf> {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    if !plain {
        return Err(Error::new(format!("`{name}` is no name for a frame: letters, digits and _ make one")));
    }
    Ok(folder()?.join(format!("{name}.arrow")))
}
