//! `results.tsv`, the format of karpathy/autoresearch: written from a ledger, and read into one.
//!
//! ```text
//! commit   val_bpb   memory_gb  status   description
//! a1b2c3d  0.997900  44.0       keep     baseline
//! b2c3d4e  0.000000  0.0        crash    double the width
//! ```
//!
//! with a tab between columns. The second column is named after the lab's metric.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use lab::{
    Cost, Direction, Environment, Epoch, Experiment, ExperimentId, MetricName, Metrics, Record, RunRecord,
    Seconds, Status, Tag,
};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use crate::{Ledger, LedgerError, SCHEMA, message::one_line, open::commit_id};

/// The metric of a ledger that has no experiment to name it.
const METRIC: &str = "val_bpb";
/// The summary value that karpathy's `train.py` prints: MiB of GPU memory at most.
const MEMORY: &str = "peak_vram_mb";
/// MiB in a GiB.
const GIB: f64 = 1024.0;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many experiments were added.
    pub added: u64,
    /// How many were in the ledger from an earlier import.
    pub present: u64,
    /// The lines that were not imported, each with its number and why.
    pub skipped: Vec<(usize, String)>,
}

/// One line.
struct Row<'a> {
    commit: &'a str,
    value: f64,
    memory_gb: f64,
    status: Status,
    description: &'a str,
}

impl Ledger {
    /// The ledger as `results.tsv`, in the order of [`Ledger::experiments`]. The metric is that of the
    /// newest experiment; experiments that another metric decided are left out.
    pub fn export_tsv(&self, tag: &Tag) -> Result<String, LedgerError> {
        let experiments = self.experiments(tag)?;
        let newest = experiments.iter().max_by_key(|e| (e.record.started, e.record.number));
        let metric = newest.map_or_else(|| MetricName::new(METRIC), |e| e.record.metric.clone());
        let mut text = format!("commit\t{metric}\tmemory_gb\tstatus\tdescription\n");
        for experiment in experiments.iter().filter(|e| e.record.metric == metric) {
            text.push_str(&line(experiment));
        }
        Ok(text)
    }

    /// Adds what a `results.tsv` tells to the ledger: its rows whose commit the repository has. Others
    /// are reported. Importing the same again adds nothing.
    ///
    /// The file does not say whether lower is better: kept values that rise say that higher is.
    ///
    /// # Errors
    /// Where the first line is not the header, or the ledger cannot be written.
    pub fn import_tsv(&self, tag: &Tag, text: &str) -> Result<Imported, LedgerError> {
        let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end_matches('\r')));
        let metric = header(lines.next().map_or("", |(_, line)| line))?;
        let mut done = Imported::default();
        let mut rows = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            match row(line) {
                Ok(row) => rows.push((number, row)),
                Err(reason) => done.skipped.push((number, reason)),
            }
        }
        let direction = direction(rows.iter().map(|(_, row)| row));
        let known: Vec<ExperimentId> = self.experiments(tag)?.iter().map(|e| e.record.id).collect();
        let mut best = None;
        for (line, row) in rows {
            let Ok(commit) = self.repo.find_commit_by_prefix(row.commit) else {
                done.skipped.push((line, format!("the repository has no commit `{}`", row.commit)));
                continue;
            };
            let record = self.record(tag, &metric, direction, &row, &commit, best)?;
            if row.status == Status::Keep {
                best = record.value.or(best);
            }
            if known.contains(&record.id) {
                done.present += 1;
                continue;
            }
            let program = self.read(&record.candidate, "program.md")?.unwrap_or_default();
            self.append(&record, &String::from_utf8_lossy(&program), &Metrics::default(), b"")?;
            done.added += 1;
        }
        done.skipped.sort();
        Ok(done)
    }

    fn record(
        &self,
        tag: &Tag,
        metric: &MetricName,
        direction: Direction,
        row: &Row<'_>,
        commit: &git2::Commit<'_>,
        best: Option<f64>,
    ) -> Result<Record, LedgerError> {
        let ran = row.status != Status::Crash;
        let value = ran.then_some(row.value);
        let mut summary = BTreeMap::new();
        if ran {
            summary.insert(metric.to_string(), row.value);
            summary.insert(MEMORY.to_owned(), row.memory_gb * GIB);
        }
        let baseline = best.is_none() && row.status == Status::Keep;
        let exit = if ran { "0" } else { "exit 1" };
        Ok(Record {
            schema: lab::SCHEMA,
            number: self.next_number(tag)?,
            id: id(tag, commit, row),
            writer: self.writer()?,
            tag: tag.clone(),
            status: row.status,
            value,
            delta: value.zip(best).map(|(value, best)| value - best),
            confidence: None,
            parent: commit.parent_id(0).ok().filter(|_| !baseline).map(commit_id),
            candidate: commit_id(commit.id()),
            baseline,
            hypothesis: one_line(row.description),
            proposer: "import".to_owned(),
            started: Timestamp::from_second(commit.time().seconds()).unwrap_or_default(),
            seconds: Seconds(0.0),
            runs: vec![RunRecord { seed: 0, value, seconds: Seconds(0.0), exit: exit.to_owned() }],
            summary,
            cost: Cost::default(),
            reason: "imported from results.tsv".to_owned(),
            claim: (row.status == Status::Keep).then_some(lab::Claim::Unproven),
            author: self.author(),
            program: String::new(),
            rule: format!("import {SCHEMA}"),
            metric: metric.clone(),
            direction,
            epoch: Epoch::new(format!("import-{metric}")),
            environment: Environment::default(),
            other: serde_json::Map::new(),
        })
    }
}

