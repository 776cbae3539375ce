//! `run`: a person's own experiment, on the same terms as the loop's.

use std::time::Duration;

use lab::{CommitId, Experiment, Lab, Tag};
use ledger::{Edit, Ledger};
use runner::history::BASELINE;
use runner::proposers::search::{Language, constants};
use runner::{Request, Response, StartOptions};

use super::watcher::Watcher;
use super::{data, look, loops};
use crate::failure::{ExitCode, Failure};
use crate::grammar::{RunArgs, TagArgs, Which};
use crate::session::{self, Session};
use crate::sink::Sink;

/// How often it looks whether the experiment is in the ledger.
const TICK: Duration = Duration::from_millis(300);

/// Tries the researcher's change, waits for its judgement, and shows it.
pub(super) async fn run(args: &RunArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut watcher = Watcher::open(session)?;
    let tag = session.tag(watcher.ledger(), args.tag.tag.as_ref())?;
    let lab = session.lab(watcher.ledger())?;
    data::ensure(false, session, sink).await?;
    let number = match propose(args, watcher.ledger(), &tag, &lab)? {
        Some((candidate, hypothesis)) => {
            let author = watcher.ledger().author();
            let request = Request::Run { tag: Some(tag.clone()), candidate, hypothesis, author };
            match watcher.request(&request).await? {
                Response::Queued { number } => number,
                other => return Err(Failure::new(format!("the runner answered {other:?} to a run"))),
            }
        }
        None => {
            let number = watcher.ledger().next_number(&tag)?;
            baseline(&mut watcher, &tag).await?;
            number
        }
    };
    if args.detach {
        sink.show(view::plain(&format!(
            "experiment {number} is queued; `experiment {number}` shows it when it is done"
        )));
        return Ok(());
    }
    loop {
        if find(watcher.ledger(), &tag, number)?.is_some() {
            break;
        }
        let status = watcher.status().await?;
        if status.state == lab::status::LoopState::Idle && find(watcher.ledger(), &tag, number)?.is_none() {
            let why = status.problem.unwrap_or_else(|| "the runner ended before it was done".to_owned());
            return Err(Failure::new(format!("experiment {number} was not recorded: {why}"))
                .hint("`loop resume` goes on where it stopped"));
        }
        tokio::task::block_in_place(|| loops::show(&mut watcher, &status, sink))?;
        tokio::time::sleep(TICK).await;
    }
    let tag = TagArgs { tag: Some(tag) };
    tokio::task::block_in_place(|| look::experiment(&Which::Number(number), &tag, session, sink))
}

fn find(ledger: &Ledger, tag: &Tag, number: u64) -> Result<Option<Experiment>, Failure> {
    let writer = ledger.writer()?;
    let mine = |e: &Experiment| e.record.number == number && e.record.writer == writer;
    Ok(ledger.experiments(tag)?.into_iter().find(mine))
}

/// The candidate and what is expected of it; none where there is nothing yet to improve on.
fn propose(
    args: &RunArgs,
    ledger: &Ledger,
    tag: &Tag,
    lab: &Lab,
) -> Result<Option<(CommitId, String)>, Failure> {
    let from = args.from.as_ref().map(|which| chosen(which, ledger, tag)).transpose()?;
    let best = match ledger.best(tag)? {
        Some(best) => best,
        // The baseline that it is compared with is run first: what the researcher sees.
        None if from.is_some() => ledger.snapshot()?.commit,
        None if args.set.is_empty() => return Ok(None),
        None => {
            return Err(Failure::new("there is no experiment yet whose constants could be set")
                .hint("`run` without --set, or `loop start --experiments 1`, makes the baseline"));
        }
    };
    let (edits, hypothesis) = if let Some((commit, tried)) = &from {
        let said = if args.hypothesis.is_empty() { tried } else { &args.hypothesis };
        (edits_of(commit, ledger, &best, lab)?, said.clone())
    } else if args.set.is_empty() {
        (edits_of(&ledger.snapshot()?.commit, ledger, &best, lab)?, args.hypothesis.clone())
    } else {
        set_edits(args, ledger, &best, lab)?
    };
    let hypothesis = if hypothesis.is_empty() { "a change by hand".to_owned() } else { hypothesis };
    let candidate = ledger.candidate(&best, &edits, &hypothesis)?;
    let epoch = ledger.experiments(tag)?.pop().map(|last| last.record.epoch.clone());
    if let Some(epoch) = epoch
        && let Some(number) = ledger.duplicate(tag, &candidate, lab, &epoch)?
    {
        return Err(Failure::new(format!("this is what experiment {number} tried")).hint(format!(
            "`experiment {number}` shows how it went; change {} and run again",
            lab.editable.join(", ")
        )));
    }
    Ok(Some((candidate, hypothesis)))
}

