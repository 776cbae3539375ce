//! The journal, `events.jsonl`: a write-ahead log, one [`Entry`] a line.
//!
//! Every entry is written before it is acted on, and on disk before that where the next start could not find it out
//! otherwise. A line that a crash or a power cut tore is cut off when the journal is opened; a line that this version
//! does not know is kept in the file and passed over.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use lab::{Entry, Event, EventId, Tag};
use serde::Deserialize;

use crate::lock::Guard;
use crate::{RunnerError, paths};

/// The least time between two entries.
const TICK: SignedDuration = SignedDuration::from_micros(1);

/// An event that happens now.
pub fn entry(author: &str, tag: &Tag, event: Event) -> Entry {
    Entry {
        schema: lab::SCHEMA,
        id: EventId(uuid::Uuid::now_v7()),
        at: Timestamp::now(),
        author: author.to_owned(),
        tag: tag.clone(),
        writer: None,
        event,
    }
}

/// The open journal; only the process that holds the lab's lock may have one.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    /// Whether half a line may stand at the end, which could not be taken back.
    torn: bool,
    /// When the last entry was written: a clock that is set back does not turn the order of events round.
    last: Timestamp,
    guard: Option<Guard>,
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The entries, in the order in which they were written.
    pub entries: Vec<Entry>,
    /// How many whole lines this version could not read.
    pub unknown: usize,
    /// How many bytes of a torn last line there were.
    pub torn: usize,
    /// The schema of a line that a newer version wrote, which this one must not go on from.
    pub newer: Option<u64>,
}

impl Journal {
    /// Opens the journal at `path`, makes it where there is none, and mends a torn end.
    ///
    /// # Errors
    /// [`RunnerError::Io`] where the file cannot be read or written; [`RunnerError::Newer`] where a newer version
    /// with another format has written to it.
    pub fn open(path: &Path) -> Result<(Self, Contents), RunnerError> {
        let mut file = paths::open_private(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(RunnerError::io("read", path))?;
        let (contents, whole) = parse(&bytes);
        if let Some(found) = contents.newer {
            return Err(RunnerError::Newer { path: path.to_owned(), found });
        }
        if contents.torn > 0 {
            tracing::warn!(
                bytes = contents.torn,
                "the journal's last line was torn by a crash; it is cut off"
            );
            file.set_len(whole).map_err(RunnerError::io("mend", path))?;
        }
        file.seek(SeekFrom::Start(whole)).map_err(RunnerError::io("read", path))?;
        file.sync_all().map_err(RunnerError::io("sync", path))?;
        let last = contents.entries.iter().map(|entry| entry.at).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let path = path.to_owned();
        Ok((Self { file, path, length: whole, torn: false, last, guard: None }, contents))
    }

    /// From now on an entry is only written while the lab's lock is held.
    pub fn guarded(&mut self, guard: Guard) {
        self.guard = Some(guard);
    }

    /// Writes an event that happens now, and waits until it is on disk.
    ///
    /// "Now" is never before what was written last, whatever the clock says.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn write(&mut self, author: &str, tag: &Tag, event: Event) -> Result<Entry, RunnerError> {
        let entry = self.now(author, tag, event);
        self.put(&entry, true)?;
        Ok(entry)
    }

