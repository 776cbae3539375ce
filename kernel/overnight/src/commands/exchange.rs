//! `share` and `merge`: experiments between machines, by plain git remotes.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab::settings::format_bytes;
use lab::{Experiment, Tag};
use ledger::{Ledger, Merged, Remote, Sent, ShareOptions, Transport};
use serde_json::{Value, json};
use shell_words::quote;

use crate::failure::Failure;
use crate::grammar::{MergeArgs, ShareArgs};
use crate::session::{Session, peers};
use crate::sink::Sink;

/// What is told while git works.
type Line = Box<dyn FnMut(&str) + Send>;

/// Sends ledgers to a remote.
pub(super) async fn share(args: ShareArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let options = ShareOptions { branch: args.branch, dry: args.dry_run };
    let one = session.clone();
    let done = work(session, sink, move |by, say| {
        let ledger = one.ledger()?;
        let remote = ledger.remote(args.remote.as_deref(), &one.folder)?;
        let tags = if args.all { ledger.tags()? } else { vec![one.tag(&ledger, args.tag.tag.as_ref())?] };
        let mut sent = Vec::new();
        for tag in tags {
            let done = ledger.share(&remote, &tag, options, by, say)?;
            sent.push((tag, done));
        }
        Ok((remote, sent))
    });
    let (remote, sent) = done.await?;
    let lines = told(&remote, &sent, options);
    let json = json!({
        "schema": lab::SCHEMA,
        "remote": remote.name,
        "address": remote.address,
        "dry_run": options.dry,
        "tags": sent.iter().map(|(tag, sent)| of_sent(tag, sent)).collect::<Vec<_>>(),
    });
    sink.show(view::plain(&lines.join("\n")).with(view::bundle::JSON, json));
    Ok(())
}

/// Adds the ledgers of a remote to the ones here.
pub(super) async fn merge(args: MergeArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let one = session.clone();
    let done = work(session, sink, move |by, _| {
        let ledger = one.ledger()?;
        let remote = ledger.remote(args.remote.as_deref(), &one.folder)?;
        let tags = match &args.tag {
            Some(tag) => vec![tag.clone()],
            None => ledger.remote_tags(&remote, by)?,
        };
        if tags.is_empty() {
            return Err(Failure::new(format!("{} has no experiments", remote.name))
                .hint("whoever has them sends them there by `overnight share`"));
        }
        let mut lines = Vec::new();
        let mut rows = Vec::new();
        for tag in tags {
            let into = args.into.clone().unwrap_or_else(|| tag.clone());
            let merged = ledger.take(&remote, &tag, &into, by)?;
            lines.extend(said(&ledger, &remote, &into, &merged)?);
            rows.push(of_merged(&into, &merged));
        }
        Ok((remote, lines, rows))
    });
    let (remote, lines, rows) = done.await?;
    let json = json!({"schema": lab::SCHEMA, "remote": remote.name, "address": remote.address, "tags": rows});
    sink.show(view::plain(&lines.join("\n")).with(view::bundle::JSON, json));
    Ok(())
}

/// Does what waits for another machine on a thread of its own. Where nobody waits for it any more, git is ended.
async fn work<T: Send + 'static>(
    session: &Session,
    sink: &dyn Sink,
    work: impl FnOnce(&Transport, &mut dyn FnMut(&str)) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    // A notebook has nobody to ask, and JSON is for programs.
    let asks = session.cell.is_none() && !session.json && std::io::stdin().is_terminal();
    let stop = Stop(Arc::default());
    let by = Transport { asks, stop: Arc::clone(&stop.0) };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<String>();
    let mut doing = tokio::task::spawn_blocking(move || {
        let mut say: Line = Box::new(move |line| drop(tell.send(line.to_owned())));
        work(&by, &mut *say)
    });
    let done = loop {
        tokio::select! {
            Some(line) = told.recv() => show(&line, session, sink),
            done = &mut doing => break done,
        }
    };
    while let Ok(line) = told.try_recv() {
        show(&line, session, sink);
    }
    done.map_err(|error| Failure::new(format!("git was cut off: {error}")))?
}

fn show(line: &str, session: &Session, sink: &dyn Sink) {
    if !session.json {
        sink.line(line);
    }
}

/// What was sent, in sentences.
fn told(remote: &Remote, sent: &[(Tag, Sent)], options: ShareOptions) -> Vec<String> {
    let mut lines = Vec::new();
    let verb = if options.dry { "would be sent" } else { "sent" };
    for (tag, sent) in sent {
        if let Some(merged) = &sent.merged {
            lines.push(format!(
                "{tag}: {} came from {} first",
                amount(merged.records.len() as u64, merged.events),
                remote.name
            ));
        }
        if sent.experiments + sent.events == 0 {
            lines.push(format!("{tag}: {} has everything", remote.name));
        } else {
            let candidates = count(sent.candidates, "candidate", "candidates");
            let size = sent.bytes.map(|bytes| format!(", {}", format_bytes(bytes))).unwrap_or_default();
            let what = amount(sent.experiments, sent.events);
            lines.push(format!("{tag}: {what} with {candidates}{size} {verb} to {}", remote.name));
        }
        lines.extend(sent.left.iter().map(|left| format!("{tag}: {left}")));
    }
    if sent.iter().any(|(_, sent)| sent.first) || options.dry {
        lines.push(
            "Shared are the logs with all that runs printed, the names of people and machines, and each candidate's \
             whole tree: uncommitted changes of tracked files too, if there were any when the loop began."
                .to_owned(),
        );
    }
    if !options.dry {
        let (address, folder) = (quote(&remote.address), quote(folder_of(&remote.address)));
        lines.push(format!(
            "For a colleague: git clone {address} {folder} && cd {folder} && overnight merge origin"
        ));
    }
    lines
}

