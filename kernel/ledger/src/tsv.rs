//! `results.tsv`, the format of karpathy/autoresearch: written from a ledger, and read.
//!
//! ```text
//! commit   val_bpb   memory_gb  status   description
//! a1b2c3d  0.997900  44.0       keep     baseline
//! b2c3d4e  0.000000  0.0        crash    double the width
//! ```
//!
//! with a tab between columns. The second column is named after the lab's metric. What forks make of it is read too:
//! other columns, in another order, or no header at all.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use lab::{Experiment, MetricName, Status, Tag};

use crate::{Ledger, LedgerError, message::one_line};

/// The metric of a ledger that has no experiment to name it.
const METRIC: &str = "val_bpb";
/// The summary value that karpathy's `train.py` prints: MiB of GPU memory at most.
pub(crate) const MEMORY: &str = "peak_vram_mb";
/// MiB in a GiB.
pub(crate) const GIB: f64 = 1024.0;

/// What columns are called, in small letters.
const COMMIT: [&str; 4] = ["commit", "sha", "hash", "commit_hash"];
const STATUS: [&str; 4] = ["status", "result", "decision", "verdict"];
const DESCRIPTION: [&str; 6] = ["description", "desc", "hypothesis", "idea", "change", "notes"];
const MEMORY_GB: [&str; 5] = ["memory_gb", "mem_gb", "vram_gb", "peak_vram_gb", "peak_memory_gb"];
const TIME: [&str; 5] = ["timestamp", "time", "date", "started", "datetime"];
/// Columns that number the lines.
const COUNT: [&str; 7] = ["#", "n", "no", "exp", "experiment", "iteration", "run"];

/// A file as it was read.
pub(crate) struct Table {
    /// The metric that its header names.
    pub(crate) metric: MetricName,
    /// Its lines.
    pub(crate) rows: Vec<Row>,
    /// The lines that cannot be read, each with its number and why.
    pub(crate) skipped: Vec<(usize, String)>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its number, from 1.
    pub(crate) line: usize,
    pub(crate) commit: String,
    /// None where it did not run to its end.
    pub(crate) value: Option<f64>,
    pub(crate) status: Status,
    pub(crate) description: String,
    /// When it was tried, where a column says so.
    pub(crate) at: Option<Timestamp>,
    /// What other columns have, the memory among them.
    pub(crate) summary: BTreeMap<String, f64>,
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
}

/// An experiment as a line.
fn line(experiment: &Experiment) -> String {
    let record = &experiment.record;
    let status = written(record.status);
    let ran = status != Status::Crash;
    let value = record.value.filter(|_| ran).unwrap_or(0.0);
    let memory = record.summary.get(MEMORY).filter(|_| ran).map_or(0.0, |mb| mb / GIB);
    let commit = record.candidate.as_str().get(..7).unwrap_or(record.candidate.as_str());
    let mut line = String::new();
    let _ = writeln!(line, "{commit}\t{value:.6}\t{memory:.1}\t{status}\t{}", one_line(&record.hypothesis));
    line
}

/// What the format has for a status.
pub(crate) fn written(status: Status) -> Status {
    match status {
        Status::Keep => Status::Keep,
        Status::Crash | Status::Timeout | Status::Invalid => Status::Crash,
        Status::Discard | Status::Suspect | Status::Waiting => Status::Discard,
    }
}

/// Which column holds what.
struct Columns {
    count: usize,
    commit: usize,
    metric: usize,
    status: usize,
    description: Option<usize>,
    memory: Option<usize>,
    time: Option<usize>,
    /// Those that may hold further numbers, by name.
    more: Vec<(usize, String)>,
}

impl Table {
    /// Reads a file. `metric` is what its metric may be called, where more than one column could be meant or none has
    /// a name.
    ///
    /// # Errors
    /// Where neither the first line is a header nor it is a line of karpathy's five columns.
    pub(crate) fn read(text: &str, metric: Option<&MetricName>) -> Result<Self, LedgerError> {
        let lines = text.trim_start_matches('\u{feff}').split('\n').enumerate();
        let mut lines = lines
            .map(|(i, line)| (i + 1, line.trim_end_matches('\r')))
            .filter(|(_, line)| !line.trim().is_empty())
            .peekable();
        let first = lines.peek().map_or("", |(_, line)| *line);
        let (columns, metric) = if let Some(header) = header(first) {
            lines.next();
            let rest: Vec<&str> = lines.clone().map(|(_, line)| line).collect();
            header.columns(metric, &rest)?
        } else if row(1, first, &karpathy()).is_ok() {
            (karpathy(), metric.cloned().unwrap_or_else(|| MetricName::new(METRIC)))
        } else {
            return Err(LedgerError::Tsv(format!("its first line is `{}`", one_line(first))));
        };
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        for (number, line) in lines {
            match row(number, line, &columns) {
                Ok(row) => rows.push(row),
                Err(why) => skipped.push((number, why)),
            }
        }
        Ok(Self { metric, rows, skipped })
    }
}