    /// Writes an event that happens now, and leaves it to the next one to bring it to the disk: for what the next start
    /// finds out by itself, should the machine lose its power in between. A process that is killed loses nothing by it.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn write_lazily(&mut self, author: &str, tag: &Tag, event: Event) -> Result<Entry, RunnerError> {
        let entry = self.now(author, tag, event);
        self.put(&entry, false)?;
        Ok(entry)
    }

    fn now(&self, author: &str, tag: &Tag, event: Event) -> Entry {
        let mut entry = entry(author, tag, event);
        if entry.at <= self.last {
            entry.at = self.last.saturating_add(TICK).unwrap_or(self.last);
        }
        entry
    }

    /// What is written from now on is not before `at`.
    pub fn not_before(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
    }

    /// Writes an entry and waits until it is on disk.
    ///
    /// # Errors
    /// [`RunnerError::Io`], for instance where the disk is full; the journal is then as it was before.
    /// [`RunnerError::Lost`] where the lab's lock is no longer held.
    pub fn append(&mut self, entry: &Entry) -> Result<(), RunnerError> {
        self.put(entry, true)
    }

    fn put(&mut self, entry: &Entry, sync: bool) -> Result<(), RunnerError> {
        if let Some(guard) = &self.guard {
            guard.check()?;
        }
        let mut line = serde_json::to_vec(entry).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        line.push(b'\n');
        let written = self.mend().and_then(|()| self.file.write_all(&line));
        let written = if sync { written.and_then(|()| self.file.sync_data()) } else { written };
        if let Err(source) = written {
            // Half a line would glue itself to the next entry.
            self.torn = true;
            let _ = self.mend();
            return Err(RunnerError::Io { what: "write", path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        self.last = self.last.max(entry.at);
        Ok(())
    }

    /// Takes back what was written of an entry that could not be written whole.
    fn mend(&mut self) -> std::io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Reads a journal that another process may be writing, without touching it.
///
/// # Errors
/// [`RunnerError::Io`] where it is there and cannot be read; none at all reads as empty.
pub fn read(path: &Path) -> Result<Contents, RunnerError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse(&bytes).0),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Contents::default()),
        Err(e) => Err(RunnerError::io("read", path)(e)),
    }
}

/// How many bytes of a journal are looked through at once.
const PIECE: u64 = 1 << 20;

/// The last entry of a kind, looked for from the end on: its other lines are not parsed.
///
/// # Errors
/// As [`read`].
pub fn last(path: &Path, event: &str) -> Result<Option<Entry>, RunnerError> {
    let failed = |error| RunnerError::io("read", path)(error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    // Inside of a text its quotation marks would be escaped.
    let mark = format!("\"event\":\"{event}\"");
    let mut from = file.metadata().map_err(failed)?.len();
    // The beginning of the piece after it, up to its first line's end.
    let mut rest = Vec::new();
    while from > 0 {
        let length = from.min(PIECE);
        from -= length;
        let mut piece = vec![0; length as usize];
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_exact(&mut piece)).map_err(failed)?;
        piece.append(&mut rest);
        let whole = if from == 0 {
            0
        } else {
            piece.iter().position(|b| *b == b'\n').map_or(piece.len(), |at| at + 1)
        };
        let mut lines = &piece[whole..];
        while let Some(at) = memchr::memmem::rfind(lines, mark.as_bytes()) {
            let start = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |at| at + 1);
            let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
            match serde_json::from_slice::<Entry>(&lines[start..end]) {
                Ok(entry) if entry.schema <= lab::SCHEMA => return Ok(Some(entry)),
                _ => {}
            }
            lines = &lines[..start];
        }
        piece.truncate(whole);
        rest = piece;
    }
    Ok(None)
}

/// The one field that lines of every format have.
#[derive(Deserialize)]
struct Schema {
    schema: u64,
}