/// The folder that a clone of a repository is usually in.
fn folder_of(address: &str) -> &str {
    let name = address.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']).next();
    name.filter(|name| !name.is_empty()).unwrap_or("lab")
}

fn of_sent(tag: &Tag, sent: &Sent) -> Value {
    json!({
        "tag": tag,
        "experiments": sent.experiments,
        "events": sent.events,
        "candidates": sent.candidates,
        "bytes": sent.bytes,
        "first": sent.first,
        "merged": sent.merged.as_ref().map_or(0, |merged| merged.records.len()),
        "left": sent.left,
    })
}

/// What came, in sentences.
fn said(ledger: &Ledger, remote: &Remote, tag: &Tag, merged: &Merged) -> Result<Vec<String>, Failure> {
    let experiments = ledger.experiments(tag)?;
    let own = ledger.writer()?;
    let peers = peers(&experiments, &own);
    if merged.records.is_empty() && merged.events == 0 {
        return Ok(vec![format!("{tag}: {} has nothing new", remote.name)]);
    }
    let mut lines =
        vec![format!("{tag}: {} from {}", amount(merged.records.len() as u64, merged.events), remote.name)];
    let mut by_peer: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for record in &merged.records {
        let name = peers.name(&record.writer).unwrap_or("this clone's own, lost here").to_owned();
        let (first, last, n) = by_peer.entry(name).or_insert((record.number, record.number, 0));
        (*first, *last, *n) = ((*first).min(record.number), (*last).max(record.number), *n + 1);
    }
    lines.extend(by_peer.iter().map(|(name, (first, last, n))| {
        if first == last {
            format!("  {name}/{first}")
        } else {
            format!("  {name}/{first} to {name}/{last} ({n})")
        }
    }));
    let is_own = |e: &&Experiment| e.record.writer == own;
    let best = lab::experiment::best(&experiments).filter(is_own);
    match best {
        Some(best) => {
            let better = better_than(best, &experiments, &own);
            let of_mine = format!("Your best is still experiment {}", best.record.number);
            lines.push(match better {
                Some(theirs) => {
                    let label = peers.label(&theirs.record);
                    format!(
                        "{of_mine}, and the branch stays where it is. {label} claims {} to be {}: `overnight run --from \
                         {label}` tries it here.",
                        theirs.record.metric,
                        theirs.record.value.unwrap_or_default()
                    )
                }
                None => format!("{of_mine}, and the branch stays where it is."),
            });
        }
        None => {
            if let Some(theirs) = lab::experiment::best(&experiments) {
                let label = peers.label(&theirs.record);
                lines.push(format!(
                    "`overnight experiment {label}` shows their best, `overnight run --from {label}` tries it here, \
                     `overnight loop start` begins with a baseline of your own."
                ));
            }
        }
    }
    Ok(lines)
}

/// The best of other clones that can be compared with our best and claims more.
fn better_than<'a>(best: &Experiment, experiments: &'a [Experiment], own: &str) -> Option<&'a Experiment> {
    let mut found: Option<(&Experiment, f64)> = None;
    let theirs = experiments.iter().filter(|e| {
        e.record.writer != own && e.record.epoch == best.record.epoch && e.record.status == lab::Status::Keep
    });
    for experiment in theirs {
        let so_far = found.map(|(_, value)| value).or(best.record.value)?;
        if let Some(value) =
            experiment.record.value.filter(|value| best.record.direction.better(*value, so_far))
        {
            found = Some((experiment, value));
        }
    }
    found.map(|(experiment, _)| experiment)
}

fn of_merged(tag: &Tag, merged: &Merged) -> Value {
    json!({
        "tag": tag,
        "experiments": merged.records.len(),
        "events": merged.events,
        "commit": merged.commit,
    })
}

/// `84 experiments and 12 events`.
fn amount(experiments: u64, events: u64) -> String {
    let experiments = (experiments > 0).then(|| count(experiments, "experiment", "experiments"));
    let events = (events > 0).then(|| count(events, "event", "events"));
    match (experiments, events) {
        (Some(experiments), Some(events)) => format!("{experiments} and {events}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "nothing".to_owned(),
    }
}

/// `1 candidate`, `3 candidates`.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(amount(1, 2), "1 experiment and 2 events");
        assert_eq!(amount(0, 1), "1 event");
        let folders = ["git@host:lab.git", "https://host/a/nano/", "/srv/.git"].map(folder_of);
        assert_eq!(folders, ["lab", "nano", "lab"]);
    }
}
