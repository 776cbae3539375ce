//! What a shim is told and what it tells: `job.json` and `end.json` (schema 1).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use lab::Seconds;
use serde::{Deserialize, Serialize};

use crate::sandbox::Policy;

/// One execution of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Version of this format: [`SCHEMA`](lab::SCHEMA).
    pub schema: u32,
    /// The command, for `sh -c`.
    pub command: String,
    /// The folder to run it in.
    pub folder: PathBuf,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// When it is killed, in seconds after its start.
    pub timeout: Seconds,
    /// When it is ended as a success, in seconds after its start (`at_budget: stop`).
    pub stop_at: Option<Seconds>,
    /// How long SIGTERM may take before SIGKILL follows.
    pub grace: Seconds,
    /// Whether its output is read for metrics (a build's is not).
    pub metrics: bool,
    /// What it may do; without one it may do whatever the user may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Policy>,
    /// The cores that it is kept to; all where there are none.
    #[serde(default)]
    pub cores: Vec<usize>,
    /// The GPU whose use is sampled meanwhile.
    #[serde(default)]
    pub gpu: Option<Watch>,
    /// The metric that decides: it is found however many others are printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The JSON file in its folder that it writes further metrics to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
}

/// A GPU to be watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// `nvidia-smi`.
    pub program: PathBuf,
    /// The GPU, as that program and `CUDA_VISIBLE_DEVICES` name it.
    pub gpu: String,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Version of this format: [`SCHEMA`](lab::SCHEMA).
    pub schema: u32,
    /// `0`, `exit 3`, `signal 9`, `timeout`, `budget` (ended at its budget), `limit` (of the machine's use), `changed`
    /// (a build that went well and changed a file that it must not), `stopped` (by a person), or `not started`.
    pub exit: String,
    /// Wall-clock time from the start to the end of the main process.
    pub seconds: Seconds,
    /// What it printed once, by name.
    #[serde(with = "numbers")]
    pub summary: BTreeMap<String, f64>,
    /// The last value of every name that it printed.
    #[serde(with = "numbers")]
    pub last: BTreeMap<String, f64>,
    /// How many bytes it printed.
    pub printed: u64,
    /// How many rows of metrics it printed, or its GPU told; `metrics.jsonl` may hold fewer.
    pub rows: u64,
    /// The files that it changed and must not, each with what was done to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// What else there is to say, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl End {
    pub(super) fn failed(note: String) -> Self {
        Self { schema: lab::SCHEMA, exit: "not started".to_owned(), note: Some(note), ..Self::default() }
    }

    /// Whether the command did what it was to do: it ended by itself with 0, or at its budget.
    pub fn success(&self) -> bool {
        self.exit == "0" || self.exit == "budget"
    }
}

/// A run folder's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {reason}")]
pub struct JobError {
    path: PathBuf,
    reason: String,
}

fn read<T: serde::de::DeserializeOwned>(path: PathBuf) -> Result<T, JobError> {
    let bytes = std::fs::read(&path).map_err(|e| JobError { path: path.clone(), reason: e.to_string() })?;
    serde_json::from_slice(&bytes).map_err(|e| JobError { path, reason: e.to_string() })
}

/// Reads a run folder's `job.json`.
///
/// # Errors
/// Where it is missing or broken, or a newer version wrote it in another format.
pub fn read_job(folder: &Path) -> Result<Job, JobError> {
    let path = folder.join("job.json");
    let job: Job = read(path.clone())?;
    if job.schema > lab::SCHEMA {
        let reason = format!("it has schema {}; this version reads up to {}", job.schema, lab::SCHEMA);
        return Err(JobError { path, reason });
    }
    Ok(job)
}

/// Reads a run folder's `end.json`; `None` while the run is on, or where it was lost.
pub fn read_end(folder: &Path) -> Option<End> {
    read(folder.join("end.json")).ok()
}

/// Room for how a run ended, taken when it begins: what it prints may fill the disk.
const ROOM: usize = 64 << 10;

/// Takes the room on the disk that [`write_end`] will need.
pub(super) fn reserve_end(folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join(PART), vec![b' '; ROOM])
}

/// Where an end is written before it is whole.
const PART: &str = "end.json.part";

pub(super) fn write_end(folder: &Path, end: &End) -> io::Result<()> {
    use std::io::Write;
    let part = folder.join(PART);
    // Over the room that was taken, and the rest of it given back when the new text is there.
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&part)?;
    let text = serde_json::to_vec(end).map_err(io::Error::other)?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()?;
    std::fs::rename(&part, folder.join("end.json"))
}

/// Numbers that JSON cannot hold are written as `null` and read back as NaN.
mod numbers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &BTreeMap<String, f64>, to: S) -> Result<S::Ok, S::Error> {
        let shown: BTreeMap<&String, Option<f64>> =
            values.iter().map(|(name, value)| (name, value.is_finite().then_some(*value))).collect();
        shown.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let read = BTreeMap::<String, Option<f64>>::deserialize(from)?;
        Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn not_a_number_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let summary = BTreeMap::from([("a".to_owned(), f64::NAN), ("b".to_owned(), 2.0)]);
        let end = End { exit: "0".to_owned(), summary, ..End::default() };
        write_end(folder.path(), &end).unwrap();
        let read = read_end(folder.path()).unwrap();
        assert!(read.summary["a"].is_nan());
        assert_eq!(read.summary.get("b"), Some(&2.0));
    }
}
