//! Merges the ledger of another machine: the union of both.

use git2::{ObjectType, Oid, Tree};
use lab::{CommitId, Tag};

use crate::{
    Ledger, LedgerError,
    advance::{check_schema, signature},
    open::commit_id,
    refs::ledger_ref,
};

impl Ledger {
    /// Adds everything of the ledger commit `other`, fetched from another machine, to the ledger of
    /// `tag`, by a commit with both as parents. Nothing is renumbered: writers never share a path.
    ///
    /// # Errors
    /// Where the two have something different at the same path, which happens if a clone was copied
    /// with its state and both went on.
    pub fn merge(&self, tag: &Tag, other: &CommitId) -> Result<CommitId, LedgerError> {
        let theirs = self.commit(other)?;
        check_schema(&self.repo, tag, &theirs.tree()?)?;
        let moved = self.move_ref(&ledger_ref(tag), "overnight: merge", |tip| {
            let Some(tip) = tip else { return Ok(Some(theirs.id())) };
            if tip == theirs.id() || self.repo.graph_descendant_of(tip, theirs.id())? {
                return Ok(None);
            }
            if self.repo.graph_descendant_of(theirs.id(), tip)? {
                return Ok(Some(theirs.id()));
            }
            let ours = self.repo.find_commit(tip)?;
            let tree = self.union(&ours.tree()?, &theirs.tree()?, "")?;
            let us = signature()?;
            let message = format!("merge the ledger {}\n", theirs.id());
            let tree = self.repo.find_tree(tree)?;
            let commit = self.repo.commit(None, &us, &us, &message, &tree, &[&ours, &theirs]);
            commit.map(Some).map_err(|e| self.on_write(e))
        })?;
        Ok(moved.map_or_else(|| other.clone(), commit_id))
    }

    fn union(&self, ours: &Tree<'_>, theirs: &Tree<'_>, prefix: &str) -> Result<Oid, LedgerError> {
        let mut builder = self.repo.treebuilder(Some(ours))?;
        for entry in theirs {
            let name = entry.name_bytes();
            let oid = match ours.get_name_bytes(name) {
                None => entry.id(),
                Some(same) if same.id() == entry.id() => continue,
                Some(both) => {
                    let path = format!("{prefix}{}", String::from_utf8_lossy(name));
                    if [both.kind(), entry.kind()] != [Some(ObjectType::Tree); 2] {
                        let reason = "the two ledgers have different things there".to_owned();
                        return Err(LedgerError::Malformed { what: path, reason });
                    }
                    let (a, b) = (self.repo.find_tree(both.id())?, self.repo.find_tree(entry.id())?);
                    self.union(&a, &b, &format!("{path}/"))?
                }
            };
            builder.insert(name, oid, entry.filemode())?;
        }
        builder.write().map_err(|e| self.on_write(e))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lab::Event;

    use super::*;
    use crate::testing::{Lab, append, entry, git, record};

    #[test]
    fn two_machines_have_the_union_of_their_ledgers() {
        let lab = Lab::new();
        let (ours, tag) = (lab.ledger(), Tag::default());
        append(&ours, &record(&ours, 0));
        let peer = lab.beside("peer");
        lab.git(&format!("clone -q . {}", peer.display()));
        let theirs = Ledger::open(&peer).unwrap();
        let shared = "refs/overnight/ledger/main:refs/overnight/peer";
        git(&peer, &format!("fetch -q origin {shared}"));
        theirs.merge(&tag, &theirs.resolve("refs/overnight/peer").unwrap()).unwrap();
        assert_eq!(theirs.tip(&tag).unwrap(), ours.tip(&tag).unwrap());

        for number in 0..3 {
            append(&theirs, &record(&theirs, number));
        }
        append(&ours, &record(&ours, 1));
        let noted = Event::Steered { text: "wider".to_owned(), cell: None };
        ours.append_event(&entry(noted, 1_790_000_000)).unwrap();
        lab.git(&format!("fetch -q {} {shared}", peer.display()));
        let other = ours.resolve("refs/overnight/peer").unwrap();
        let merged = ours.merge(&tag, &other).unwrap();
        assert_eq!(ours.merge(&tag, &other).unwrap(), merged, "once is enough");

        let own = ours.writer().unwrap();
        let shown: Vec<_> = ours
            .experiments(&tag)
            .unwrap()
            .iter()
            .map(|e| (e.record.writer == own, e.record.number))
            .collect();
        assert_eq!(shown, [(true, 0), (true, 1), (false, 0), (false, 1), (false, 2)]);
        assert_eq!(ours.events(&tag).unwrap().len(), 1);
        assert_eq!(ours.next_number(&tag).unwrap(), 2);
        assert_eq!(lab.git(&format!("log -1 --format=%p {merged}")).split(' ').count(), 2);
        lab.git("fsck --strict");
    }

    #[test]
    fn a_copied_clone_that_went_its_own_way_is_refused() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        append(&ledger, &record(&ledger, 0));
        let mut other = record(&ledger, 0);
        other.tag = Tag::new("other");
        append(&ledger, &other);
        let other = ledger.tip(&other.tag).unwrap().unwrap();
        let before = ledger.tip(&tag).unwrap();
        assert!(matches!(ledger.merge(&tag, &other), Err(LedgerError::Malformed { .. })));
        assert_eq!(ledger.tip(&tag).unwrap(), before);
    }
}
