//! `report`: a document that stands alone, made from the ledger; and `report --check`, which works it out again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use lab::{CommitId, Experiment, Lab, Tag};
use ledger::{Ledger, LedgerError};
use models::Client;
use serde_json::json;
use view::report::{Form, Other, Reading, Report, Setting, Source, Unreadable, Verdict, Written};

use super::whole::write_whole;
use super::{ask, constants};
use crate::failure::{ExitCode, Failure};
use crate::grammar::{ReportArgs, ReportForm};
use crate::session::Session;
use crate::sink::Sink;

/// Of so many of the latest experiments the constants are compared.
const LATEST: usize = 1_000;
/// Fewer experiments than these tell themselves: no model is paid for them unless it is asked for.
const WORTH_A_SUMMARY: usize = 5;

/// What a report is to be made of.
struct Asked {
    form: Form,
    tag: Tag,
    /// The ledger's commit.
    commit: Option<CommitId>,
    /// Other lines of research, each at a commit.
    others: Vec<(Tag, CommitId)>,
    /// The clone whose experiments are told; the one that worked here, by default.
    writer: Option<String>,
    lab: String,
    made: Timestamp,
    offset: Offset,
}

/// Writes a report, or checks one.
pub(super) async fn run(args: &ReportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    if let Some(file) = &args.check {
        return tokio::task::block_in_place(|| check(&session.folder.join(file), session, sink));
    }
    let (mut report, tag, path) = tokio::task::block_in_place(|| begun(args, session))?;
    let picture = picture_name(&path, args.no_picture);
    // It is there before a model is asked: what becomes of the answer is no matter of its.
    save(&path, &report.write(picture.as_deref()))?;
    let shown = format!("{}\nThe report is in {}", report.title(), path.display());
    let json = json!({"schema": lab::SCHEMA, "file": path, "title": report.title()});
    sink.show(view::plain(&shown).with(view::bundle::JSON, json));
    let Some((by, model)) = summarizer(args, &report, &tag, session)? else { return Ok(()) };
    sink.line(&format!("{by} writes its summary …"));
    match ask::summary(&model, &report.words()).await {
        Ok(words) => {
            report = report.with_summary(&by, &words);
            save(&path, &report.write(picture.as_deref()))
        }
        Err(failure) if insists(args) => Err(failure),
        Err(failure) => {
            sink.line(&format!("It has no summary: {failure}"));
            Ok(())
        }
    }
}

/// Whether a report without a model's summary is a failure.
fn insists(args: &ReportArgs) -> bool {
    args.summary || args.agent.is_some()
}

/// The model that is to write the summary, and its name, where there is to be one.
fn summarizer(
    args: &ReportArgs,
    report: &Report,
    tag: &Tag,
    session: &Session,
) -> Result<Option<(String, Client)>, Failure> {
    if args.no_summary || !insists(args) && report.experiments() < WORTH_A_SUMMARY {
        return Ok(None);
    }
    match ask::summarizer(args.agent.as_deref(), tag, session) {
        Err(_) if !insists(args) => Ok(None),
        found => found.map(Some),
    }
}

/// The report as the ledger gives it, its line of research, and where it is to be written.
fn begun(args: &ReportArgs, session: &Session) -> Result<(Report, Tag, PathBuf), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let form = form(args)?;
    let asked = Asked::now(&ledger, tag.clone(), form)?;
    let path = match &args.file {
        Some(file) => session.folder.join(file),
        None => runner::reports::path(&session.paths(&ledger)?, &tag, asked.made, form.extension()),
    };
    Ok((make(&ledger, asked)?, tag, path))
}

fn form(args: &ReportArgs) -> Result<Form, Failure> {
    let wanted = args.to.map(|to| match to {
        ReportForm::Notebook => Form::Notebook,
        ReportForm::Html => Form::Html,
        ReportForm::Md => Form::Markdown,
    });
    let named = args.file.as_deref().and_then(Form::of);
    if let (None, None, Some(file)) = (wanted, named, &args.file) {
        return Err(Failure::new(format!("{} does not say what to write", file.display()))
            .hint("a name that ends in .ipynb, .html or .md, or `--to notebook`, `--to html`, `--to md`")
            .code(ExitCode::Usage));
    }
    Ok(wanted.or(named).unwrap_or(Form::Html))
}