/// The columns of a file without a header.
fn karpathy() -> Columns {
    Columns {
        count: 5,
        commit: 0,
        metric: 1,
        memory: Some(2),
        status: 3,
        description: Some(4),
        time: None,
        more: Vec::new(),
    }
}

/// The names of the columns.
struct Header(Vec<String>);

/// The header, if the line is one.
fn header(line: &str) -> Option<Header> {
    let names = Header(line.split('\t').map(|name| name.trim().to_owned()).collect());
    (names.of(&COMMIT).is_some() && names.of(&STATUS).is_some()).then_some(names)
}

impl Header {
    fn of(&self, known: &[&str]) -> Option<usize> {
        self.0.iter().position(|name| known.contains(&name.to_lowercase().as_str()))
    }

    fn columns(
        &self,
        wanted: Option<&MetricName>,
        rows: &[&str],
    ) -> Result<(Columns, MetricName), LedgerError> {
        let missing =
            || LedgerError::Tsv(format!("its header has no metric: `{}`", one_line(&self.0.join(" "))));
        let (commit, status) = (self.of(&COMMIT).ok_or_else(missing)?, self.of(&STATUS).ok_or_else(missing)?);
        let (description, memory, time) = (self.of(&DESCRIPTION), self.of(&MEMORY_GB), self.of(&TIME));
        let taken = [Some(commit), Some(status), description, memory, time, self.of(&COUNT)];
        let free: Vec<usize> =
            (0..self.0.len()).filter(|at| !taken.contains(&Some(*at)) && !self.0[*at].is_empty()).collect();
        let numeric = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.split('\t').nth(at)).map(str::trim);
            let mut filled = cells.filter(|cell| !is_empty(cell)).peekable();
            filled.peek().is_none() || filled.any(|cell| number(cell).is_some())
        };
        let named = |name: &str| free.iter().copied().find(|at| self.0[*at] == name);
        let metric = wanted.and_then(|wanted| named(wanted.as_str())).or_else(|| named(METRIC));
        let metric = metric.or_else(|| free.iter().copied().find(|at| numeric(*at))).ok_or_else(missing)?;
        let more = free.iter().filter(|at| **at != metric).map(|at| (*at, self.0[*at].clone())).collect();
        let name = MetricName::new(self.0[metric].clone());
        Ok((Columns { count: self.0.len(), commit, metric, status, description, memory, time, more }, name))
    }
}

fn row(line: usize, text: &str, columns: &Columns) -> Result<Row, String> {
    // A description that is last may hold tabs.
    let cells: Vec<&str> = text.splitn(columns.count, '\t').map(str::trim).collect();
    let needed = columns.commit.max(columns.metric).max(columns.status) + 1;
    let last_may_lack = columns.description.is_some_and(|at| at + 1 == columns.count);
    if cells.len() < needed || (cells.len() < columns.count && !last_may_lack) {
        return Err(format!("it has {} columns, not {}", cells.len(), columns.count));
    }
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    let status = match cell(columns.status).to_lowercase().as_str() {
        "keep" | "kept" | "accept" | "accepted" | "baseline" => Status::Keep,
        "discard" | "discarded" | "reject" | "rejected" | "revert" | "reverted" => Status::Discard,
        "crash" | "crashed" | "error" | "fail" | "failed" | "oom" => Status::Crash,
        "timeout" => Status::Timeout,
        _ => return Err(format!("`{}` is not `keep`, `discard` or `crash`", cell(columns.status))),
    };
    let commit = cell(columns.commit).trim_matches('`');
    if commit.len() < 4 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("`{commit}` is not the name of a commit"));
    }
    let ran = !matches!(status, Status::Crash | Status::Timeout);
    let told = |at: usize, what: &str| {
        number(cell(at)).ok_or_else(|| format!("`{}` is not a number ({what})", cell(at)))
    };
    let (mut value, mut summary) = (None, BTreeMap::new());
    if ran {
        value = Some(told(columns.metric, "the metric")?);
        if let Some(at) = columns.memory.filter(|at| !is_empty(cell(*at))) {
            summary.insert(MEMORY.to_owned(), told(at, "memory_gb")? * GIB);
        }
        summary.extend(columns.more.iter().filter_map(|(at, name)| Some((name.clone(), number(cell(*at))?))));
    }
    let at = columns.time.map(cell).and_then(time);
    let description = columns.description.map(cell).unwrap_or_default();
    Ok(Row {
        line,
        commit: commit.to_owned(),
        value,
        status,
        description: one_line(description),
        at,
        summary,
    })
}

