//! Sends ledgers to other machines and fetches theirs, by plain git remotes and explicit refspecs: nobody's git
//! configuration is changed.
//!
//! What a remote has lies in `refs/overnight/remote/<remote>/ledger/<tag>`, as it was when it was last seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Write as _,
    path::Path,
};

use git2::Oid;
use lab::{CommitId, Record, Tag};
use sha2::{Digest as _, Sha256};

use crate::{
    Ledger, LedgerError, Transport,
    check::Contents,
    open::commit_id,
    redacted,
    refs::{LEDGER, best_ref, branch_ref, ledger_ref},
};

/// How often something is sent to a remote that moves meanwhile.
const TRIES: u32 = 6;

/// Another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What git is given: a remote's name, an address or a folder.
    given: String,
    /// Its name in messages, without passwords.
    pub name: String,
    /// Its address, for people and without passwords.
    pub address: String,
    /// Its name in refs.
    slot: String,
}

/// What was sent, or would be.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Whether the remote had nothing of this line of research.
    pub first: bool,
    /// What it had not.
    pub experiments: u64,
    /// Events that it had not.
    pub events: u64,
    /// Candidates that it had not.
    pub candidates: u64,
    /// The size of all that in git's objects, packed as they are here; `None` where git cannot tell.
    pub bytes: Option<u64>,
    /// What it had that was not here: it was merged first.
    pub merged: Option<Merged>,
    /// What became of the other refs, each in a sentence where it was not moved.
    pub left: Vec<String>,
}

/// What came from another ledger.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// The experiments.
    pub records: Vec<Record>,
    /// How many events.
    pub events: u64,
    /// The ledger's commit now.
    pub commit: Option<CommitId>,
}

/// What to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShareOptions {
    /// The branch `autoresearch/<tag>` too.
    pub branch: bool,
    /// Nothing: only say what would be sent.
    pub dry: bool,
}

/// The refs of a remote, each with what it is at.
type Refs = BTreeMap<String, Oid>;

impl Ledger {
    /// The remote of that name, or the repository at that address; by default `origin`, or the only one.
    ///
    /// `folder` is where a relative path begins.
    pub fn remote(&self, named: Option<&str>, folder: &Path) -> Result<Remote, LedgerError> {
        let listed = self.repo.remotes()?;
        let known: Vec<String> = listed.iter().flatten().flatten().map(str::to_owned).collect();
        let unknown = || LedgerError::NoRemote { named: named.map(redacted), known: known.clone() };
        let name = match named {
            Some(named) => named,
            None if known.iter().any(|name| name == "origin") => "origin",
            None => match &known[..] {
                [only] => only,
                _ => return Err(unknown()),
            },
        };
        if known.iter().any(|known| known == name) {
            let remote = self.repo.find_remote(name)?;
            let address = remote.url().map(redacted).unwrap_or_default();
            let (given, name) = (name.to_owned(), name.to_owned());
            return Ok(Remote { slot: name.clone(), given, name, address });
        }
        let path = folder.join(name);
        let given = if path.is_dir() {
            path.to_string_lossy().into_owned()
        } else if name.contains(':') && !name.starts_with('-') {
            name.to_owned()
        } else {
            return Err(unknown());
        };
        let shown = redacted(&given);
        let digest = hex::encode(&Sha256::digest(shown.as_bytes())[..4]);
        Ok(Remote { given, name: shown.clone(), address: shown, slot: format!("at-{digest}") })
    }

    /// The lines of research that a remote has, by name.
    pub fn remote_tags(&self, remote: &Remote, by: &Transport) -> Result<Vec<Tag>, LedgerError> {
        let refs = self.remote_refs(remote, by)?;
        let names = refs.keys().filter_map(|name| name.strip_prefix(LEDGER));
        Ok(names.filter_map(|name| Tag::parse(name).ok()).collect())
    }

