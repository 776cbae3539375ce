//! What a person decides about an experiment: keep, discard, note, branch.

use lab::{Event, Status};

use super::look::Shelf;
use crate::failure::Failure;
use crate::grammar::{BranchArgs, NoteArgs, OverrideArgs};
use crate::session::Session;
use crate::sink::Sink;

/// `keep` and `discard`.
pub(super) fn over(
    args: &OverrideArgs,
    status: Status,
    session: &Session,
    sink: &dyn Sink,
) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let experiment = shelf.find(&args.which)?;
    let number = experiment.record.number;
    if shelf.peers.name(&experiment.record.writer).is_some() {
        let label = shelf.label(experiment);
        return Err(Failure::new(format!("{label} is another clone's: what is kept here was run here"))
            .hint(format!(
                "`run --from {label}` tries it here; `note {label} TEXT` says something about it"
            )));
    }
    if experiment.record.status == status {
        sink.show(view::plain(&format!("experiment {number} is `{status}` already")));
        return Ok(());
    }
    let author = shelf.ledger().author();
    let besides =
        runner::overrides::decide(shelf.ledger(), &shelf.tag, number, status, &args.reason, &author)?;
    let besides = besides.map_or_else(String::new, |besides| format!("\n{besides}"));
    sink.show(view::plain(&format!("experiment {number} is `{status}` now, by {author}{besides}")));
    Ok(())
}

/// `note`.
pub(super) fn note(args: &NoteArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let experiment = shelf.find(&args.which)?;
    let label = shelf.label(experiment);
    let experiment = &experiment.record;
    let event = Event::Noted { experiment: experiment.id, text: args.text.join(" ") };
    let entry = runner::journal::entry(&shelf.ledger().author(), &shelf.tag, event);
    shelf.ledger().append_event(&entry)?;
    sink.show(view::plain(&format!("noted on experiment {label}")));
    Ok(())
}

/// `branch`.
pub(super) fn branch(args: &BranchArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let shelf = Shelf::open(session, &args.tag)?;
    let experiment = shelf.find(&args.which)?;
    let label = shelf.label(experiment);
    let experiment = &experiment.record;
    shelf.ledger().branch(&args.name, &experiment.candidate)?;
    sink.show(view::plain(&format!(
        "branch {} is experiment {label} ({}); `git switch {}` takes you there",
        args.name,
        experiment.candidate.short(),
        args.name
    )));
    Ok(())
}
