//! Reading a run folder, also while its run is on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use lab::Metrics;
use lab::metrics::Row;

use super::Fetched;
use crate::RunnerError;
use crate::shim::read_end;

/// The last value of each metric that the run has printed so far, from the last rows of its file.
pub fn last(folder: &Path) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for row in end_of(&folder.join("metrics.jsonl"), 16 << 10)
        .lines()
        .filter_map(|line| serde_json::from_str::<Row>(line).ok())
    {
        values.extend(row.values);
        values.insert("step".to_owned(), row.step as f64);
    }
    values
}

/// The last whole lines of a file, at most `bytes` of them.
fn end_of(path: &Path, bytes: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut read = Vec::new();
        file.take(bytes).read_to_end(&mut read)?;
        if length > bytes {
            let first = read.iter().position(|b| *b == b'\n').map_or(read.len(), |at| at + 1);
            read.drain(..first);
        }
        Ok(read)
    };
    let mut read = read().unwrap_or_default();
    read.truncate(read.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    String::from_utf8_lossy(&read).into_owned()
}

/// Everything that an ended run has left in its folder.
///
/// # Errors
/// Where it has no readable `end.json`, log or metrics.
pub fn fetch(folder: &Path) -> Result<Fetched, RunnerError> {
    let end = read_end(folder).ok_or_else(|| {
        RunnerError::io("read", &folder.join("end.json"))(std::io::ErrorKind::NotFound.into())
    })?;
    let read = |name: &str| -> Result<Vec<u8>, RunnerError> {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(RunnerError::io("read", &path)(e)),
        }
    };
    let rows = read("metrics.jsonl")?;
    let rows = rows.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let metrics = Metrics { rows, summary: end.summary.clone() };
    Ok(Fetched { end, metrics, log: read("log")? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_last_values_come_from_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        assert!(last(folder.path()).is_empty());
        let rows = "{\"step\":1,\"time\":0.1,\"loss\":3.0,\"lr\":0.1}\n{\"step\":2,\"time\":0.2,\"loss\":2.5}\n{\"step\":3,\"ti";
        std::fs::write(folder.path().join("metrics.jsonl"), rows).unwrap();
        let last = last(folder.path());
        assert_eq!(last.get("loss"), Some(&2.5));
        assert_eq!(last.get("lr"), Some(&0.1));
        assert_eq!(last.get("step"), Some(&2.0));
    }
}
