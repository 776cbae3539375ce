//! The id of a clone, and how a copy of one is told from it.

use std::{fs, io::Write as _, os::unix::fs::MetadataExt as _, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Ledger, LedgerError, error::on_file, open::check_writer};

/// The file of the id, in the state folder.
const WRITER: &str = "writer";
/// Where the id was at home when it was last asked for.
const HOME: &str = "writer.home";
/// What belongs to the clone that was copied: its journal and what its runner was about. The id comes after them and
/// its home last, so that what is cut off is begun again.
const OF_ANOTHER: [&str; 6] = ["events.jsonl", "loop.json", "drafts", "cache", WRITER, HOME];
/// Held by whoever gives a copy an id of its own.
const LOCK: &str = "writer.lock";

/// Where a clone is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Home {
    /// The inode of the file of the id: it stays in a move and on a shared file system, a copy has another.
    inode: u64,
    /// The state folder.
    state: PathBuf,
    /// The machine.
    host: String,
}

impl Ledger {
    /// The id of this clone, under which it reserves numbers. Made once, kept in `state_dir()/writer`.
    ///
    /// A clone that was copied with its state (`cp -r`) gets an id of its own here, for otherwise both would give
    /// the same numbers to different experiments. It is told by where it is: one that was moved, or that several
    /// machines share, keeps its id.
    pub fn writer(&self) -> Result<String, LedgerError> {
        if let Some(known) = self.writer.get() {
            return Ok(known.clone());
        }
        let mut id = self.written()?;
        match self.home()? {
            (home, Some(before)) if before == home => {}
            (home, Some(before)) if self.is_copy(&home, &before, &id) => {
                tracing::warn!(of = %before.state.display(), "this clone is a copy: it gets an id of its own");
                id = self.leave_to(&id)?;
            }
            _ => self.settle()?,
        }
        check_writer(&id)?;
        Ok(self.writer.get_or_init(|| id).clone())
    }

    /// The id in the file, which is made where there is none.
    fn written(&self) -> Result<String, LedgerError> {
        let state = self.state_dir();
        let path = state.join(WRITER);
        if !path.exists() {
            let mut file = tempfile::NamedTempFile::new_in(state).map_err(|e| on_file(e, &path))?;
            let id = uuid::Uuid::new_v4().simple().to_string();
            file.write_all(&id.as_bytes()[..12])
                .and_then(|()| file.as_file().sync_all())
                .map_err(|e| on_file(e, &path))?;
            // Whoever comes first names the clone; the others read it.
            if let Err(e) = file.persist_noclobber(&path)
                && !path.exists()
            {
                return Err(on_file(e.error, &path));
            }
        }
        let id = fs::read_to_string(&path).map_err(|e| on_file(e, &path))?;
        Ok(id.trim().to_owned())
    }

    /// Where this clone is, and where it was when it was last asked.
    fn home(&self) -> Result<(Home, Option<Home>), LedgerError> {
        let state = self.state_dir();
        let path = state.join(WRITER);
        let of = fs::metadata(&path).map_err(|e| on_file(e, &path))?;
        let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
        let now = Home {
            inode: of.ino(),
            state: fs::canonicalize(state).map_err(|e| on_file(e, state))?,
            host: host.unwrap_or_default(),
        };
        let before = fs::read(state.join(HOME)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Ok((now, before))
    }

    /// Whether this is a copy of the clone that was at `before`: another file at another path, and the clone is still
    /// there, or would have to be on another machine.
    fn is_copy(&self, now: &Home, before: &Home, id: &str) -> bool {
        let still = || fs::read_to_string(before.state.join(WRITER)).is_ok_and(|other| other.trim() == id);
        now.inode != before.inode && now.state != before.state && (now.host != before.host || still())
    }

    /// Writes down where this clone is. Where that cannot be, a copy of it will not be told from it.
    fn settle(&self) -> Result<(), LedgerError> {
        let (home, _) = self.home()?;
        let state = self.state_dir();
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(state)?;
            serde_json::to_writer(&mut file, &home)?;
            file.persist(state.join(HOME))?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "where this clone is could not be written down");
        }
        Ok(())
    }

    /// Puts what the clone that this one was copied from is about out of the way, for that goes on with it itself,
    /// and gives the new id.
    fn leave_to(&self, id: &str) -> Result<String, LedgerError> {
        let state = self.state_dir();
        let lock = fs::File::create(state.join(LOCK)).map_err(|e| on_file(e, state))?;
        lock.lock().map_err(|e| on_file(e, state))?;
        let now = self.written()?;
        if now != id {
            return Ok(now);
        }
        let aside = state.join(format!("copied-from-{id}"));
        fs::create_dir_all(&aside).map_err(|e| on_file(e, &aside))?;
        for name in OF_ANOTHER {
            match fs::rename(state.join(name), aside.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(on_file(e, &state.join(name)));
                }
                _ => {}
            }
        }
        let new = self.written()?;
        self.settle()?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{path::Path, process::Command};

    use super::*;
    use crate::testing::{Lab, append, record};

    fn run(program: &str, arguments: [&Path; 2], option: &str) {
        assert!(Command::new(program).arg(option).args(arguments).status().unwrap().success());
    }

    fn of(root: &Path) -> String {
        Ledger::open(root).unwrap().writer().unwrap()
    }

    #[test]
    fn the_writer_is_the_same_for_all_who_ask_at_once() {
        let lab = Lab::new();
        let asked: Vec<_> = (0..8)
            .map(|_| lab.ledger())
            .map(|ledger| std::thread::spawn(move || ledger.writer().unwrap()))
            .map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(asked[0].len(), 12);
        assert!(asked.iter().all(|writer| *writer == asked[0]));
    }

    #[test]
    fn a_copy_gets_an_id_of_its_own_and_a_clone_that_was_moved_keeps_its() {
        let lab = Lab::new();
        append(&lab.ledger(), &record(&lab.ledger(), 0));
        let first = of(&lab.root());
        fs::write(lab.root().join(".git/overnight/events.jsonl"), "{}\n").unwrap();

        let copy = lab.beside("copy");
        run("cp", [&lab.root(), &copy], "-a");
        let second = of(&copy);
        assert_ne!(second, first);
        assert_eq!((of(&copy), of(&lab.root())), (second.clone(), first.clone()));
        let ledger = Ledger::open(&copy).unwrap();
        assert_eq!(ledger.next_number(&lab::Tag::default()).unwrap(), 0, "its numbers begin anew");
        assert!(!copy.join(".git/overnight/events.jsonl").exists(), "the other clone goes on with its runs");
        assert!(copy.join(format!(".git/overnight/copied-from-{first}/events.jsonl")).exists());

        let moved = lab.beside("moved");
        fs::rename(&copy, &moved).unwrap();
        assert_eq!(of(&moved), second);

        // Moved by copying, as to another file system.
        let far = lab.beside("far");
        run("cp", [&moved, &far], "-a");
        fs::remove_dir_all(&moved).unwrap();
        assert_eq!(of(&far), second);
    }
}
