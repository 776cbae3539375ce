//! Frames beside the ledger, as Arrow files: the experiments, named by the ledger commit that they were made from,
//! and the metrics of all experiments that had been recorded at some time.
//!
//! Deleting the files loses nothing, and one that cannot be read is as one that is not there.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use lab::{CommitId, ExperimentId, Tag};
use polars::prelude::DataFrame;

use crate::{Format, read_arrow};

/// Changes when the columns do, so that no version reads another's files.
const VERSION: u32 = 2;

/// The frames of one kind.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// `folder` is made when something is written.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn prefix(tag: &Tag) -> String {
        format!("experiments-{VERSION}-{tag}-")
    }

    fn path(&self, tag: &Tag, commit: &CommitId) -> PathBuf {
        self.folder.join(format!("{}{commit}.arrow", Self::prefix(tag)))
    }

    /// The frame that was kept, and the commit that it was made from: `tip` where there is one of that.
    pub(crate) fn read(&self, tag: &Tag, tip: &CommitId) -> Option<(CommitId, DataFrame)> {
        let kept = self.kept(tag);
        let (commit, path) = kept.iter().find(|(commit, _)| commit == tip).or(kept.first())?;
        let read = read_arrow(path);
        let read = read.inspect_err(|error| tracing::debug!(path = %path.display(), %error, "made anew"));
        Some((commit.clone(), read.ok()?))
    }

    /// The files of a tag, each with the commit that it was made from.
    fn kept(&self, tag: &Tag) -> Vec<(CommitId, PathBuf)> {
        let prefix = Self::prefix(tag);
        let commit = |entry: fs::DirEntry| {
            // Another tag may begin with this one's name: what follows must be a commit alone.
            let name = entry.file_name();
            let commit = name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".arrow")?;
            let is_one = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_one.then(|| (CommitId::new(commit), entry.path()))
        };
        fs::read_dir(&self.folder).into_iter().flatten().flatten().filter_map(commit).collect()
    }

    /// The metrics that were kept, and of which experiments they are.
    pub(crate) fn read_metrics(&self, tag: &Tag) -> Option<(HashSet<ExperimentId>, DataFrame)> {
        let (list, frame) = self.metrics_paths(tag);
        let ids: HashSet<ExperimentId> = serde_json::from_slice(&fs::read(list).ok()?).ok()?;
        let frame = read_arrow(&frame).ok()?;
        Some((ids, frame))
    }

    /// Keeps the metrics of these experiments. What cannot be written is only slower next time.
    pub(crate) fn write_metrics(&self, tag: &Tag, ids: &HashSet<ExperimentId>, metrics: &DataFrame) {
        let (list, frame) = self.metrics_paths(tag);
        let write = || {
            fs::create_dir_all(&self.folder)?;
            // The list goes first and comes last: it never speaks of a frame that is not whole.
            match fs::remove_file(&list) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            Format::Arrow.write(metrics, &frame).map_err(std::io::Error::other)?;
            let unfinished = list.with_extension(format!("{}.tmp", std::process::id()));
            fs::write(&unfinished, serde_json::to_vec(ids)?)?;
            fs::rename(unfinished, &list)
        };
        if let Err(error) = write() {
            tracing::debug!(folder = %self.folder.display(), %error, "not kept");
        }
    }

    fn metrics_paths(&self, tag: &Tag) -> (PathBuf, PathBuf) {
        let path = |extension: &str| self.folder.join(format!("metrics-{VERSION}-{tag}.{extension}"));
        (path("json"), path("arrow"))
    }

    /// Keeps the frame and removes those of older commits. What cannot be written is only slower next time.
    pub(crate) fn write(&self, tag: &Tag, commit: &CommitId, frame: &DataFrame) {
        if let Err(error) = self.try_write(tag, commit, frame) {
            tracing::debug!(folder = %self.folder.display(), %error, "not kept");
        }
    }

    fn try_write(&self, tag: &Tag, commit: &CommitId, frame: &DataFrame) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(tag, commit);
        Format::Arrow.write(frame, &path).map_err(std::io::Error::other)?;
        for (_, old) in self.kept(tag).into_iter().filter(|(_, kept)| *kept != path) {
            let _ = fs::remove_file(old);
        }
        Ok(())
    }
}
