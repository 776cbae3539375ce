//! Checks what must hold of a lab's git: the objects, the ledgers, the refs, the worktrees.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use git2::Oid;
use lab::{ExperimentId, Lab, Record, Status, Tag};
use serde::Serialize;

use crate::{BranchMoved, Ledger, LedgerError, error::on_file, open::commit_id, refs::branch_ref};

/// Nobody holds a lock of ours for so long: its holder was killed.
const STALE: Duration = Duration::from_secs(5);
/// So many things of one kind are told one by one.
const TOLD: usize = 5;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: String,
    /// How it stands.
    pub state: Health,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Sound,
    /// As it may be: worth knowing.
    Note,
    /// It was not as it should be, and is now.
    Mended,
    /// Not as it should be.
    Problem,
}

impl Finding {
    /// Something that is as it should be.
    pub fn sound(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), state: Health::Sound, found: found.into(), mend: None }
    }

    /// Something worth knowing.
    pub fn note(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: Health::Note, ..Self::sound(what, found) }
    }

    /// Something that was mended just now.
    pub fn mended(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: Health::Mended, ..Self::sound(what, found) }
    }

    /// Something that is wrong.
    pub fn problem(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: Health::Problem, ..Self::sound(what, found) }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

impl Ledger {
    /// Checks the ledgers and everything that they hold on to. Nothing is changed.
    ///
    /// # Errors
    /// Where git cannot be asked at all; what is wrong is told in the answer.
    pub fn fsck(&self) -> Result<Vec<Finding>, LedgerError> {
        let mut findings = vec![self.objects()?];
        let tags = self.tags()?;
        if tags.is_empty() {
            findings.push(Finding::note("ledger", "there is none yet: `overnight loop start` begins one"));
        }
        for tag in tags {
            findings.extend(self.ledger_is_sound(&tag)?);
        }
        Ok(findings)
    }

    /// Everything that our refs hold on to is in the repository.
    fn objects(&self) -> Result<Finding, LedgerError> {
        let mut roots = Vec::new();
        let mut broken = Vec::new();
        for reference in self.repo.references_glob("refs/overnight/*")? {
            let reference = reference?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            match reference.target().filter(|oid| self.repo.find_commit(*oid).is_ok()) {
                Some(oid) => roots.push(oid.to_string()),
                None => broken.push(name),
            }
        }
        let mend = "A remote may have it: `overnight merge REMOTE`. Or take .git from a backup.";
        if !broken.is_empty() {
            let found = format!("{} is at a commit that is not there", broken.join(", "));
            return Ok(Finding::problem("objects", found).mend(mend));
        }
        let refs = roots.len();
        roots.sort();
        roots.dedup();
        if roots.is_empty() {
            return Ok(Finding::sound("objects", "nothing is held on to yet"));
        }
        let options = ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"].map(str::to_owned);
        match self.git().run(options.into_iter().chain(roots)) {
            Ok(_) => {
                Ok(Finding::sound("objects", format!("everything that {refs} refs hold on to is there")))
            }
            Err(LedgerError::Command { output, .. }) => {
                let lines: Vec<&str> = output.lines().take(TOLD).collect();
                Ok(Finding::problem("objects", format!("git misses some: {}", lines.join("; "))).mend(mend))
            }
            Err(error) => Err(error),
        }
    }