/// What Markdown's picture is called: as the document, beside it.
fn picture_name(path: &Path, none: bool) -> Option<String> {
    let name = path.with_extension("png");
    name.file_name().filter(|_| !none).map(|name| name.to_string_lossy().into_owned())
}

/// Writes a report, and the picture that it shows.
fn save(path: &Path, written: &Written) -> Result<(), Failure> {
    if let Some((name, bytes)) = &written.picture {
        write_whole(&path.with_file_name(name), bytes)?;
    }
    write_whole(path, written.text.as_bytes())
}

impl Asked {
    /// The ledger as it is now.
    fn now(ledger: &Ledger, tag: Tag, form: Form) -> Result<Self, Failure> {
        let mut others = Vec::new();
        for other in ledger.tags()?.into_iter().filter(|other| *other != tag) {
            others.extend(ledger.tip(&other)?.map(|tip| (other, tip)));
        }
        let made = Timestamp::now();
        Ok(Self {
            form,
            commit: ledger.tip(&tag)?,
            tag,
            others,
            writer: None,
            lab: ledger.root().file_name().map_or("lab".into(), |name| name.to_string_lossy()).into_owned(),
            made,
            offset: TimeZone::system().to_offset(made),
        })
    }
}

/// Works a report out.
fn make(ledger: &Ledger, asked: Asked) -> Result<Report, Failure> {
    let known = match &asked.commit {
        Some(commit) => ledger.known_at(&asked.tag, commit)?,
        None => ledger::Known::default(),
    };
    let writer = match asked.writer {
        Some(writer) => writer,
        None => worked_here(&known.experiments, &ledger.writer()?),
    };
    let own: Vec<&Experiment> =
        known.experiments.iter().filter(|experiment| experiment.record.writer == writer).collect();
    let last = own.iter().max_by_key(|experiment| experiment.record.number);
    let program = last.and_then(|last| ledger.program(&last.record.program).ok());
    let lab = program.as_deref().and_then(|text| Lab::parse(text).ok());
    let settings = lab.map(|lab| settings(ledger, &lab, &own)).unwrap_or_default();
    let mut others = Vec::new();
    for (tag, commit) in asked.others {
        match ledger.known_at(&tag, &commit) {
            Ok(known) => {
                let its = worked_here(&known.experiments, &writer);
                let mut experiments: Vec<Experiment> =
                    known.experiments.iter().filter(|e| e.record.writer == its).cloned().collect();
                experiments.sort_by_key(|e| e.record.number);
                others.push(Other { tag, commit, experiments });
            }
            Err(LedgerError::UnknownCommit(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let source = Source {
        form: asked.form,
        lab: asked.lab,
        tag: asked.tag,
        commit: asked.commit,
        writer,
        experiments: known.experiments.to_vec(),
        events: known.events.to_vec(),
        program,
        settings,
        others,
        made: asked.made,
        offset: asked.offset,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Report::of(source, &|a, b| ledger.diff(a, b).ok()))
}

/// The clone whose experiments are told: `own` if it has any, else the one that worked last.
fn worked_here(experiments: &[Experiment], own: &str) -> String {
    if experiments.iter().any(|experiment| experiment.record.writer == own) {
        return own.to_owned();
    }
    let last = experiments.iter().max_by_key(|experiment| (experiment.record.started, experiment.record.id));
    last.map_or(own, |last| &last.record.writer).to_owned()
}

/// What the latest experiments of the last one's epoch set their constants to.
fn settings(ledger: &Ledger, lab: &Lab, own: &[&Experiment]) -> Vec<Setting> {
    let Some(last) = own.last() else { return Vec::new() };
    let mut current: Vec<&Experiment> =
        own.iter().copied().filter(|one| one.record.epoch == last.record.epoch).collect();
    // The baseline, which everything is compared with, is always among them.
    let baseline = current.iter().copied().rfind(|one| one.record.baseline);
    let mut latest = current.split_off(current.len().saturating_sub(LATEST));
    latest.extend(baseline.filter(|baseline| latest.iter().all(|one| one.record.id != baseline.record.id)));
    let found: Vec<_> = latest
        .into_iter()
        .filter_map(|one| Some((one.record.id, constants::of(ledger, lab, one).ok()?)))
        .collect();
    let paths: BTreeSet<&str> =
        found.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.path.as_str())).collect();
    let several = paths.len() > 1;
    found
        .iter()
        .flat_map(|(experiment, rows)| {
            rows.iter().map(move |row| Setting {
                experiment: *experiment,
                name: if several { format!("{} in {}", row.name, row.path) } else { row.name.clone() },
                setting: row.setting.clone(),
            })
        })
        .collect()
}

/// `report --check`.
fn check(path: &Path, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let shown = path.display();
    let mut reading = Reading::of(&String::from_utf8_lossy(&bytes)).map_err(|why| unreadable(why, path))?;
    if let Some(picture) = reading.picture_file() {
        let picture = std::fs::read(path.parent().unwrap_or(Path::new(".")).join(picture)).ok();
        reading = reading.with_picture(picture);
    }
    let ledger = session.ledger()?;
    let stamp = &reading.stamp;
    let tag = Tag::parse(stamp.tag.as_str())
        .map_err(|why| Failure::new(format!("the stamp of {shown} is broken: {why}")))?;
    let asked = Asked {
        form: stamp.form,
        tag: tag.clone(),
        commit: stamp.commit.clone(),
        others: stamp.others.iter().map(|other| (other.tag.clone(), other.commit.clone())).collect(),
        writer: Some(stamp.writer.clone()),
        lab: stamp.lab.clone(),
        made: stamp.made,
        offset: stamp.zone(),
    };
    let report = make(&ledger, asked);
    if let (Some(commit), Err(_)) = (&stamp.commit, &report)
        && ledger.is_ancestor(commit, commit).is_err()
    {
        return Err(Failure::new(format!(
            "{shown} cannot be checked here: this clone has not the commit {} of the ledger `{tag}` that it was made from",
            commit.short()
        ))
        .hint("`overnight merge REMOTE` fetches the ledger of the clone that wrote it")
        .code(ExitCode::Unchecked));
    }
    let mut checked = reading.compare(&report?);
    if let (Some(commit), Some(tip)) = (&stamp.commit, ledger.tip(&tag)?)
        && !ledger.is_ancestor(commit, &tip)?
    {
        checked.notes.push(format!(
            "Its commit {} is no part of this clone's ledger `{tag}`: what it was made from may be a ledger that was put back.",
            commit.short()
        ));
    }
    sink.show(checked.bundle());
    match (checked.count(Verdict::Differs), checked.count(Verdict::Unknown)) {
        (0, 0) => Ok(()),
        (0, unknown) => {
            Err(Failure::new(format!("{unknown} of the figures of {shown} cannot be checked here"))
                .hint("`overnight merge REMOTE` fetches the ledgers that they are from")
                .code(ExitCode::Unchecked))
        }
        (differ, _) => {
            Err(Failure::new(format!("{differ} of the figures of {shown} differ from the ledger")))
        }
    }
}

fn unreadable(why: Unreadable, path: &Path) -> Failure {
    let shown = path.display();
    match why {
        Unreadable::NoStamp => {
            Failure::new(format!("{shown} has no stamp: it is no report, or its end was cut off"))
                .hint("`overnight report FILE` writes one that can be checked")
        }
        Unreadable::Broken(reason) => Failure::new(format!("the stamp of {shown} is broken: {reason}")),
        Unreadable::Newer(schema) => Failure::new(format!(
            "the stamp of {shown} has schema {schema}, which this version does not know"
        ))
        .hint("a newer Overnight wrote it: update this one"),
    }
}
