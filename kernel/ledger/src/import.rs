//! What was done without Overnight becomes experiments: a `results.tsv`, and the branch that goes with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use git2::{Commit, Oid};
use jiff::Timestamp;
use lab::{
    CommitId, Cost, Direction, Environment, Epoch, ExperimentId, Lab, MetricName, Metrics, Record, RunRecord,
    Seconds, Status, Tag,
};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use crate::{
    Ledger, LedgerError, SCHEMA,
    message::one_line,
    open::commit_id,
    packing::LOOSE,
    tsv::{Row, Table, written},
};

/// The name of the file.
const RESULTS: &str = "results.tsv";

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many experiments were added.
    pub added: u64,
    /// How many were in the ledger already.
    pub present: u64,
    /// How many of those added have lost their change: git has their commit no more.
    pub lost: u64,
    /// How many commits of the branch no line names.
    pub unnamed: u64,
    /// The candidate that the next experiments build on, where the import has set it.
    pub best: Option<CommitId>,
    /// The lines that were not imported, each with its number and why.
    pub skipped: Vec<(usize, String)>,
}

/// A branch as karpathy/autoresearch leaves it.
struct Branch<'a> {
    /// Its commits since it left the others, the oldest first, and the one before them.
    commits: Vec<Commit<'a>>,
}

/// Where an import is.
struct Import<'a> {
    tag: &'a Tag,
    metric: MetricName,
    direction: Direction,
    /// The value of the last that was kept.
    best: Option<f64>,
    /// Its commit.
    tip: Option<Oid>,
    /// When the last line was tried.
    at: Timestamp,
    /// The author of the last line whose commit is there.
    author: String,
    /// How often each line came.
    seen: BTreeMap<String, u64>,
}

impl Ledger {
    /// Adds what a `results.tsv` tells to the ledger: its rows whose commit the repository has. Others
    /// are reported. Importing the same again adds nothing.
    ///
    /// The file does not say whether lower is better: `lab` does where it has the same metric, else kept values
    /// that rise say that higher is.
    ///
    /// # Errors
    /// Where it is no such file, or the ledger cannot be written.
    pub fn import_tsv(&self, tag: &Tag, text: &str, lab: Option<&Lab>) -> Result<Imported, LedgerError> {
        self.import(tag, text, lab, None)
    }

    /// Adds a branch of karpathy/autoresearch with its `results.tsv`: kept changes are commits of the branch, others
    /// may be in the repository still. What git has lost is recorded with its value, and with the commit that it was
    /// made on as its candidate. The last that was kept becomes the best where there is none, so that a loop goes on
    /// from there.
    ///
    /// # Errors
    /// As [`Ledger::import_tsv`], and where there is no such branch.
    pub fn import_branch(
        &self,
        tag: &Tag,
        name: &str,
        text: &str,
        lab: Option<&Lab>,
    ) -> Result<Imported, LedgerError> {
        let branch = self.old_branch(name)?;
        let mut done = self.import(tag, text, lab, Some(&branch))?;
        if self.best(tag)?.is_none() {
            let experiments = self.experiments(tag)?;
            let own = self.writer()?;
            let mut kept =
                experiments.iter().filter(|e| e.record.status == Status::Keep && e.record.writer == own);
            if let Some(last) = kept.next_back() {
                self.keep(tag, &last.record.candidate)?;
                done.best = Some(last.record.candidate.clone());
            }
        }
        Ok(done)
    }