/// An experiment as a line.
fn line(experiment: &Experiment) -> String {
    let record = &experiment.record;
    let status = match record.status {
        Status::Keep => Status::Keep,
        Status::Crash | Status::Timeout | Status::Invalid => Status::Crash,
        Status::Discard | Status::Suspect | Status::Waiting => Status::Discard,
    };
    let ran = status != Status::Crash;
    let value = record.value.filter(|_| ran).unwrap_or(0.0);
    let memory = record.summary.get(MEMORY).filter(|_| ran).map_or(0.0, |mb| mb / GIB);
    let commit = record.candidate.as_str().get(..7).unwrap_or(record.candidate.as_str());
    let mut line = String::new();
    let _ = writeln!(line, "{commit}\t{value:.6}\t{memory:.1}\t{status}\t{}", one_line(&record.hypothesis));
    line
}

/// The metric that a header names.
fn header(line: &str) -> Result<MetricName, LedgerError> {
    match line.trim_start_matches('\u{feff}').split('\t').map(str::trim).collect::<Vec<_>>()[..] {
        ["commit", metric, "memory_gb", "status", "description"] if !metric.is_empty() => {
            Ok(MetricName::new(metric))
        }
        _ => Err(LedgerError::Tsv(format!("its first line is `{}`", one_line(line)))),
    }
}

fn row(line: &str) -> Result<Row<'_>, String> {
    let fields: Vec<_> = line.splitn(5, '\t').map(str::trim).collect();
    let [commit, value, memory, status, description] = fields[..] else {
        return Err(format!("it has {} columns, not 5", fields.len()));
    };
    let number = |text: &str, name: &str| {
        let value = text.parse::<f64>().ok().filter(|v| v.is_finite());
        value.ok_or_else(|| format!("`{text}` is not a number ({name})"))
    };
    let status = match status {
        "keep" => Status::Keep,
        "discard" => Status::Discard,
        "crash" => Status::Crash,
        other => return Err(format!("`{other}` is not `keep`, `discard` or `crash`")),
    };
    if commit.len() < 4 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("`{commit}` is not the name of a commit"));
    }
    Ok(Row {
        commit,
        value: number(value, "the metric")?,
        memory_gb: number(memory, "memory_gb")?,
        status,
        description,
    })
}

/// Whether the kept values fall or rise.
fn direction<'a>(rows: impl Iterator<Item = &'a Row<'a>>) -> Direction {
    let kept: Vec<f64> = rows.filter(|row| row.status == Status::Keep).map(|row| row.value).collect();
    match (kept.first(), kept.last()) {
        (Some(first), Some(last)) if last > first => Direction::Maximize,
        _ => Direction::Minimize,
    }
}

