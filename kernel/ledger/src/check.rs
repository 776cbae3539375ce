//! Looks at everything in a ledger's tree, and says what is not as it should be.
//!
//! What another machine sent is looked at before it is merged; `fsck` looks at all of it.

use std::collections::HashSet;

use git2::{ObjectType, Oid, Tree};
use lab::{CommitId, Entry, Record, Tag};

use crate::{
    Ledger, LedgerError,
    advance::check_schema,
    tree::{event_path, experiment_path},
};

/// The files of an experiment.
const FILES: [&str; 4] = ["log.zst", "metrics.parquet", "program.md", "record.json"];

/// What is in a ledger's tree, or in what is new of it.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The experiments that can be read.
    pub records: Vec<Record>,
    /// The events that can be read.
    pub events: Vec<Entry>,
    /// Events and files that only a newer version knows.
    pub unknown: usize,
    /// What is wrong: each with its path in the ledger's tree, and why.
    pub flaws: Vec<(String, String)>,
}

impl Ledger {
    /// Everything in the ledger's commit `tip` that is not in its commit `since`.
    ///
    /// # Errors
    /// Where git cannot read it, or a newer version wrote it. What is wrong in it is told in the answer.
    pub fn contents(
        &self,
        tag: &Tag,
        tip: &CommitId,
        since: Option<&CommitId>,
    ) -> Result<Contents, LedgerError> {
        let new = self.commit(tip)?.tree()?;
        check_schema(&self.repo, tag, &new)?;
        let old = since.and_then(|since| self.commit(since).ok()).and_then(|commit| commit.tree().ok());
        let mut look = Look { ledger: self, found: Contents::default(), ids: HashSet::new() };
        look.folder(old.as_ref(), &new, &mut Vec::new())?;
        Ok(look.found)
    }
}

struct Look<'a> {
    ledger: &'a Ledger,
    found: Contents,
    ids: HashSet<lab::ExperimentId>,
}

impl Look<'_> {
    fn folder(
        &mut self,
        old: Option<&Tree<'_>>,
        new: &Tree<'_>,
        path: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        let repo = &self.ledger.repo;
        if path.len() == 5 && path[0] == "experiments" {
            self.experiment(new, path);
            return Ok(());
        }
        for entry in new {
            let before = old.and_then(|old| old.get_name_bytes(entry.name_bytes()));
            if before.as_ref().is_some_and(|before| before.id() == entry.id()) {
                continue;
            }
            path.push(String::from_utf8_lossy(entry.name_bytes()).into_owned());
            if entry.kind() == Some(ObjectType::Tree) {
                let before = before.filter(|before| before.kind() == Some(ObjectType::Tree));
                let before = before.and_then(|before| repo.find_tree(before.id()).ok());
                match repo.find_tree(entry.id()) {
                    Ok(tree) => self.folder(before.as_ref(), &tree, path)?,
                    Err(error) => self.flaw(path, error.message()),
                }
            } else {
                self.file(entry.id(), path);
            }
            path.pop();
        }
        Ok(())
    }

    /// A file that is no experiment's.
    fn file(&mut self, blob: Oid, path: &[String]) {
        match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["meta.json"] => {}
            ["events", writer, _, _] => {
                let repo = &self.ledger.repo;
                let read = repo.find_blob(blob).map_err(|e| e.message().to_owned());
                let read = read.map(|blob| serde_json::from_slice::<Entry>(blob.content()));
                match read {
                    Ok(Ok(entry)) if event_path(writer, &entry) == path => self.found.events.push(entry),
                    Ok(Ok(entry)) => self.flaw(path, &format!("the event in it is {}", entry.id)),
                    // A kind of event that only a newer version knows.
                    Ok(Err(error)) if error.is_data() => self.found.unknown += 1,
                    Ok(Err(error)) => self.flaw(path, &error.to_string()),
                    Err(error) => self.flaw(path, &error),
                }
            }
            _ => self.found.unknown += 1,
        }
    }

    fn experiment(&mut self, folder: &Tree<'_>, path: &[String]) {
        let repo = &self.ledger.repo;
        for name in FILES {
            match folder.get_name(name) {
                None => self.flaw(path, &format!("it has no {name}")),
                Some(file) if repo.find_blob(file.id()).is_err() => {
                    self.flaw(path, &format!("its {name} is not in the repository"));
                }
                Some(_) => {}
            }
        }
        let Some(blob) = folder.get_name("record.json").and_then(|file| repo.find_blob(file.id()).ok())
        else {
            return;
        };
        let record: Record = match serde_json::from_slice(blob.content()) {
            Ok(record) => record,
            Err(error) => return self.flaw(path, &format!("its record cannot be read: {error}")),
        };
        if experiment_path(&record) != path {
            self.flaw(path, &format!("its record is number {} of {}", record.number, record.writer));
        }
        if !self.ids.insert(record.id) {
            self.flaw(path, &format!("another experiment has its id {}", record.id));
        }
        for (what, commit) in [("candidate", Some(&record.candidate)), ("parent", record.parent.as_ref())] {
            if let Some(commit) = commit.filter(|commit| self.ledger.commit(commit).is_err()) {
                self.flaw(path, &format!("its {what} {} is not in the repository", commit.short()));
            }
        }
        self.found.records.push(record);
    }

    fn flaw(&mut self, path: &[String], why: &str) {
        self.found.flaws.push((path.join("/"), why.to_owned()));
    }
}