    fn ledger_is_sound(&self, tag: &Tag) -> Result<Vec<Finding>, LedgerError> {
        let what = format!("ledger {tag}");
        let Some(tip) = self.tip(tag)? else { return Ok(Vec::new()) };
        let contents = match self.contents(tag, &tip, None) {
            Ok(contents) => contents,
            Err(error) => return Ok(vec![Finding::problem(what, error.to_string()).mend(error.hint())]),
        };
        let mut findings = Vec::new();
        let older =
            format!("An older commit of it may be whole: git log --first-parent refs/overnight/ledger/{tag}");
        let flaws: Vec<String> = contents.flaws.iter().map(|(path, why)| format!("{path}: {why}")).collect();
        findings.extend(told(&what, &flaws, &older));
        if contents.flaws.is_empty() {
            let unknown = if contents.unknown > 0 {
                format!("; {} more are of a newer version", contents.unknown)
            } else {
                String::new()
            };
            let found = format!(
                "{} experiments and {} events can be read{unknown}",
                contents.records.len(),
                contents.events.len()
            );
            findings.push(Finding::sound(&what, found));
        }
        let what = format!("candidates {tag}");
        let strange = self.strange_candidates(&contents.records, Oid::from_str(tip.as_str())?)?;
        if strange.is_empty() {
            let found = "each is held on to by the ledger, and changes only what its program let it change";
            findings.push(Finding::sound(&what, found));
        }
        findings.extend(told(&what, &strange, "Look at them: overnight diff N"));
        let known: HashSet<ExperimentId> = contents.records.iter().map(|record| record.id).collect();
        let about = contents.events.iter().filter_map(|entry| entry.event.experiment());
        let lost = about.filter(|id| !known.contains(id)).count();
        if lost > 0 {
            let found = format!("{lost} events are about experiments that are not in it");
            findings.push(Finding::note(format!("events {tag}"), found));
        }
        findings.extend(self.branch_follows(tag)?);
        Ok(findings)
    }

    /// The candidates that `git gc` could take, and those that changed what they should not.
    fn strange_candidates(&self, records: &[Record], tip: Oid) -> Result<Vec<String>, LedgerError> {
        let mut walk = self.repo.revwalk()?;
        walk.push(tip)?;
        let held: HashSet<Oid> = walk.filter_map(Result::ok).collect();
        let mut programs: BTreeMap<&str, Option<Lab>> = BTreeMap::new();
        let mut strange = Vec::new();
        for record in records {
            let Ok(candidate) = Oid::from_str(record.candidate.as_str()) else { continue };
            let say = |why: &str| format!("experiment {} of {}: {why}", record.number, record.writer);
            if !held.contains(&candidate) {
                strange.push(say("its ledger does not hold on to its candidate"));
            }
            // What was made elsewhere was not bound by a program, and what broke a rule says so itself.
            let free = record.baseline || record.status == Status::Invalid || record.proposer == "import";
            let Some(parent) = record.parent.as_ref().filter(|_| !free) else { continue };
            let lab = programs
                .entry(&record.program)
                .or_insert_with(|| Lab::parse(&self.program(&record.program).ok()?).ok());
            if let Some(lab) = lab {
                let others = self.locked_changes(parent.as_str(), candidate, lab).unwrap_or_default();
                if !others.is_empty() {
                    strange
                        .push(say(&format!("its candidate changes {}, which is locked", others.join(", "))));
                }
            }
        }
        Ok(strange)
    }

    /// The files that a candidate changes and may not.
    fn locked_changes(&self, parent: &str, candidate: Oid, lab: &Lab) -> Result<Vec<String>, LedgerError> {
        let tree = |oid: Oid| self.repo.find_commit(oid).and_then(|commit| commit.tree());
        let diff = self.repo.diff_tree_to_tree(
            Some(&tree(Oid::from_str(parent)?)?),
            Some(&tree(candidate)?),
            None,
        )?;
        let editable = lab.editable();
        let paths = diff
            .deltas()
            .filter_map(|delta| delta.new_file().path().or(delta.old_file().path()).map(Path::to_owned));
        let paths = paths.map(|path| path.to_string_lossy().into_owned());
        Ok(paths.filter(|path| !editable.contains(path)).take(TOLD).collect())
    }