    /// The `results.tsv` that belongs to a branch: the one in it, else the one in the researcher's checkout.
    pub fn results_of(&self, branch: &str) -> Result<Option<String>, LedgerError> {
        let tip = commit_id(self.tip_of(branch)?);
        let committed = self.read(&tip, RESULTS)?;
        let bytes = committed.or_else(|| std::fs::read(self.root().join(RESULTS)).ok());
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The commit that a branch is at: `autoresearch/mar5`, or `mar5`.
    fn tip_of(&self, name: &str) -> Result<Oid, LedgerError> {
        let names = [name.to_owned(), format!("autoresearch/{name}")];
        let found = names.iter().find_map(|name| self.repo.revparse_single(name).ok()?.peel_to_commit().ok());
        found.map(|commit| commit.id()).ok_or_else(|| LedgerError::UnknownCommit(name.to_owned()))
    }

    fn old_branch(&self, name: &str) -> Result<Branch<'_>, LedgerError> {
        let tip = self.tip_of(name)?;
        let mut walk = self.repo.revwalk()?;
        walk.simplify_first_parent()?;
        walk.push(tip)?;
        // It left the others where the first of them has its commits.
        let mut others = HashSet::new();
        for other in ["main", "master", "origin/HEAD", "HEAD"] {
            let other = self.repo.revparse_single(other).and_then(|other| other.peel_to_commit());
            if let Some(base) = other.ok().and_then(|other| self.repo.merge_base(tip, other.id()).ok())
                && base != tip
            {
                others.insert(base);
                break;
            }
        }
        let mut commits = Vec::new();
        for oid in walk {
            let oid = oid?;
            commits.push(self.repo.find_commit(oid)?);
            if others.contains(&oid) {
                break;
            }
        }
        commits.reverse();
        Ok(Branch { commits })
    }

    fn import(
        &self,
        tag: &Tag,
        text: &str,
        lab: Option<&Lab>,
        branch: Option<&Branch<'_>>,
    ) -> Result<Imported, LedgerError> {
        let Table { metric, rows, skipped } = Table::read(text, lab.map(|lab| &lab.metric))?;
        let mut done = Imported { skipped, ..Imported::default() };
        let of_lab = lab.filter(|lab| lab.declared && lab.metric == metric).map(|lab| lab.direction);
        let experiments = self.experiments(tag)?;
        let known: HashSet<ExperimentId> = experiments.iter().map(|e| e.record.id).collect();
        let native: HashSet<String> = experiments
            .iter()
            .map(|e| &e.record)
            .filter(|record| record.metric == metric)
            .map(|r| told(&r.candidate, written(r.status), r.value, &r.hypothesis))
            .collect();
        let mut import = Import {
            tag,
            direction: of_lab.unwrap_or_else(|| direction(&rows)),
            metric,
            best: None,
            tip: branch.and_then(|branch| branch.commits.first()).map(Commit::id),
            at: Timestamp::UNIX_EPOCH,
            author: self.author(),
            seen: BTreeMap::new(),
        };
        let mut named: BTreeSet<Oid> = BTreeSet::new();
        for row in &rows {
            let commit = self.repo.find_commit_by_prefix(&row.commit).ok();
            let commit = commit.or_else(|| branch.and_then(|branch| branch.amended(row, &named)));
            let lost = commit.is_none();
            let commit = commit.or_else(|| self.repo.find_commit(branch.and(import.tip)?).ok());
            let Some(commit) = commit else {
                done.skipped.push((row.line, format!("the repository has no commit `{}`", row.commit)));
                continue;
            };
            let record = self.record(&mut import, row, &commit, lost)?;
            if !lost {
                named.insert(commit.id());
                if row.status == Status::Keep {
                    import.tip = Some(commit.id());
                }
            }
            if row.status == Status::Keep {
                import.best = record.value.or(import.best);
            }
            let same = told(&record.candidate, written(record.status), record.value, &record.hypothesis);
            if known.contains(&record.id) || (!lost && native.contains(&same)) {
                done.present += 1;
                continue;
            }
            let program = self.read(&record.candidate, "program.md")?.unwrap_or_default();
            self.append(&record, &String::from_utf8_lossy(&program), &Metrics::default(), b"")?;
            done.added += 1;
            done.lost += u64::from(lost);
            if done.added.is_multiple_of(LOOSE as u64) {
                self.pack(tag)?;
            }
        }
        if let Some(branch) = branch {
            let own = branch.commits.iter().skip(1);
            done.unnamed = own.filter(|commit| !named.contains(&commit.id())).count() as u64;
        }
        done.skipped.sort();
        Ok(done)
    }