/// Whether a cell says that there is nothing to say.
fn is_empty(cell: &str) -> bool {
    ["", "-", "–", "n/a", "na", "nan", "none"].contains(&cell.to_lowercase().as_str())
}

fn number(cell: &str) -> Option<f64> {
    cell.trim_end_matches('%').replace(',', "").parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A time as people write it down; one without a zone is in UTC.
fn time(cell: &str) -> Option<Timestamp> {
    let zoned = || cell.parse::<Timestamp>().ok();
    let civil = || cell.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let seconds = || Timestamp::from_second(cell.parse().ok()?).ok();
    zoned().or_else(|| civil().map(|at| at.timestamp())).or_else(seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

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

    fn read(text: &str) -> String {
        let table = match Table::read(text, None) {
            Ok(table) => table,
            Err(error) => return error.to_string(),
        };
        let rows = table.rows.iter().map(|row| {
            let value = row.value.map_or_else(|| "none".to_owned(), |value| value.to_string());
            let at = row.at.map(|at| format!(" at {at}")).unwrap_or_default();
            format!(
                "{}: {} {value} {} {:?} {:?}{at}",
                row.line, row.commit, row.status, row.description, row.summary
            )
        });
        let skipped = table.skipped.iter().map(|(line, why)| format!("{line}: {why}"));
        std::iter::once(table.metric.to_string()).chain(rows).chain(skipped).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_forks_make_of_it_is_read() {
        insta::assert_snapshot!(read(
            "\u{feff}Timestamp\texperiment\tcommit\tStatus\tval_bpb\tpeak_vram_gb\ttok_sec\tmodel\tdescription\r\n\
             2026-03-08T10:00:00Z\t1\ta1b2c3d\tKEEP\t0.9979\t44.0\t1,690,000\topus\tbaseline\r\n\
             2026-03-08 10:06:00\t2\t`b2c3d4e`\treverted\t1.005\t\t-\topus\tGeLU\twith a tab\r\n\
             \t3\tc3d4e5f\tOOM\t0.000000\t0.0\t\topus\t\r\n"
        ), @r#"
        val_bpb
        2: a1b2c3d 0.9979 keep "baseline" {"peak_vram_mb": 45056.0, "tok_sec": 1690000.0} at 2026-03-08T10:00:00Z
        3: b2c3d4e 1.005 discard "GeLU with a tab" {} at 2026-03-08T10:06:00Z
        4: c3d4e5f none crash "" {}
        "#);
        insta::assert_snapshot!(read("a1b2c3d\t0.9979\t44.0\tkeep\tbaseline\nb2c3d4e\t1.1\t44.0\tdiscard\n"), @r#"
        val_bpb
        1: a1b2c3d 0.9979 keep "baseline" {"peak_vram_mb": 45056.0}
        2: b2c3d4e 1.1 discard "" {"peak_vram_mb": 45056.0}
        "#);
        insta::assert_snapshot!(read("status\taccuracy\tsha\nkeep\t51.5%\ta1b2c3d\nkeep\tmany\tb2c3d4e\ngood\t1\tb2c3d4e\nkeep\t1\tx\n"), @r#"
        accuracy
        2: a1b2c3d 51.5 keep "" {}
        3: `many` is not a number (the metric)
        4: `good` is not `keep`, `discard` or `crash`
        5: `x` is not the name of a commit
        "#);
        insta::assert_snapshot!(read("commit\tstatus\n"), @"this is not a results.tsv: its header has no metric: `commit status`");
        insta::assert_snapshot!(read("commit val_bpb memory_gb status description\n"), @"this is not a results.tsv: its first line is `commit val_bpb memory_gb status description`");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(commit|status|val_bpb|keep|a1b2c3d|0\\.5|\\PC|\\t|\\r?\\n){0,40}") {
            let _ = Table::read(&text, None);
        }
    }
}
