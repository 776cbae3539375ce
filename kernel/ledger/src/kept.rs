//! A ledger's records and events in one file beside it, so that a new process reads a file and not ten thousand
//! objects.
//!
//! It is a cache: it says which commit it was made from, what came since is read from git, and deleting it loses
//! nothing. `state_dir()/cache/records-<tag>.zst`: a line that says whose it is, then a line for each record (its
//! tree and its JSON) and for each event, compressed.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::PathBuf,
};

use git2::Oid;
use lab::{CommitId, Tag};
use serde::{Deserialize, Serialize};

use crate::{Ledger, known::Cached, walk::Walk};

/// How this version writes the file. Another one reads events that this one passes over, and makes its own.
const BY: &str = concat!("2 ", env!("CARGO_PKG_VERSION"));
/// So few records and events are read from git as soon as from a file.
const FEW: usize = 256;
/// The file is made again when its ledger has grown by one part in so many.
const GROWTH: usize = 8;
/// The quickest level: the records of a ledger are much alike.
const LEVEL: i32 = 1;

/// The first line.
#[derive(Deserialize, Serialize)]
struct Head {
    by: String,
    tip: CommitId,
    lines: usize,
}

impl Ledger {
    fn kept_path(&self, tag: &Tag) -> PathBuf {
        self.state_dir().join("cache").join(format!("records-{tag}.zst"))
    }

    /// What the file has, and up to which commit; `None` where there is none that can be read whole.
    pub(crate) fn read_kept(&self, tag: &Tag) -> Option<(CommitId, Walk)> {
        let path = self.kept_path(tag);
        let mut file = BufReader::with_capacity(1 << 17, zstd::Decoder::new(File::open(&path).ok()?).ok()?);
        let mut read = || -> std::io::Result<Option<(CommitId, Walk)>> {
            let (mut line, mut walk) = (Vec::new(), Walk::default());
            file.read_until(b'\n', &mut line)?;
            let head: Head = serde_json::from_slice(&line)?;
            // The commit may be gone, after the ledger was put back and cleared away.
            if head.by != BY || self.commit(&head.tip).is_err() {
                return Ok(None);
            }
            let mut lines = 0;
            loop {
                line.clear();
                if file.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                lines += 1;
                if line.first() == Some(&b'{') {
                    walk.events.push(serde_json::from_slice(&line)?);
                } else {
                    let (folder, record) =
                        line.split_at_checked(40).ok_or(std::io::ErrorKind::InvalidData)?;
                    let folder = std::str::from_utf8(folder).map_err(std::io::Error::other)?;
                    let folder = Oid::from_str(folder).map_err(std::io::Error::other)?;
                    walk.records.push((serde_json::from_slice(record)?, folder));
                }
            }
            Ok((lines == head.lines).then_some((head.tip, walk)))
        };
        read()
            .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "read from git instead"))
            .ok()
            .flatten()
    }

    /// Writes the file anew where much has come since; what cannot be written is only slower next time.
    pub(crate) fn keep_some(&self, tag: &Tag, tip: &CommitId, cached: &mut Cached) {
        let size = cached.size();
        if size < cached.kept + FEW.max(size / GROWTH) {
            return;
        }
        cached.kept = size;
        if let Err(error) = self.write_kept(tag, tip, cached) {
            tracing::debug!(%tag, %error, "not kept");
        }
    }

    fn write_kept(&self, tag: &Tag, tip: &CommitId, cached: &Cached) -> std::io::Result<()> {
        let path = self.kept_path(tag);
        let folder = self.state_dir().join("cache");
        fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        let mut to = zstd::Encoder::new(file.as_file_mut(), LEVEL)?;
        to.include_checksum(true)?;
        let head = Head { by: BY.to_owned(), tip: tip.clone(), lines: cached.size() };
        serde_json::to_writer(&mut to, &head)?;
        to.write_all(b"\n")?;
        for (record, folder) in cached.records() {
            write!(to, "{folder}")?;
            serde_json::to_writer(&mut to, record)?;
            to.write_all(b"\n")?;
        }
        for entry in cached.known.events.iter() {
            serde_json::to_writer(&mut to, entry.as_ref())?;
            to.write_all(b"\n")?;
        }
        to.finish()?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lab::Event;

    use super::*;
    use crate::testing::{Lab, append, entry, record};

    /// A ledger that is large enough for the file, and its tag.
    fn filled() -> (Lab, Tag) {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        for number in 0..FEW as u64 {
            append(&ledger, &record(&ledger, number));
        }
        assert_eq!(ledger.experiments(&tag).unwrap().len(), FEW);
        assert!(ledger.kept_path(&tag).exists());
        (lab, tag)
    }

    #[test]
    fn a_new_handle_reads_the_file_and_what_came_since() {
        let (lab, tag) = filled();
        let ledger = lab.ledger();
        let noted = record(&ledger, FEW as u64);
        append(&ledger, &noted);
        let event = Event::Noted { experiment: noted.id, text: "look".to_owned() };
        ledger.append_event(&entry(event, 1_790_000_000)).unwrap();
        let (tip, walk) = lab.ledger().read_kept(&tag).unwrap();
        assert_ne!(Some(tip), ledger.tip(&tag).unwrap());
        assert_eq!(walk.records.len(), FEW);
        let read = lab.ledger().experiments(&tag).unwrap();
        assert_eq!(read.last().unwrap().notes, ["Ada: look"]);
        let first = read[0].record.id;
        assert_eq!(lab.ledger().log(&tag, first).unwrap(), b"step 1\n");

        fs::remove_file(ledger.kept_path(&tag)).unwrap();
        assert_eq!(lab.ledger().experiments(&tag).unwrap(), read, "deleting it loses nothing");
    }

    #[test]
    fn a_file_that_is_spoilt_or_not_of_this_ledger_is_as_one_that_is_not_there() {
        let (lab, tag) = filled();
        let read = lab.ledger().experiments(&tag).unwrap();
        let path = lab.ledger().kept_path(&tag);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(lab.ledger().read_kept(&tag).is_none());
        assert_eq!(lab.ledger().experiments(&tag).unwrap(), read);

        fs::write(&path, &whole).unwrap();
        let first = lab.git("rev-list --first-parent --reverse refs/overnight/ledger/main");
        let second = first.lines().nth(1).unwrap();
        lab.git(&format!("update-ref refs/overnight/ledger/main {second}"));
        assert_eq!(lab.ledger().experiments(&tag).unwrap().len(), 1, "a ledger that was set back");
    }
}
