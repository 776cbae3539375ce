//! Every environment variable that Overnight reads or sets, in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A folder inside the lab's repository, instead of the current one.
pub(crate) const LAB: &str = "OVERNIGHT_LAB";
/// The model that answers questions (`ask`), such as `anthropic:MODEL`.
pub(crate) const AGENT: &str = "OVERNIGHT_AGENT";
/// The filter of the kernel's and the runner's log files, such as `debug` or `runner=trace`.
pub(crate) const LOG: &str = "OVERNIGHT_LOG";
/// Set for Rust cells: this program, which they ask for the lab's frames.
pub(crate) const PROGRAM: &str = "OVERNIGHT_PROGRAM";
/// Set for Rust cells: the folder of the frames that they share with SQL.
pub(crate) const FRAMES: &str = "OVERNIGHT_FRAMES";
/// The most seconds that a run of a rehearsal is given as its budget.
pub(crate) const REHEARSAL: &str = "OVERNIGHT_REHEARSAL_SECONDS";
/// Set by Jupyter: the process that started the kernel, with which the kernel ends.
pub(crate) const JPY_PARENT_PID: &str = "JPY_PARENT_PID";

/// Set by Jupyter: the notebook that the kernel is for.
pub(crate) const JPY_SESSION_NAME: &str = "JPY_SESSION_NAME";

/// The value of a variable, if it is set, not empty, and text.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable that holds a path, if it is set and absolute.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The environment of this process, for the runs that it starts.
pub(crate) fn all() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