/// The candidate of an experiment that is to be tried again, and what it tried.
fn chosen(which: &Which, ledger: &Ledger, tag: &Tag) -> Result<(CommitId, String), Failure> {
    let (experiments, own) = (ledger.experiments(tag)?, ledger.writer()?);
    let record = &session::find(&experiments, which, tag, &own)?.record;
    let label = session::peers(&experiments, &own).label(record);
    Ok((record.candidate.clone(), format!("{label} again: {}", record.hypothesis)))
}

/// The editable files as they are in a commit, where they differ from the best.
fn edits_of(here: &CommitId, ledger: &Ledger, best: &CommitId, lab: &Lab) -> Result<Vec<Edit>, Failure> {
    let mut paths = ledger.paths(here)?;
    paths.extend(ledger.paths(best)?);
    let editable = lab.editable();
    paths.retain(|path| editable.contains(path));
    paths.sort();
    paths.dedup();
    let mut edits = Vec::new();
    for path in paths {
        let content = ledger.read(here, &path)?;
        if content != ledger.read(best, &path)? {
            edits.push(Edit { path, content });
        }
    }
    if edits.is_empty() {
        return Err(Failure::new(format!("{} is the same as the best candidate's", lab.editable.join(", ")))
            .hint("change it and run again, or change a constant with --set NAME=VALUE"));
    }
    Ok(edits)
}

/// The best candidate with the constants that `--set` names changed.
fn set_edits(
    args: &RunArgs,
    ledger: &Ledger,
    best: &CommitId,
    lab: &Lab,
) -> Result<(Vec<Edit>, String), Failure> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut changes = Vec::new();
    for (name, value) in &args.set {
        let change = set_constant(ledger, best, lab, &edits, name, value)?;
        edits.retain(|edit| edit.path != change.0.path);
        edits.push(change.0);
        changes.push(change.1);
    }
    let hypothesis = match args.hypothesis.as_str() {
        "" => changes.join(", "),
        text => text.to_owned(),
    };
    Ok((edits, hypothesis))
}

/// Begins the first experiment of a line of research.
async fn baseline(watcher: &mut Watcher, tag: &Tag) -> Result<(), Failure> {
    let options = StartOptions {
        tag: tag.clone(),
        proposer: BASELINE.to_owned(),
        experiments: Some(1),
        ..StartOptions::default()
    };
    watcher.insist(&Request::Start(options)).await?;
    Ok(())
}

/// One constant changed, on top of `edits`; and the change in words.
fn set_constant(
    ledger: &Ledger,
    best: &CommitId,
    lab: &Lab,
    edits: &[Edit],
    name: &str,
    value: &str,
) -> Result<(Edit, String), Failure> {
    let editable = lab.editable();
    let mut known = Vec::new();
    for path in ledger.paths(best)?.into_iter().filter(|path| editable.contains(path)) {
        let Some(language) = Language::of(&path) else { continue };
        let edited = edits.iter().find(|edit| edit.path == path).and_then(|edit| edit.content.clone());
        let Some(content) = edited.map_or_else(|| ledger.read(best, &path), |content| Ok(Some(content)))?
        else {
            continue;
        };
        let Ok(text) = String::from_utf8(content) else { continue };
        for constant in constants(&text, language) {
            if constant.name == name {
                let change = format!("{name} {} → {value}", constant.literal.source);
                let mut text = text;
                text.replace_range(constant.span, value);
                return Ok((Edit { path, content: Some(text.into_bytes()) }, change));
            }
            known.push(constant.name);
        }
    }
    let hint = match known.as_slice() {
        [] => "its editable files have none; change the file itself and run without --set".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    Err(Failure::new(format!("there is no constant {name} to set")).hint(hint).code(ExitCode::Usage))
}