/// What `bytes` hold, and how many of them are whole lines.
fn parse(bytes: &[u8]) -> (Contents, u64) {
    let mut contents = Contents::default();
    let mut whole = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let last = whole + line.len() == bytes.len();
        let entry = serde_json::from_slice::<Entry>(line);
        // After a power cut a file may end in zeros, with or without a line end among them.
        let torn =
            last && (!line.ends_with(b"\n") || serde_json::from_slice::<serde_json::Value>(line).is_err());
        if torn {
            contents.torn = line.len();
            break;
        }
        match entry {
            Ok(entry) if entry.schema <= lab::SCHEMA => contents.entries.push(entry),
            Ok(entry) => contents.newer = contents.newer.max(Some(entry.schema.into())),
            Err(_) if line.iter().all(u8::is_ascii_whitespace) => {}
            Err(error) => {
                tracing::debug!(%error, "a line of the journal is of a kind that this version does not know");
                contents.unknown += 1;
                let schema = serde_json::from_slice::<Schema>(line).map_or(0, |line| line.schema);
                if schema > lab::SCHEMA.into() {
                    contents.newer = contents.newer.max(Some(schema));
                }
            }
        }
        whole += line.len();
    }
    (contents, whole as u64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lab::{Event, EventId, Tag};
    use proptest::prelude::*;

    use super::*;

    fn entry(text: &str) -> Entry {
        Entry {
            schema: lab::SCHEMA,
            id: EventId(uuid::Uuid::now_v7()),
            at: jiff::Timestamp::UNIX_EPOCH,
            author: "ada".to_owned(),
            tag: Tag::default(),
            writer: None,
            event: Event::Steered { text: text.to_owned(), cell: None },
        }
    }

    #[test]
    fn unknown_events_are_kept_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&entry("a")).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"schema\":1,\"event\":\"from_the_future\"}\nnot json at all\n");
        std::fs::write(&path, &bytes).unwrap();

        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&entry("b")).unwrap();
        let contents = read(&path).unwrap();
        assert_eq!(contents.entries.len(), 2);
        assert!(std::fs::read_to_string(&path).unwrap().contains("from_the_future"));
    }

    #[test]
    fn a_newer_format_is_not_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let newer = Entry { schema: lab::SCHEMA + 1, ..entry("a") };
        std::fs::write(&path, serde_json::to_string(&newer).unwrap() + "\n").unwrap();
        let error = Journal::open(&path).unwrap_err();
        insta::assert_snapshot!(
            error.to_string().replace(folder.path().to_str().unwrap(), "STATE"),
            @"STATE/events.jsonl has schema 2; this version reads up to 1"
        );
        assert!(read(&path).unwrap().entries.is_empty(), "who only looks sees what it can read");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_turn_events_round() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(&folder.path().join("events.jsonl")).unwrap();
        let later = Timestamp::now().saturating_add(SignedDuration::from_hours(3)).unwrap();
        journal.append(&Entry { at: later, ..entry("a") }).unwrap();
        let said = |text: &str| Event::Steered { text: text.to_owned(), cell: None };
        let b = journal.write("ada", &Tag::default(), said("b")).unwrap();
        drop(journal);
        let (mut journal, _) = Journal::open(&folder.path().join("events.jsonl")).unwrap();
        let c = journal.write("ada", &Tag::default(), said("c")).unwrap();
        assert!(later < b.at && b.at < c.at);
    }

    #[test]
    fn the_last_entry_of_a_kind_is_found_from_the_end_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        assert!(last(&path, "steered").unwrap().is_none());
        let (mut journal, _) = Journal::open(&path).unwrap();
        // Longer than a piece, and with what looks like another entry inside.
        let long = "\"event\":\"loop_resumed\" ".repeat(100_000);
        let first = Entry { event: Event::LoopPaused { reason: None }, ..entry("") };
        for entry in [&first, &entry("a"), &entry(&long), &entry("b"), &entry(&long)] {
            journal.append(entry).unwrap();
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"event\":\"steered\",")
            .unwrap();
        let texts = |name: &str| last(&path, name).unwrap().map(|entry| entry.event);
        assert_eq!(texts("steered"), Some(Event::Steered { text: long, cell: None }));
        assert_eq!(texts("loop_paused"), Some(first.event));
        assert_eq!(texts("loop_resumed"), None);
    }

    proptest! {
        /// Wherever a crash cuts the file, the whole lines before the cut are read and the journal goes on.
        #[test]
        fn a_torn_line_is_cut_off(texts in proptest::collection::vec("[a-zé\"\\n]{0,12}", 1..6), cut in 0usize..2000) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.jsonl");
            let (mut journal, _) = Journal::open(&path).unwrap();
            for text in &texts {
                journal.append(&entry(text)).unwrap();
            }
            drop(journal);
            let bytes = std::fs::read(&path).unwrap();
            let cut = cut.min(bytes.len());
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|b| **b == b'\n').count();

            let (mut journal, contents) = Journal::open(&path).unwrap();
            prop_assert_eq!(contents.entries.len(), whole);
            journal.append(&entry("after")).unwrap();
            let contents = read(&path).unwrap();
            prop_assert_eq!(contents.entries.len(), whole + 1);
            prop_assert_eq!((contents.torn, contents.unknown), (0, 0));
        }
    }
}
