//! Checks what must hold of a runner's files: the journal and the ledger agree, nothing is left behind.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lab::{Event, ExperimentId, Status, Tag};
use ledger::{Finding, Health, Ledger};

use crate::history::History;
use crate::journal;
use crate::lock::Lock;
use crate::store::standing;
use crate::{Paths, RunnerError};

/// Checks everything of a lab. With `repair` what can be mended without losing anything is mended; what a runner
/// that lives is at is left to it.
///
/// # Errors
/// Where git cannot be asked at all, or something could not be mended.
pub fn fsck(ledger: &Ledger, paths: &Paths, repair: bool) -> Result<Vec<Finding>, RunnerError> {
    let mut findings = ledger.fsck()?;
    let holder = Lock::holder(&paths.lock());
    let alone = repair && holder.is_none();
    for tag in ledger.tags()? {
        findings.extend(best_is_kept(ledger, &tag, holder.is_some())?);
    }
    if alone {
        mend_bests(ledger, &mut findings)?;
    }
    findings.extend(journal_agrees(ledger, paths, holder.is_some())?);
    findings.push(match &holder {
        Some(holder) => {
            Finding::sound("runner", format!("process {} has the lab since {}", holder.pid, holder.since))
        }
        None => Finding::sound("runner", "none has the lab now"),
    });
    findings.extend(drafts(paths, alone));
    findings.push(ledger.fsck_worktrees(&paths.cache, alone)?);
    findings.push(ledger.fsck_locks(repair)?);
    findings.push(is_private("state", &paths.state, repair));
    findings.extend(socket(paths, holder.is_some(), alone));
    findings.extend(leftovers(paths));
    Ok(findings)
}

/// The best is an experiment of this clone that was kept, and the one to improve on.
fn best_is_kept(ledger: &Ledger, tag: &Tag, busy: bool) -> Result<Option<Finding>, RunnerError> {
    let what = format!("best {tag}");
    let own = ledger.writer()?;
    // One that cannot be read is told already.
    let Ok(experiments) = ledger.experiments(tag) else { return Ok(None) };
    let mut its = experiments.iter().filter(|e| e.record.writer == own);
    let Some(best) = ledger.best(tag)? else {
        let kept = its.any(|e| e.record.status == Status::Keep && e.record.value.is_some());
        let lags = Finding::problem(&what, "something was kept, and there is no best")
            .mend("`overnight fsck --repair` sets it");
        return Ok((kept && !busy).then_some(lags));
    };
    let of_best = its.find(|e| e.record.candidate == best && e.record.status == Status::Keep);
    let tip = tip(ledger, tag)?;
    let is = |number: u64| format!("it is experiment {number}, which was kept");
    Ok(Some(match (of_best, tip) {
        (Some(of_best), Some((tip, candidate))) if candidate != best && !busy => {
            Finding::note(what, format!("{}; the loop builds on experiment {tip}", is(of_best.record.number)))
                .mend("the next loop moves it on, and so does `overnight fsck --repair`")
        }
        (Some(of_best), _) => Finding::sound(what, is(of_best.record.number)),
        (None, _) if busy => Finding::note(what, "it is about to be recorded"),
        (None, _) => {
            Finding::problem(what, format!("{} is no experiment of this clone that was kept", best.short()))
                .mend("`overnight fsck --repair` sets it to the last that was kept")
        }
    }))
}

/// The number and the candidate of what the next experiment improves on.
fn tip(ledger: &Ledger, tag: &Tag) -> Result<Option<(u64, lab::CommitId)>, RunnerError> {
    let own = ledger.writer()?;
    let Ok(experiments) = ledger.experiments(tag) else { return Ok(None) };
    let baseline = experiments.iter().rfind(|e| e.record.baseline && e.record.writer == own);
    let Some(baseline) = baseline else { return Ok(None) };
    let standing = standing(ledger, tag, &baseline.record.epoch)?;
    Ok(standing.tip.as_ref().map(|tip| (tip.record.number, tip.record.candidate.clone())))
}

/// Moves bests and branches on to where the ledgers say that they are.
fn mend_bests(ledger: &Ledger, findings: &mut [Finding]) -> Result<(), RunnerError> {
    for tag in ledger.tags()? {
        let names = [format!("best {tag}"), format!("branch {tag}")];
        let its = |finding: &&mut Finding| {
            names.contains(&finding.what)
                && finding.mend.as_ref().is_some_and(|mend| mend.contains("fsck --repair"))
        };
        let mut lags: Vec<&mut Finding> = findings.iter_mut().filter(its).collect();
        let Some((number, candidate)) = tip(ledger, &tag)?.filter(|_| !lags.is_empty()) else { continue };
        let moved = ledger.keep(&tag, &candidate)?;
        for finding in &mut lags {
            let about_branch = finding.what == names[1];
            if about_branch && !moved.moved() {
                finding.found = moved.to_string();
                continue;
            }
            let now = format!("{}: it is at experiment {number} now", finding.found);
            **finding = Finding::mended(finding.what.clone(), now);
        }
    }
    Ok(())
}