    /// Whether the branch is where the best is, or why not.
    fn branch_follows(&self, tag: &Tag) -> Result<Option<Finding>, LedgerError> {
        let Some(best) = self.best(tag)? else { return Ok(None) };
        let name = branch_ref(tag);
        let branch = name.trim_start_matches("refs/heads/").to_owned();
        let what = format!("branch {tag}");
        let finding = match self.target(&name)?.map(commit_id) {
            Some(at) if at == best => Finding::sound(what, format!("{branch} is at the best candidate")),
            at => match (self.checked_out(&name), at) {
                (Some(worktree), _) => {
                    Finding::note(what, BranchMoved::CheckedOut { branch, worktree }.to_string())
                }
                (None, Some(at)) if !self.is_ancestor(&at, &best)? => {
                    Finding::note(what, BranchMoved::Diverged { branch, at }.to_string())
                }
                (None, _) => Finding::problem(what, format!("{branch} is behind the best candidate"))
                    .mend("`overnight fsck --repair` moves it on"),
            },
        };
        Ok(Some(finding))
    }

    /// The entries in the repository's list of worktrees that are of `folder` and lead nowhere; they are taken off
    /// the list where `repair` says so.
    pub fn fsck_worktrees(&self, folder: &Path, repair: bool) -> Result<Finding, LedgerError> {
        const WHAT: &str = "worktrees";
        let listed = fs::read_dir(self.repo.commondir().join("worktrees")).into_iter().flatten().flatten();
        let (mut whole, mut broken) = (0, Vec::new());
        for entry in listed.map(|entry| entry.path()) {
            let Ok(text) = fs::read_to_string(entry.join("gitdir")) else { continue };
            let file = entry.join(text.trim_end());
            if !file.starts_with(folder) {
                continue;
            }
            let complete = ["HEAD", "commondir"].iter().all(|name| entry.join(name).is_file());
            if complete && file.is_file() { whole += 1 } else { broken.push(entry) }
        }
        if broken.is_empty() {
            return Ok(Finding::sound(WHAT, format!("{whole} of the runner's, all in place")));
        }
        let found = format!("{} entries of the runner's in .git/worktrees lead nowhere", broken.len());
        if !repair {
            return Ok(
                Finding::problem(WHAT, found).mend("`overnight fsck --repair` takes them off the list")
            );
        }
        for entry in &broken {
            fs::remove_dir_all(entry).map_err(|e| on_file(e, entry))?;
        }
        Ok(Finding::mended(WHAT, format!("{found}: taken off the list")))
    }

    /// The locks of our refs that a killed process left; they are removed where `repair` says so.
    pub fn fsck_locks(&self, repair: bool) -> Result<Finding, LedgerError> {
        const WHAT: &str = "locks";
        let mut stale = Vec::new();
        for folder in ["refs/overnight", "refs/heads/autoresearch"] {
            locks(&self.repo.commondir().join(folder), &mut stale);
        }
        if stale.is_empty() {
            return Ok(Finding::sound(WHAT, "none was left behind"));
        }
        let names: Vec<String> = stale.iter().map(|path| path.display().to_string()).collect();
        let found = format!("a process that was killed left {}", names.join(", "));
        if !repair {
            return Ok(Finding::problem(WHAT, found).mend("`overnight fsck --repair` removes them"));
        }
        for lock in &stale {
            fs::remove_file(lock).map_err(|e| on_file(e, lock))?;
        }
        Ok(Finding::mended(WHAT, format!("{found}: removed")))
    }
}

/// The locks below a folder that nobody can hold any more.
fn locks(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(of) = entry.metadata() else { continue };
        if of.is_dir() {
            locks(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let age = of.modified().ok().and_then(|made| SystemTime::now().duration_since(made).ok());
            if age.is_some_and(|age| age > STALE) {
                found.push(path);
            }
        }
    }
}

/// The first of many problems, and how many more there are.
fn told(what: &str, problems: &[String], mend: &str) -> Vec<Finding> {
    let first = problems.iter().take(TOLD).map(|problem| Finding::problem(what, problem).mend(mend));
    let more = problems.len().saturating_sub(TOLD);
    let more = (more > 0).then(|| Finding::problem(what, format!("and {more} more of this kind")));
    first.chain(more).collect()
}
