//! `fsck`: everything that must hold of a lab, and how to mend what does not.

use std::path::Path;

use ledger::{Finding, Health};
use serde_json::json;
use view::Bundle;

use crate::failure::Failure;
use crate::grammar::FsckArgs;
use crate::session::Session;
use crate::sink::Sink;

/// Shows what was found; fails if something is wrong.
pub(super) fn run(args: &FsckArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let ledger = session.ledger()?;
    let paths = session.paths(&ledger)?;
    let mut findings = runner::fsck::fsck(&ledger, &paths, args.repair)?;
    findings.extend(caches(&paths.state.join("cache"), args.repair));
    sink.show(shown(&findings));
    let mendable =
        findings.iter().any(|it| it.mend.as_ref().is_some_and(|mend| mend.contains("fsck --repair")));
    let failure = match findings.iter().filter(|finding| finding.state == Health::Problem).count() {
        0 => return Ok(()),
        1 => Failure::new("one thing is not as it should be: see above"),
        many => Failure::new(format!("{many} things are not as they should be: see above")),
    };
    Err(if mendable && !args.repair {
        failure.hint("`overnight fsck --repair` mends what can be mended without losing anything")
    } else {
        failure
    })
}

/// The tables beside the ledger that can be read no more. They are made again when they are needed.
fn caches(folder: &Path, repair: bool) -> Option<Finding> {
    let files = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let arrow = files.filter(|path| path.extension().is_some_and(|extension| extension == "arrow"));
    let spoilt: Vec<_> = arrow.filter(|path| frames::read_arrow(path).is_err()).collect();
    if spoilt.is_empty() {
        return None;
    }
    let found = format!("{} cannot be read", exchange_count(spoilt.len()));
    if !repair {
        return Some(
            Finding::note("tables", found).mend("they are made anew; `overnight fsck --repair` removes them"),
        );
    }
    let removed = spoilt.iter().filter(|path| std::fs::remove_file(path).is_ok()).count();
    Some(Finding::mended("tables", format!("{found}: {removed} were removed")))
}

fn exchange_count(n: usize) -> String {
    super::exchange::count(n as u64, "table beside the ledger", "tables beside the ledger")
}

fn shown(findings: &[Finding]) -> Bundle {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0).max(11);
    let mut lines = Vec::new();
    for Finding { what, state, found, mend } in findings {
        let mark = match state {
            Health::Sound => "ok ",
            Health::Note => "-  ",
            Health::Mended => "+  ",
            Health::Problem => "NO ",
        };
        lines.push(format!("{mark} {what:width$} {found}"));
        lines.extend(mend.iter().map(|mend| format!("    {:width$} {mend}", "")));
    }
    let sound = findings.iter().all(|finding| finding.state != Health::Problem);
    let json = json!({"schema": lab::SCHEMA, "sound": sound, "checks": findings});
    view::plain(&lines.join("\n")).with(view::bundle::JSON, json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_mark_and_what_to_do() {
        let findings = [
            Finding::sound("objects", "all there"),
            Finding::note("runs", "3 folders"),
            Finding::mended("locks", "one was removed"),
            Finding::problem("ledger main", "it is gone").mend("fetch it"),
        ];
        let shown = shown(&findings);
        insta::assert_snapshot!(shown.text(), @r"
        ok  objects     all there
        -   runs        3 folders
        +   locks       one was removed
        NO  ledger main it is gone
                        fetch it
        ");
        assert_eq!(shown.json()["sound"], false);
    }
}
