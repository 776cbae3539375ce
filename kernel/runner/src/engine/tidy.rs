//! What a runner that was killed has left, and nobody needs any more, is removed by the next one.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use super::Engine;
use crate::history::History;
use crate::processes::Process;
use crate::shim;

impl Engine {
    /// Removes it. Only whoever holds the lab may: nobody else writes these files.
    pub(super) async fn tidy(&self, history: &History) {
        if let Err(error) = self.store.tidy(&self.paths.cache).await {
            tracing::debug!(%error, "the repository was not looked through");
        }
        let wanted: HashSet<String> = history.unfinished.iter().map(|trial| trial.id.to_string()).collect();
        let runs: HashSet<String> =
            history.unfinished.iter().flat_map(|trial| &trial.all_runs).map(ToString::to_string).collect();
        crate::blocking::here(|| {
            for folder in [&self.paths.state, &self.paths.cache, &self.paths.state.join("drafts")] {
                remove_where(folder, |path| path.extension() == Some(OsStr::new("part")));
            }
            remove_where(&self.paths.state.join("drafts"), |path| {
                path.file_stem().and_then(OsStr::to_str).is_some_and(|id| !wanted.contains(id))
            });
            remove_where(&self.paths.cache.join("runs"), |path| {
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
                let lives = shim::process(path).is_some_and(Process::lives);
                !runs.contains(name) && !lives && shim::read_end(path).is_none()
            });
        });
    }
}

/// Removes what of a folder is not wanted.
fn remove_where(folder: &Path, unwanted: impl Fn(&Path) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if unwanted(&path) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            tracing::debug!(path = %path.display(), ?removed, "left behind by a runner that was killed");
        }
    }
}
