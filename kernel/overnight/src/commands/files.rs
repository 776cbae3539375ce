//! `export` and `import`: results.tsv, and the tables as files of other tools.

use std::path::{Path, PathBuf};

use frames::{Format, TABLES, Which};
use lab::Tag;
use ledger::Imported;

use super::look::frame_of;
use crate::failure::{ExitCode, Failure};
use crate::grammar::{ExportArgs, FileFormat, ImportArgs};
use crate::session::Session;
use crate::sink::Sink;

/// Where all tables go when nothing is said.
const FOLDER: &str = "frames";

/// Writes the experiments as results.tsv, or one table or all in another format.
pub(super) fn export(args: &ExportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let by_name = args.file.as_deref().and_then(Format::of);
    match (args.to, by_name) {
        (Some(FileFormat::Csv), _) => tables(args, Format::Csv, session, sink),
        (Some(FileFormat::Parquet), _) => tables(args, Format::Parquet, session, sink),
        (Some(FileFormat::Arrow), _) => tables(args, Format::Arrow, session, sink),
        (None, Some(format)) => tables(args, format, session, sink),
        (Some(FileFormat::Tsv) | None, _) => match &args.table {
            Some(table) if table != "experiments" => {
                Err(Failure::new(format!("results.tsv has no table `{table}`"))
                    .hint("--to csv, parquet or arrow")
                    .code(ExitCode::Usage))
            }
            _ => results_tsv(args, session, sink),
        },
    }
}

fn tables(args: &ExportArgs, format: Format, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let file = |name: &str| PathBuf::from(format!("{name}.{}", format.extension()));
    let wanted: Vec<(&str, PathBuf)> = match &args.table {
        Some(table) => vec![(table, args.file.clone().unwrap_or_else(|| file(table)))],
        // A file's name with no table named is meant for the experiments.
        None if args.file.as_deref().and_then(Format::of).is_some() => {
            vec![("experiments", args.file.clone().unwrap_or_default())]
        }
        None => {
            let folder = args.file.as_deref().unwrap_or(Path::new(FOLDER));
            TABLES.iter().map(|table| (*table, folder.join(file(table)))).collect()
        }
    };
    let which = match &args.of {
        Some(of) => frame_of(of, &ledger, &tag)?,
        None => Which::All,
    };
    let mut frames = session.frames(ledger)?;
    let mut lines = Vec::new();
    for (table, path) in wanted {
        let path = session.folder.join(path);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))?;
        let frame = frames.table(&tag, table, which)?;
        format.write(&frame, &path)?;
        lines.push(format!("{table}: {} rows written to {}", frame.height(), path.display()));
    }
    sink.show(view::plain(&lines.join("\n")));
    Ok(())
}

fn results_tsv(args: &ExportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let text = ledger.export_tsv(&tag)?;
    let Some(file) = &args.file else {
        sink.show(view::plain(text.trim_end()));
        return Ok(());
    };
    let path = session.folder.join(file);
    std::fs::write(&path, &text).map_err(|error| Failure::io("write", &path, &error))?;
    let rows = text.lines().count().saturating_sub(1);
    sink.show(view::plain(&format!("{rows} experiments written to {}", path.display())));
    Ok(())
}

/// Reads experiments from a results.tsv, or from a branch with its results.tsv.
pub(super) fn import(args: &ImportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let lab = session.lab(&ledger).ok();
    let given = args.file.as_ref().map(|file| {
        let path = session.folder.join(file);
        std::fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))
    });
    let given = given.transpose()?;
    let (tag, done) = match &args.branch {
        Some(branch) => {
            let text = match given {
                Some(text) => text,
                None => ledger.results_of(branch)?.ok_or_else(|| {
                    Failure::new(format!("there is no results.tsv, neither in {branch} nor in {}", ledger.root().display()))
                        .hint("name it: `import FILE --branch NAME`; without it nobody knows what came of the changes")
                })?,
            };
            let tag = match &args.tag.tag {
                Some(tag) => tag.clone(),
                None => Tag::parse(branch.rsplit('/').next().unwrap_or(branch)).map_err(|why| {
                    Failure::new(why).hint("name the line of research: --tag NAME").code(ExitCode::Usage)
                })?,
            };
            let done = ledger.import_branch(&tag, branch, &text, lab.as_ref())?;
            (tag, done)
        }
        None => {
            let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
            let done = ledger.import_tsv(&tag, &given.unwrap_or_default(), lab.as_ref())?;
            (tag, done)
        }
    };
    sink.show(view::plain(&told(&tag, &done).join("\n")));
    Ok(())
}

fn told(tag: &Tag, done: &Imported) -> Vec<String> {
    let mut lines = vec![format!("{} experiments added, {} were there already", done.added, done.present)];
    if done.lost > 0 {
        lines.push(format!("{} of them have lost their change: git has their commits no more", done.lost));
    }
    if done.unnamed > 0 {
        lines.push(format!("{} commits of the branch are in no line of the file", done.unnamed));
    }
    if let Some(best) = &done.best {
        lines.push(format!("the best is {}: `loop start --tag {tag}` goes on from there", best.short()));
    }
    lines.extend(done.skipped.iter().map(|(line, why)| format!("line {line} was passed over: {why}")));
    lines
}
