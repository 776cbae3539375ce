//! `loop space`: what the search would change.

use runner::proposers::search::{Origin, Parameter, Search};
use serde_json::{Value, json};

use crate::failure::{ExitCode, Failure};
use crate::grammar::TagArgs;
use crate::session::Session;
use crate::sink::Sink;

/// Shows every constant of the editable files, as the best candidate has them, and what it may become.
pub(super) fn run(args: &TagArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let lab = session.lab(&ledger)?;
    let tag = session.tag(&ledger, args.tag.as_ref())?;
    let start = match ledger.best(&tag)? {
        Some(best) => best,
        None => ledger.snapshot()?.commit,
    };
    let files = ledger.editable_files(&start, &lab)?;
    let space =
        Search::space(&files, &lab.space).map_err(|reason| Failure::new(reason).code(ExitCode::Usage))?;
    let rows: Vec<view::Parameter> = space.iter().map(row).collect();
    let json: Vec<Value> = rows
        .iter()
        .map(|row| json!({"name": row.name, "place": row.place, "now": row.now, "becomes": row.becomes, "origin": row.origin, "fixed": row.fixed}))
        .collect();
    let json = json!({"schema": lab::SCHEMA, "space": json});
    sink.show(view::space(&rows).with(view::bundle::JSON, json));
    Ok(())
}

fn row(Parameter { path, constant }: &Parameter) -> view::Parameter {
    view::Parameter {
        name: constant.name.clone(),
        place: format!("{path}:{}", constant.line),
        now: constant.literal.source.clone(),
        becomes: constant.domain.describe(&constant.literal),
        origin: match constant.origin {
            Origin::Guess => "a guess",
            Origin::Comment => "its comment",
            Origin::Code => "its choices",
            Origin::Program => "the program",
        },
        fixed: constant.domain.is_fixed(),
    }
}