/// The same line of the same ledger always has the same id.
fn id(tag: &Tag, commit: &git2::Commit<'_>, row: &Row<'_>) -> ExperimentId {
    let text = format!("{tag}\0{}\0{}\0{}\0{}", commit.id(), row.status, row.value, row.description);
    let hash = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    ExperimentId(Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{Lab, append, record};

    #[test]
    fn a_ledger_is_written_as_karpathy_does() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let head = ledger.head().unwrap().as_str()[..7].to_owned();
        for (number, status, value, memory, hypothesis) in [
            (0, Status::Keep, Some(0.9979), Some(45060.2), "baseline"),
            (1, Status::Discard, Some(1.005), Some(45060.2), "switch to\tGeLU\n activation"),
            (2, Status::Timeout, Some(0.9), None, "double the width"),
            (3, Status::Crash, None, None, "halve the heads"),
        ] {
            let mut r = record(&ledger, number);
            (r.status, r.value, r.hypothesis) = (status, value, hypothesis.to_owned());
            r.summary = memory.map(|mb| (MEMORY.to_owned(), mb)).into_iter().collect();
            append(&ledger, &r);
        }
        let text = ledger.export_tsv(&Tag::default()).unwrap().replace(&head, "a1b2c3d");
        insta::assert_snapshot!(text.replace('\t', " | "), @r"
        commit | val_bpb | memory_gb | status | description
        a1b2c3d | 0.997900 | 44.0 | keep | baseline
        a1b2c3d | 1.005000 | 44.0 | discard | switch to GeLU activation
        a1b2c3d | 0.000000 | 0.0 | crash | double the width
        a1b2c3d | 0.000000 | 0.0 | crash | halve the heads
        ");
    }

    #[test]
    fn an_empty_ledger_is_its_header() {
        let text = Lab::new().ledger().export_tsv(&Tag::default()).unwrap();
        assert_eq!(text, "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n");
    }

    #[test]
    fn what_was_exported_is_imported_once_and_what_is_unknown_is_reported() {
        let lab = Lab::new();
        let ledger = lab.ledger();
        let tag = Tag::new("old");
        let head = &ledger.head().unwrap().as_str()[..7].to_owned();
        let text = format!(
            "commit\tacc\tmemory_gb\tstatus\tdescription\r\n\
             {head}\t0.510000\t44.0\tkeep\tbaseline\r\n\
             {head}\t0.000000\t0.0\tcrash\tdouble the width\r\n\
             {head}\t0.620000\t43.9\tkeep\tmore heads\r\n\
             0123abc\t0.620000\t43.9\tkeep\telsewhere\n\
             {head}\tmany\t43.9\tkeep\tno number\n\
             \n\
             {head}\t0.1\tkeep\n"
        );
        let done = ledger.import_tsv(&tag, &text).unwrap();
        assert_eq!((done.added, done.present), (3, 0));
        let skipped: Vec<_> = done.skipped.iter().map(|(line, why)| format!("{line}: {why}")).collect();
        insta::assert_snapshot!(skipped.join("\n"), @r"
        5: the repository has no commit `0123abc`
        6: `many` is not a number (the metric)
        8: it has 3 columns, not 5
        ");
        let experiments = ledger.experiments(&tag).unwrap();
        let shown: Vec<_> = experiments
            .iter()
            .map(|e| {
                format!(
                    "{} {} {:?} {:?}",
                    e.record.number, e.record.status, e.record.value, e.record.direction
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        0 keep Some(0.51) Maximize
        1 crash None Maximize
        2 keep Some(0.62) Maximize
        ");
        assert!(experiments[0].record.baseline && !experiments[2].record.baseline);
        let again = ledger.import_tsv(&tag, &text).unwrap();
        assert_eq!((again.added, again.present), (0, 3));
        assert_eq!(ledger.export_tsv(&tag).unwrap().lines().count(), 4);
    }

    #[test]
    fn another_table_is_refused() {
        let error = Lab::new().ledger().import_tsv(&Tag::default(), "a\tb\n").unwrap_err();
        insta::assert_snapshot!(error, @"this is not a results.tsv: its first line is `a b`");
    }
}
