//! `export` and `import`: karpathy's results.tsv.

use crate::failure::Failure;
use crate::grammar::{ExportArgs, ImportArgs};
use crate::session::Session;
use crate::sink::Sink;

/// Writes the experiments as results.tsv.
pub(super) fn export(args: &ExportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
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

/// Reads experiments from a results.tsv.
pub(super) fn import(args: &ImportArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let path = session.folder.join(&args.file);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let done = ledger.import_tsv(&tag, &text)?;
    let mut lines = vec![format!("{} experiments added, {} were there already", done.added, done.present)];
    lines.extend(done.skipped.iter().map(|(line, why)| format!("line {line} was passed over: {why}")));
    sink.show(view::plain(&lines.join("\n")));
    Ok(())
}