    fn record(
        &self,
        import: &mut Import<'_>,
        row: &Row,
        commit: &Commit<'_>,
        lost: bool,
    ) -> Result<Record, LedgerError> {
        let Import { tag, metric, best, .. } = &*import;
        let (tag, metric, best) = (*tag, metric.clone(), *best);
        let mut summary = row.summary.clone();
        summary.extend(row.value.map(|value| (metric.to_string(), value)));
        let baseline = best.is_none() && row.status == Status::Keep;
        let mut hypothesis = row.description.clone();
        let mut reason = "imported from results.tsv".to_owned();
        let parent = if lost {
            reason = format!("{reason}; its change is lost: git has no commit `{}`", row.commit);
            Some(commit.id())
        } else {
            let seconds = commit.time().seconds();
            import.at = Timestamp::from_second(seconds).unwrap_or_default();
            if let Ok(Some(author)) =
                commit.author().name().map(|name| Some(one_line(name)).filter(|n| !n.is_empty()))
            {
                import.author = author;
            }
            if hypothesis.is_empty() {
                hypothesis = commit.summary().ok().flatten().map(one_line).unwrap_or_default();
            }
            commit.parent_id(0).ok()
        };
        import.at = row.at.unwrap_or(import.at);
        // A line of a commit that is there is the same however its name was cut.
        let name = if lost { row.commit.clone() } else { commit.id().to_string() };
        let line =
            format!("{tag}\0{name}\0{}\0{}\0{}", row.status, row.value.unwrap_or(0.0), row.description);
        let times = import.seen.entry(line.clone()).or_default();
        *times += 1;
        let id = id(&line, *times - 1);
        let exit = match row.status {
            Status::Crash => "exit 1",
            Status::Timeout => "timeout",
            _ => "0",
        };
        Ok(Record {
            schema: lab::SCHEMA,
            number: self.next_number(tag)?,
            id,
            writer: self.writer()?,
            tag: tag.clone(),
            status: row.status,
            value: row.value,
            delta: row.value.zip(best).map(|(value, best)| value - best),
            confidence: None,
            parent: parent.filter(|_| !baseline).map(commit_id),
            candidate: commit_id(commit.id()),
            baseline,
            hypothesis,
            proposer: "import".to_owned(),
            started: import.at,
            seconds: Seconds(0.0),
            runs: vec![RunRecord { seed: 0, value: row.value, seconds: Seconds(0.0), exit: exit.to_owned() }],
            summary,
            cost: Cost::default(),
            reason,
            claim: (row.status == Status::Keep).then_some(lab::Claim::Unproven),
            author: import.author.clone(),
            program: String::new(),
            rule: format!("import {SCHEMA}"),
            direction: import.direction,
            epoch: Epoch::new(format!("import-{metric}")),
            metric,
            environment: Environment::default(),
            other: serde_json::Map::new(),
        })
    }
}

impl Branch<'_> {
    /// The commit of a kept line whose own was amended: it says the same.
    fn amended(&self, row: &Row, named: &BTreeSet<Oid>) -> Option<Commit<'_>> {
        if row.status != Status::Keep || row.description.is_empty() {
            return None;
        }
        let same = |commit: &&Commit<'_>| {
            commit.summary().ok().flatten().is_some_and(|summary| one_line(summary) == row.description)
        };
        self.commits.iter().filter(|commit| !named.contains(&commit.id())).find(same).cloned()
    }
}

