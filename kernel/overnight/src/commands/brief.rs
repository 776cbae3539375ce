//! `brief`: what a model is told, for a person to read.

use runner::proposers::{Brief, prompt};
use serde_json::json;

use crate::failure::Failure;
use crate::grammar::BriefArgs;
use crate::session::Session;
use crate::sink::Sink;

/// Shows the brief of the next proposal, as the ledger has it now.
pub(super) fn run(args: &BriefArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let lab = session.lab(&ledger)?;
    let tag = session.tag(&ledger, args.tag.tag.as_ref())?;
    let brief = Brief::of(&ledger, &lab, &tag)?;
    let diff = |a: &_, b: &_| ledger.diff(a, b).ok();
    let page = prompt::render(&brief, &diff, args.tokens);
    let told = serde_json::to_value(&brief).map_err(|error| Failure::new(error.to_string()))?;
    let shown = view::plain(&page).with("text/markdown", page.clone());
    let about = prompt::tokens(&page);
    sink.show(shown.with(
        view::bundle::JSON,
        json!({"schema": lab::SCHEMA, "tokens": about, "text": page, "brief": told}),
    ));
    Ok(())
}