    /// Sends a ledger with everything that it holds on to, never by force: where the remote's has moved on, it is
    /// merged first. `say` is told what happens meanwhile.
    pub fn share(
        &self,
        remote: &Remote,
        tag: &Tag,
        options: ShareOptions,
        by: &Transport,
        say: &mut dyn FnMut(&str),
    ) -> Result<Sent, LedgerError> {
        let mut merged: Option<Merged> = None;
        for _ in 0..TRIES {
            let refs = self.remote_refs(remote, by)?;
            let none = || LedgerError::NoLedger { tag: tag.clone(), remote: None };
            let ours = self.target(&ledger_ref(tag))?.ok_or_else(none)?;
            let theirs = refs.get(&ledger_ref(tag)).copied();
            if let Some(theirs) = theirs
                && !self.holds(ours, theirs)
                && !options.dry
            {
                say(&format!("{} has something of `{tag}` that is not here: merging it first", remote.name));
                let more = self.take(remote, tag, tag, by)?;
                let so_far = merged.get_or_insert_default();
                so_far.records.extend(more.records);
                so_far.events += more.events;
                continue;
            }
            let mut sent = self.measure(tag, ours, theirs, &refs, by)?;
            sent.merged.clone_from(&merged);
            let moves = self.moves(tag, ours, &refs, options, &mut sent.left)?;
            if options.dry || moves.is_empty() || self.push(remote, &moves, by)? {
                return Ok(sent);
            }
            say(&format!("{} moved while it was sent to: trying again", remote.name));
        }
        Err(LedgerError::Moving { remote: remote.name.clone(), tries: TRIES })
    }

    /// Fetches the ledger `tag` of a remote and merges it into the ledger `into`. The best candidate and the branch
    /// stay where they are: what another machine claims is run here before anything builds on it.
    ///
    /// # Errors
    /// Where the remote has no such ledger or it is not whole (then nothing is merged), and as [`Ledger::merge`].
    pub fn take(
        &self,
        remote: &Remote,
        tag: &Tag,
        into: &Tag,
        by: &Transport,
    ) -> Result<Merged, LedgerError> {
        let theirs = self.fetch(remote, tag, by)?;
        let before = self.tip(into)?;
        let new = self.contents(into, &theirs, before.as_ref())?;
        if let Some((path, why)) = new.flaws.first() {
            return Err(LedgerError::Malformed {
                what: format!("{path} in the ledger `{tag}` of {}", remote.name),
                reason: format!("{why}; nothing of it was merged"),
            });
        }
        let commit = self.merge(into, &theirs)?;
        let Contents { records, events, .. } = self.contents(into, &commit, before.as_ref())?;
        Ok(Merged { records, events: events.len() as u64, commit: Some(commit) })
    }