/// What a line tells of an experiment.
fn told(candidate: &CommitId, status: Status, value: Option<f64>, hypothesis: &str) -> String {
    let value = value.filter(|_| status != Status::Crash).unwrap_or(0.0);
    format!("{candidate} {status} {value:.6} {}", one_line(hypothesis))
}

/// Whether the kept values fall or rise.
fn direction(rows: &[Row]) -> Direction {
    let mut kept = rows.iter().filter(|row| row.status == Status::Keep).filter_map(|row| row.value);
    match (kept.next(), kept.next_back()) {
        (Some(first), Some(last)) if last > first => Direction::Maximize,
        _ => Direction::Minimize,
    }
}

/// The same line of the same ledger always has the same id; `before` tells the second of two that are the same.
fn id(line: &str, before: u64) -> ExperimentId {
    let mut text = line.to_owned();
    if before > 0 {
        text.push_str(&format!("\0{before}"));
    }
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
    fn a_long_table_is_packed_meanwhile() {
        let (lab, tag) = (Lab::new(), Tag::new("old"));
        let ledger = lab.ledger();
        let head = ledger.head().unwrap();
        let row = |number| format!("{head}\t0.5\t44.0\tdiscard\tattempt {number}\n");
        let rows: String = (0..2 * LOOSE + 10).map(row).collect();
        let text = format!("commit\tacc\tmemory_gb\tstatus\tdescription\n{rows}");
        assert_eq!(ledger.import_tsv(&tag, &text, None).unwrap().added, 266);
        let counted = lab.git("count-objects");
        let loose: usize = counted.split(' ').next().unwrap().parse().unwrap();
        assert!(loose < 12 * LOOSE, "{counted}");
        assert_eq!(lab.ledger().experiments(&tag).unwrap().len(), 266);
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
             {head}\t0.000000\t0.0\tcrash\tdouble the width\r\n\
             {head}\t0.620000\t43.9\tkeep\tmore heads\r\n\
             0123abc\t0.620000\t43.9\tkeep\telsewhere\n\
             {head}\tmany\t43.9\tkeep\tno number\n\
             \n\
             {head}\t0.1\tkeep\n"
        );
        let done = ledger.import_tsv(&tag, &text, None).unwrap();
        assert_eq!((done.added, done.present), (4, 0));
        let skipped: Vec<_> = done.skipped.iter().map(|(line, why)| format!("{line}: {why}")).collect();
        insta::assert_snapshot!(skipped.join("\n"), @r"
        6: the repository has no commit `0123abc`
        7: `many` is not a number (the metric)
        9: it has 3 columns, not 5
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
        2 crash None Maximize
        3 keep Some(0.62) Maximize
        ");
        assert!(experiments[0].record.baseline && !experiments[3].record.baseline);
        let again = ledger.import_tsv(&tag, &text, None).unwrap();
        assert_eq!((again.added, again.present), (0, 4));
        assert_eq!(ledger.export_tsv(&tag).unwrap().lines().count(), 5);
    }

    #[test]
    fn what_a_ledger_has_written_is_not_added_to_it() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        for (number, status) in [(0, Status::Keep), (1, Status::Timeout), (2, Status::Discard)] {
            let mut r = record(&ledger, number);
            (r.status, r.hypothesis) = (status, format!("try\t{number}"));
            append(&ledger, &r);
        }
        let text = ledger.export_tsv(&tag).unwrap();
        let done = ledger.import_tsv(&tag, &text, None).unwrap();
        assert_eq!((done.added, done.present), (0, 3));
        assert_eq!(ledger.import_tsv(&Tag::new("other"), &text, None).unwrap().added, 3);
        assert_eq!(ledger.export_tsv(&Tag::new("other")).unwrap(), text, "there and back");
    }

    #[test]
    fn another_table_is_refused() {
        let error = Lab::new().ledger().import_tsv(&Tag::default(), "a\tb\n", None).unwrap_err();
        insta::assert_snapshot!(error, @"this is not a results.tsv: its first line is `a b`");
    }
}
