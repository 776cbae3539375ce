//! Merges the ledger of another machine: the union of both.

use git2::{Commit, ObjectType, Oid, Signature, Time, Tree};
use lab::{CommitId, Tag};

use crate::{
    Ledger, LedgerError,
    advance::{EMAIL, NAME, check_schema},
    open::commit_id,
    refs::ledger_ref,
};

impl Ledger {
    /// Adds everything of the ledger commit `other`, fetched from another machine, to the ledger of
    /// `tag`, by a commit with both as parents. Nothing is renumbered: writers never share a path.
    ///
    /// Both machines make the same commit of the same two, so that they are done once each has the other's.
    ///
    /// # Errors
    /// Where the two have something different at the same path, which happens if a clone was copied
    /// with its state and both went on; see [`LedgerError::Copied`].
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
            self.merged(&self.repo.find_commit(tip)?, &theirs).map(Some)
        })?;
        Ok(moved.map_or_else(|| other.clone(), commit_id))
    }

    /// The commit that two ledgers become. It does not depend on which of them is ours, nor on the clock.
    fn merged(&self, ours: &Commit<'_>, theirs: &Commit<'_>) -> Result<Oid, LedgerError> {
        let mut both = [ours, theirs];
        both.sort_by_key(|commit| commit.id());
        let [a, b] = both;
        let tree = self.repo.find_tree(self.union(&a.tree()?, &b.tree()?, "")?)?;
        let time = Time::new(a.time().seconds().max(b.time().seconds()), 0);
        let us = Signature::new(NAME, EMAIL, &time)?;
        let message = format!("merge the ledgers {} and {}\n", a.id(), b.id());
        self.repo.commit(None, &us, &us, &message, &tree, &[a, b]).map_err(|e| self.on_write(e))
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
                        return Err(differ(path));
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

/// What is wrong where two ledgers have different things at `path`.
fn differ(path: String) -> LedgerError {
    let parts: Vec<&str> = path.split('/').collect();
    if let ["experiments", writer, a, b, c, _] = parts[..]
        && let [Ok(a), Ok(b), Ok(c)] = [a, b, c].map(str::parse::<u64>)
    {
        return LedgerError::Copied { writer: writer.to_owned(), number: (a * 100 + b) * 100 + c };
    }
    LedgerError::Malformed { what: path, reason: "the two ledgers have different things there".to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lab::{Entry, Event};
    use proptest::prelude::*;

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
        assert_eq!(shown, [(false, 0), (false, 1), (false, 2), (true, 0), (true, 1)]);
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
        let refused = ledger.merge(&tag, &other).unwrap_err();
        assert!(matches!(&refused, LedgerError::Copied { number: 0, .. }), "{refused}");
        assert_eq!(ledger.tip(&tag).unwrap(), before);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Each clone does something, or takes in what another has so far; in the end all have everything.
        #[test]
        fn ledgers_become_the_same_whoever_merges_whom_and_when(
            steps in prop::collection::vec((0_usize..3, 0_usize..5), 1..24)
        ) {
            let lab = Lab::new();
            let ledger = lab.ledger();
            let tags = ["a", "b", "c"].map(Tag::new);
            let mut made = [0_u64; 3];
            for (clone, step) in steps {
                let tag = &tags[clone];
                match step {
                    0..3 if step == clone => {
                        let noted = Event::Steered { text: "wider".to_owned(), cell: None };
                        ledger.append_event(&Entry { tag: tag.clone(), ..entry(noted, 1_790_000_000) }).unwrap();
                    }
                    0..3 => {
                        if let Some(other) = ledger.tip(&tags[step]).unwrap() {
                            ledger.merge(tag, &other).unwrap();
                        }
                    }
                    _ => {
                        let mut done = record(&ledger, made[clone]);
                        (done.writer, done.tag) = (format!("writer{clone}"), tag.clone());
                        append(&ledger, &done);
                        made[clone] += 1;
                    }
                }
            }
            let tips: Vec<CommitId> = tags.iter().filter_map(|tag| ledger.tip(tag).unwrap()).collect();
            let mut trees = Vec::new();
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let all = Tag::new(format!("all{order:?}").replace(['[', ']', ',', ' '], ""));
                for tip in order.iter().filter_map(|at| tips.get(*at)) {
                    ledger.merge(&all, tip).unwrap();
                    ledger.merge(&all, tip).unwrap();
                }
                // (a + b) + c is a + (b + c).
                let whole = ledger.tip(&all).unwrap();
                trees.extend(whole.clone().map(|whole| ledger.commit(&whole).unwrap().tree_id()));
                prop_assert_eq!(ledger.experiments(&all).unwrap().len() as u64, made.iter().sum::<u64>());
                let Some(whole) = whole else { continue };
                let merged = ledger.merge(&all, &whole).unwrap();
                prop_assert_eq!(merged, whole, "merging oneself changes nothing");
            }
            prop_assert!(trees.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", trees);
            // Two that merge each other at once are done.
            if let [a, b, ..] = &tips[..] {
                let (x, y) = (Tag::new("x"), Tag::new("y"));
                for (tag, first, second) in [(&x, a, b), (&y, b, a)] {
                    ledger.merge(tag, first).unwrap();
                    ledger.merge(tag, second).unwrap();
                }
                prop_assert_eq!(ledger.tip(&x).unwrap(), ledger.tip(&y).unwrap());
            }
        }
    }
}
