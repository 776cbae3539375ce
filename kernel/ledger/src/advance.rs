//! One step of a ledger: a commit on its ref, made again on the new tip where another was faster.

use git2::{Oid, Repository, Signature, Time, Tree};
use lab::{CommitId, Tag};
use serde_json::{Value, json};

use crate::{
    Ledger, LedgerError, SCHEMA,
    open::commit_id,
    refs::ledger_ref,
    tree::{FILE, Leaf, get, put},
};

/// Whose commits ours are.
pub(crate) const NAME: &str = "overnight";
/// The address of the same.
pub(crate) const EMAIL: &str = "overnight@localhost";

/// What is to be added to a ledger.
pub(crate) struct Step<'a> {
    /// Where in the tree.
    pub(crate) path: &'a [String],
    /// What.
    pub(crate) leaf: Leaf,
    /// The commit's message.
    pub(crate) message: &'a str,
    /// The second parent, which the step keeps alive.
    pub(crate) candidate: Option<Oid>,
}

impl Ledger {
    /// Adds a step to a ledger and gives the ledger's commit.
    ///
    /// Where something is at the path already, `same` tells whether it is the same thing (then the
    /// ledger is left as it is) or refuses.
    pub(crate) fn advance(
        &self,
        tag: &Tag,
        step: &Step<'_>,
        same: impl Fn(Leaf) -> Result<(), LedgerError>,
    ) -> Result<CommitId, LedgerError> {
        let repo = &self.repo;
        let moved = self.move_ref(&ledger_ref(tag), "overnight: append", |tip| {
            let tip = repo.find_commit(match tip {
                Some(tip) => tip,
                None => self.first_commit()?,
            })?;
            let tree = tip.tree()?;
            check_schema(repo, tag, &tree)?;
            if let Some(there) = get(&tree, step.path)? {
                same(there)?;
                return Ok(None);
            }
            let tree = self.put_in(&tree, step.path, Some(step.leaf))?;
            let candidate = step.candidate.map(|oid| repo.find_commit(oid)).transpose()?;
            let parents: Vec<_> = std::iter::once(&tip).chain(&candidate).collect();
            let us = signature()?;
            let commit =
                repo.commit(None, &us, &us, step.message, &tree, &parents).map_err(|e| self.on_write(e))?;
            Ok(Some(commit))
        })?;
        moved.map(commit_id).ok_or_else(|| LedgerError::Malformed {
            what: ledger_ref(tag),
            reason: "it vanished while it was written".to_owned(),
        })
    }

    /// Writes a blob.
    pub(crate) fn blob(&self, content: &[u8]) -> Result<Leaf, LedgerError> {
        let oid = self.repo.blob(content).map_err(|e| self.on_write(e))?;
        Ok(Leaf { oid, mode: FILE })
    }

    /// Gives git's errors on writing the name of the folder.
    pub(crate) fn named(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Git(e) => self.on_write(e),
            other => other,
        }
    }

    /// The commit that every ledger begins with, on every machine the same, so that all have a common
    /// ancestor.
    fn first_commit(&self) -> Result<Oid, LedgerError> {
        let meta = self.blob(json!({ "schema": SCHEMA }).to_string().as_bytes())?;
        let tree = put(&self.repo, None, &["meta.json"], Some(meta)).map_err(|e| self.named(e))?;
        let tree = self.repo.find_tree(tree)?;
        let us = Signature::new(NAME, EMAIL, &Time::new(0, 0))?;
        self.repo.commit(None, &us, &us, "overnight ledger\n", &tree, &[]).map_err(|e| self.on_write(e))
    }
}

/// Us, now.
pub(crate) fn signature() -> Result<Signature<'static>, LedgerError> {
    Ok(Signature::now(NAME, EMAIL)?)
}

/// Us, at the time of `commit`: what is made from the same things is then the same commit.
pub(crate) fn signature_at(commit: &git2::Commit<'_>) -> Result<Signature<'static>, LedgerError> {
    Ok(Signature::new(NAME, EMAIL, &commit.time())?)
}

/// Refuses a ledger that a newer version wrote.
pub(crate) fn check_schema(repo: &Repository, tag: &Tag, tree: &Tree<'_>) -> Result<(), LedgerError> {
    let malformed = |reason: &str| LedgerError::Malformed {
        what: format!("meta.json of {}", ledger_ref(tag)),
        reason: reason.to_owned(),
    };
    let leaf = get(tree, &["meta.json"])?.ok_or_else(|| malformed("it is missing"))?;
    let meta: Value =
        serde_json::from_slice(repo.find_blob(leaf.oid)?.content()).map_err(|e| malformed(&e.to_string()))?;
    match meta.get("schema").and_then(Value::as_u64) {
        Some(found) if found > u64::from(SCHEMA) => Err(LedgerError::Newer { tag: tag.clone(), found }),
        Some(_) => Ok(()),
        None => Err(malformed("it has no number `schema`")),
    }
}
