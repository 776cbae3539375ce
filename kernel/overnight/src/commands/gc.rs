//! `gc`: frees the disk of what can be made again.

use std::time::Duration;

use lab::settings::format_bytes;
use runner::gc::{Freed, Policy};
use serde_json::json;

use super::rehearse;
use crate::failure::Failure;
use crate::grammar::GcArgs;
use crate::session::{Session, cache_home};
use crate::sink::Sink;

/// Removes what the policy lets go, and says how much that was.
pub(super) fn run(args: &GcArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let older = Duration::try_from_secs_f64(args.older.0).unwrap_or(Duration::MAX);
    let policy = Policy { keep: args.keep, older, dry: args.dry_run };
    let ledger = session.ledger()?;
    let paths = session.paths(&ledger)?;
    let (mut freed, stays) = runner::gc::gc(&ledger, &paths, policy)?;
    freed.push(rehearse::sweep(args.dry_run)?);
    if args.all {
        freed.push(runner::gc::gc_gone(&cache_home()?, &paths.cache, policy));
    }
    freed.retain(|freed| freed.count > 0);
    let bytes: u64 = freed.iter().map(|freed| freed.bytes).sum();
    let mut lines: Vec<String> = freed
        .iter()
        .map(|Freed { what, count, bytes }| format!("{what}: {count}, {}", format_bytes(*bytes)))
        .collect();
    lines.extend(stays.clone());
    lines.push(match (bytes, args.dry_run) {
        (0, _) if freed.is_empty() => {
            "there is nothing to free; every experiment is in the ledger".to_owned()
        }
        (_, true) => format!("{} would be freed; every experiment stays in the ledger", format_bytes(bytes)),
        (_, false) => format!("{} freed; every experiment is in the ledger", format_bytes(bytes)),
    });
    let rows: Vec<_> = freed
        .iter()
        .map(|Freed { what, count, bytes }| json!({"what": what, "count": count, "bytes": bytes}))
        .collect();
    let json = json!({
        "schema": lab::SCHEMA, "dry_run": args.dry_run, "bytes": bytes, "freed": rows, "stays": stays,
    });
    sink.show(view::plain(&lines.join("\n")).with(view::bundle::JSON, json));
    Ok(())
}