/// Every experiment that the journal says is recorded is in its ledger.
fn journal_agrees(ledger: &Ledger, paths: &Paths, busy: bool) -> Result<Vec<Finding>, RunnerError> {
    const WHAT: &str = "journal";
    let contents = match journal::read(&paths.journal()) {
        Ok(contents) => contents,
        Err(error) => {
            let mend = "What was recorded is in the ledger. Move the file away to go on without what was on its way.";
            return Ok(vec![Finding::problem(WHAT, error.to_string()).mend(mend)]);
        }
    };
    let mut findings = Vec::new();
    let mut ledgers: HashMap<&Tag, Option<HashSet<ExperimentId>>> = HashMap::new();
    let mut lost: HashMap<&Tag, usize> = HashMap::new();
    for entry in &contents.entries {
        let Event::Recorded { experiment, .. } = &entry.event else { continue };
        if !ledgers.contains_key(&entry.tag) {
            let known = ledger.experiments(&entry.tag);
            let known = known.ok().map(|known| known.iter().map(|e| e.record.id).collect());
            ledgers.insert(&entry.tag, known);
        }
        if ledgers[&entry.tag].as_ref().is_some_and(|known| !known.contains(experiment)) {
            *lost.entry(&entry.tag).or_default() += 1;
        }
    }
    for (tag, lost) in lost {
        let found = format!("{lost} experiments that it has as recorded are not in the ledger `{tag}`");
        let mend = format!(
            "Was refs/overnight/ledger/{tag} moved or deleted? `git reflog refs/overnight/ledger/{tag}` and `git fsck \
             --lost-found` may have it, or a remote: `overnight merge REMOTE`."
        );
        findings.push(Finding::problem(WHAT, found).mend(mend));
    }
    if contents.torn > 0 && !busy {
        let found = "its last line was cut off by a crash: the next runner takes it away";
        findings.push(Finding::note(WHAT, found));
    }
    if contents.unknown > 0 {
        findings
            .push(Finding::note(WHAT, format!("{} lines of it are of a newer version", contents.unknown)));
    }
    let unfinished = History::fold(&contents.entries).unfinished.len();
    if unfinished > 0 && !busy {
        let found = format!("{unfinished} experiments were cut off: `overnight loop resume` carries them on");
        findings.push(Finding::note(WHAT, found));
    }
    if findings.iter().all(|finding| finding.state != Health::Problem) {
        let found =
            format!("{} events, and the ledgers have what it has as recorded", contents.entries.len());
        findings.insert(0, Finding::sound(WHAT, found));
    }
    Ok(findings)
}

/// What experiments were begun with, of which none is on its way any more.
fn drafts(paths: &Paths, repair: bool) -> Option<Finding> {
    let on_their_way: HashSet<String> = History::fold(&journal::read(&paths.journal()).ok()?.entries)
        .unfinished
        .iter()
        .map(|trial| trial.id.to_string())
        .collect();
    let drafts = fs::read_dir(paths.state.join("drafts")).ok()?.flatten().map(|entry| entry.path());
    let left: Vec<_> = drafts
        .filter(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            !on_their_way.contains(name)
        })
        .collect();
    if left.is_empty() {
        return None;
    }
    let found = format!("{} are of no experiment that is on its way", left.len());
    if !repair {
        return Some(Finding::note("drafts", found).mend("`overnight fsck --repair` removes them"));
    }
    let removed = left.iter().filter(|path| fs::remove_file(path).is_ok()).count();
    Some(Finding::mended("drafts", format!("{found}: {removed} were removed")))
}

/// Only its owner may look into a folder.
fn is_private(what: &str, folder: &Path, repair: bool) -> Finding {
    let Ok(of) = folder.metadata() else { return Finding::note(what, "there is none yet") };
    if of.permissions().mode() & 0o077 == 0 {
        return Finding::sound(what, format!("{}, for its owner alone", folder.display()));
    }
    let found = format!("others may look into {}", folder.display());
    if repair && fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).is_ok() {
        return Finding::mended(what, format!("{found}: no more"));
    }
    Finding::problem(what, found).mend(format!("chmod 700 {}", folder.display()))
}

/// A socket on which nobody listens.
fn socket(paths: &Paths, busy: bool, repair: bool) -> Option<Finding> {
    let socket = paths.socket();
    if busy || !socket.exists() || std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return None;
    }
    let found = format!("nobody listens on {}", socket.display());
    if repair && fs::remove_file(&socket).is_ok() {
        return Some(Finding::mended("socket", format!("{found}: it was removed")));
    }
    Some(Finding::note("socket", found).mend("the next runner makes it anew"))
}

/// Folders of runs that the ledger has.
fn leftovers(paths: &Paths) -> Option<Finding> {
    let runs = fs::read_dir(paths.cache.join("runs")).ok()?.flatten().count();
    (runs > 0)
        .then(|| Finding::note("runs", format!("{runs} folders of runs are kept: `overnight gc` frees them")))
}