    /// Brings what is known of a remote's ledger up to date.
    fn fetch(&self, remote: &Remote, tag: &Tag, by: &Transport) -> Result<CommitId, LedgerError> {
        let here = format!("refs/overnight/remote/{}/ledger/{tag}", remote.slot);
        let spec = format!("+{}:{here}", ledger_ref(tag));
        let options = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--refmap=",
            "--",
        ];
        let said = by.run(&self.git(), &words(&options, [&remote.given, &spec]), "")?;
        if !said.done && said.complaint.contains("couldn't find remote ref") {
            return Err(LedgerError::NoLedger { tag: tag.clone(), remote: Some(remote.name.clone()) });
        }
        said.or(remote)?;
        self.resolve(&here)
    }

    fn remote_refs(&self, remote: &Remote, by: &Transport) -> Result<Refs, LedgerError> {
        let said =
            by.run(&self.git(), &words(&["ls-remote", "--quiet", "--refs", "--"], [&remote.given]), "")?;
        let out = said.or(remote)?;
        let line = |line: &str| {
            let (oid, name) = line.split_once('\t')?;
            Some((name.to_owned(), Oid::from_str(oid).ok()?))
        };
        Ok(out.lines().filter_map(line).collect())
    }

    /// Whether `commit` has `other` among those before it, as far as this repository knows.
    fn holds(&self, commit: Oid, other: Oid) -> bool {
        commit == other || self.repo.graph_descendant_of(commit, other).unwrap_or(false)
    }

    /// What a remote with these refs lacks of a ledger.
    fn measure(
        &self,
        tag: &Tag,
        ours: Oid,
        theirs: Option<Oid>,
        refs: &Refs,
        by: &Transport,
    ) -> Result<Sent, LedgerError> {
        let since = theirs.map(commit_id);
        let new = self.contents(tag, &commit_id(ours), since.as_ref())?;
        let candidates: BTreeSet<&CommitId> = new.records.iter().map(|record| &record.candidate).collect();
        let mut input = format!("{ours}\n");
        for there in refs.values().filter(|oid| self.repo.find_commit(**oid).is_ok()) {
            let _ = writeln!(input, "^{there}");
        }
        let size =
            by.run(&self.git(), &words(&["rev-list", "--objects", "--disk-usage", "--stdin"], []), &input)?;
        Ok(Sent {
            first: theirs.is_none(),
            experiments: new.records.len() as u64,
            events: new.events.len() as u64,
            candidates: candidates.len() as u64,
            bytes: size.done.then(|| size.out.trim().parse().ok()).flatten(),
            merged: None,
            left: Vec::new(),
        })
    }

    /// The refs to move there, as refspecs; `left` is told which stay, and why.
    fn moves(
        &self,
        tag: &Tag,
        ours: Oid,
        refs: &Refs,
        options: ShareOptions,
        left: &mut Vec<String>,
    ) -> Result<Vec<String>, LedgerError> {
        let mut moves = Vec::new();
        if refs.get(&ledger_ref(tag)) != Some(&ours) {
            moves.push(format!("{ours}:{}", ledger_ref(tag)));
        }
        for name in [Some(best_ref(tag)), options.branch.then(|| branch_ref(tag))].into_iter().flatten() {
            let Some(here) = self.target(&name)? else { continue };
            match refs.get(&name) {
                Some(there) if *there == here => {}
                // Another clone's best, or a branch that somebody moved: each is known by its ledger.
                Some(there) if !self.holds(here, *there) => {
                    let short = name.trim_start_matches("refs/heads/").trim_start_matches("refs/overnight/");
                    left.push(format!("{short} stays where it is there: yours does not build on it"));
                }
                _ => moves.push(format!("{here}:{name}")),
            }
        }
        Ok(moves)
    }

    /// Moves refs of a remote; `false` where it has moved since it was looked at.
    fn push(&self, remote: &Remote, moves: &[String], by: &Transport) -> Result<bool, LedgerError> {
        let options =
            words(&["push", "--porcelain", "--no-follow-tags", "--no-signed", "--"], [&remote.given]);
        let arguments: Vec<OsString> = options.into_iter().chain(moves.iter().map(OsString::from)).collect();
        let said = by.run(&self.git(), &arguments, "")?;
        if said.done {
            return Ok(true);
        }
        let refused: Vec<&str> = said.out.lines().filter(|line| line.starts_with('!')).collect();
        let raced = |line: &&str| {
            line.contains("[rejected]")
                || ["lock", "expected", "old value", "failed to update ref"]
                    .iter()
                    .any(|word| line.contains(word))
        };
        if !refused.is_empty() && refused.iter().all(raced) {
            return Ok(false);
        }
        let reasons: Vec<&str> = refused.iter().filter_map(|line| line.rsplit('\t').next()).collect();
        let said = if reasons.is_empty() {
            said.complaint
        } else {
            format!("{} {}", reasons.join(", "), said.complaint)
        };
        Err(LedgerError::Remote { remote: remote.name.clone(), said: redacted(said.trim()) })
    }
}

impl crate::transport::Said {
    /// What it printed, or what went wrong with the remote.
    fn or(self, remote: &Remote) -> Result<String, LedgerError> {
        if self.done {
            return Ok(self.out);
        }
        Err(LedgerError::Remote { remote: remote.name.clone(), said: self.complaint })
    }
}

fn words<const N: usize>(options: &[&str], operands: [&String; N]) -> Vec<OsString> {
    options.iter().map(OsString::from).chain(operands.into_iter().map(OsString::from)).collect()
}
