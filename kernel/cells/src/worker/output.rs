//! Reads what the tap sends through the named pipe, and turns it into replies as it comes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use super::Replies;
use crate::message::{Bundle, StreamName};
use crate::tap::record::Record;

/// How much of a cell's last words on standard error is kept for the message of a failed `?`.
const LAST_WORDS: usize = 4096;

/// How long the message of a panic is kept back. Unwinding takes milliseconds, with a backtrace on a
/// busy machine some hundred.
const PANIC_WAIT: Duration = Duration::from_secs(2);

/// What the prelude shows is whole in itself, and not one form of what came just before.
const OURS: &str = "application/vnd.overnight.";
/// All forms of one value, as JSON: from MIME type to content.
const WHOLE: &str = "application/vnd.overnight.bundle+json";

/// What the output of one cell said about how it ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// It panicked, with this on standard error.
    pub(super) panic: Option<String>,
    /// It returned early by `?`, with this on standard error.
    pub(super) returned: Option<String>,
    /// The user's process ended, in this way.
    pub(super) ended: Option<String>,
}

/// The named pipe and the thread that reads it.
pub(super) struct Output {
    path: PathBuf,
    pipe: File,
    marks: u64,
    endings: Receiver<(u64, Ending)>,
}

impl Output {
    /// Makes the pipe, anew where one was left, and begins to read it.
    pub(super) fn open(path: &Path, replies: Arc<Replies>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Open for both, so that the pipe has no end when a tap ends.
        let pipe = OpenOptions::new().read(true).write(true).open(path)?;
        let mut reader = io::BufReader::new(pipe.try_clone()?);
        let (sender, endings) = channel();
        thread::spawn(move || {
            let mut collector = Collector::new(|shown| match shown {
                Shown::Text(name, text) => replies.stream(name, text),
                Shown::Value(bundle) => replies.display(bundle),
            });
            loop {
                if let Some(since) = collector.held_since() {
                    let left = PANIC_WAIT.saturating_sub(since.elapsed());
                    let buffered = !reader.buffer().is_empty();
                    if left.is_zero() || !buffered && is_silent(reader.get_ref(), left) {
                        collector.release();
                    }
                }
                let Ok(record) = Record::read(&mut reader) else { break };
                if !collector.take(record, &sender) {
                    break;
                }
            }
        });
        Ok(Self { path: path.to_owned(), pipe, marks: 0, endings })
    }

    /// Where taps write to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until all that was written so far has been sent on; what it said since the last call.
    pub(super) fn drain(&mut self) -> io::Result<Ending> {
        self.marks += 1;
        Record::Mark(self.marks).write(&mut self.pipe)?;
        loop {
            let (mark, ending) = self.endings.recv().map_err(io::Error::other)?;
            if mark == self.marks {
                return Ok(ending);
            }
        }
    }
}

/// Whether nothing comes for so long: then a panic was not the end of the cell.
fn is_silent(pipe: &File, wait: Duration) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, wait.as_millis() as u16) == Ok(0)
}

/// What is passed on.
#[derive(Debug, PartialEq)]
enum Shown {
    Text(StreamName, String),
    Value(Bundle),
}

struct Collector<F> {
    show: F,
    stdout: Decoder,
    stderr: Decoder,
    /// A panic's message, kept back: if the cell ends by it, it is the cell's error.
    /// Text of the two streams comes in no certain order, so text of the other says nothing.
    held: Option<(String, Instant)>,
    last_words: String,
    /// A value, while it is read.
    part: Option<(String, Vec<u8>)>,
    /// Values in several forms come one after the other; they are shown as one.
    bundle: Bundle,
    ending: Ending,
}

impl<F: FnMut(Shown)> Collector<F> {
    fn new(show: F) -> Self {
        Self {
            show,
            stdout: Decoder::default(),
            stderr: Decoder::default(),
            held: None,
            last_words: String::new(),
            part: None,
            bundle: Bundle::new(),
            ending: Ending::default(),
        }
    }

    fn held_since(&self) -> Option<Instant> {
        self.held.as_ref().map(|(_, since)| *since)
    }

    /// Takes one record; false when nobody waits any more.
    fn take(&mut self, record: Record, marks: &Sender<(u64, Ending)>) -> bool {
        match record {
            Record::Stderr(bytes) => {
                self.show_bundle();
                let text = self.stderr.push(&bytes);
                self.stderr_text(&text);
            }
            Record::Stdout(bytes) => {
                self.show_bundle();
                let text = self.stdout.push(&bytes);
                self.text(StreamName::Stdout, text);
            }
            Record::DisplayStart(mime) => {
                if self.bundle.contains_key(&mime) || mime.starts_with(OURS) {
                    self.show_bundle();
                }
                self.part = Some((mime, Vec::new()));
            }
            Record::DisplayData(bytes) => {
                if let Some((_, content)) = &mut self.part {
                    content.extend(bytes);
                }
            }
            Record::DisplayEnd => {
                if let Some((mime, content)) = self.part.take() {
                    self.value(mime, String::from_utf8_lossy(&content).into_owned());
                }
            }
            Record::Panicked => self.panicked(),
            Record::Returned => self.ending.returned = Some(std::mem::take(&mut self.last_words)),
            Record::Ended(status) => self.ending.ended = Some(status),
            Record::Mark(number) => {
                self.show_bundle();
                self.release();
                let (out, err) = (self.stdout.finish(), self.stderr.finish());
                self.text(StreamName::Stdout, out);
                self.text(StreamName::Stderr, err);
                self.last_words.clear();
                return marks.send((number, std::mem::take(&mut self.ending))).is_ok();
            }
        }
        true
    }

    fn value(&mut self, mime: String, content: String) {
        match (mime.as_str(), value(&mime, content)) {
            (WHOLE, Value::Object(forms)) => {
                self.bundle =
                    forms.into_iter().map(|(mime, form)| (mime.clone(), parsed(&mime, form))).collect();
                self.show_bundle();
            }
            (_, value) => {
                let whole = mime.starts_with(OURS);
                self.bundle.insert(mime, value);
                if whole {
                    self.show_bundle();
                }
            }
        }
    }

    fn stderr_text(&mut self, text: &str) {
        if let Some((held, _)) = &mut self.held {
            held.push_str(text);
            return;
        }
        let (now, panic) = text.split_at(panic_starts(text).next().unwrap_or(text.len()));
        self.stderr_now(now);
        if !panic.is_empty() {
            self.held = Some((panic.to_owned(), Instant::now()));
        }
    }

    fn stderr_now(&mut self, text: &str) {
        self.text(StreamName::Stderr, text.to_owned());
        self.last_words.push_str(text);
        let excess = self.last_words.len().saturating_sub(LAST_WORDS);
        let excess = self.last_words.ceil_char_boundary(excess);
        self.last_words.drain(..excess);
    }

    /// The last panic ended the cell; one before it was of a thread that the cell waited for.
    fn panicked(&mut self) {
        let held = self.held.take().map(|(text, _)| text);
        let held = held.unwrap_or_else(|| std::mem::take(&mut self.last_words));
        let (before, last) = held.split_at(panic_starts(&held).last().unwrap_or(0));
        self.text(StreamName::Stderr, before.to_owned());
        self.ending.panic = Some(last.to_owned());
    }

    /// A panic that was caught, or was of another thread, is plain text.
    fn release(&mut self) {
        if let Some((text, _)) = self.held.take() {
            self.stderr_now(&text);
        }
    }

    fn show_bundle(&mut self) {
        if !self.bundle.is_empty() {
            (self.show)(Shown::Value(std::mem::take(&mut self.bundle)));
        }
    }

    fn text(&mut self, name: StreamName, text: String) {
        if !text.is_empty() {
            (self.show)(Shown::Text(name, text));
        }
    }
}

/// Where messages of panics begin, with the empty line that Rust puts before them. A long message is
/// written in parts, so that its first line may be incomplete.
fn panic_starts(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices("thread '").filter_map(|(at, _)| {
        let before = &text[..at];
        let starts_line = before.is_empty() || before.ends_with('\n');
        let is_panic = text[at..].split_once('\n').is_none_or(|(line, _)| line.contains(" panicked at "));
        (starts_line && is_panic).then(|| before.strip_suffix('\n').unwrap_or(before).len())
    })
}

/// A form that came as text, as its type has it.
fn parsed(mime: &str, form: Value) -> Value {
    match form {
        Value::String(text) => value(mime, text),
        form => form,
    }
}

/// JSON types carry JSON, all others text.
pub(super) fn value(mime: &str, content: String) -> Value {
    let essence = mime.split(';').next().unwrap_or_default().trim();
    if essence.ends_with("json")
        && let Ok(json) = serde_json::from_str(&content)
    {
        return json;
    }
    Value::String(content)
}

/// Bytes to text, across pieces that end within a character.
#[derive(Debug, Default)]
struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.rest);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let last = chunks.peek().is_none();
            if last && is_beginning(chunk.invalid()) {
                self.rest = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }

    fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

/// Whether more bytes could make it a character.
fn is_beginning(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn collect(records: Vec<Record>) -> (Vec<Shown>, Ending) {
        let (sender, receiver) = channel();
        let mut shown = Vec::new();
        let mut collector = Collector::new(|it| shown.push(it));
        for record in records {
            assert!(collector.take(record, &sender));
        }
        assert!(collector.take(Record::Mark(1), &sender));
        drop(collector);
        let (mark, ending) = receiver.recv().unwrap();
        assert_eq!(mark, 1);
        (shown, ending)
    }

    fn display(mime: &str, content: &str) -> [Record; 3] {
        [
            Record::DisplayStart(mime.into()),
            Record::DisplayData(content.as_bytes().to_vec()),
            Record::DisplayEnd,
        ]
    }

    #[test]
    fn what_the_prelude_shows_is_shown_one_by_one() {
        let whole = |forms: &str| display(WHOLE, forms);
        let records = [
            whole(r#"{"text/plain":"a"}"#),
            whole(r#"{"text/html":"<b>","application/json":"{\"x\":1}"}"#),
            display("application/vnd.overnight.chart+json", "{}"),
            display("text/plain", "evcxr's own"),
        ];
        let (shown, _) = collect(records.into_iter().flatten().collect());
        let bundle = |forms: &[(&str, Value)]| {
            Shown::Value(forms.iter().map(|(mime, form)| ((*mime).to_owned(), form.clone())).collect())
        };
        assert_eq!(
            shown,
            [
                bundle(&[("text/plain", "a".into())]),
                bundle(&[("text/html", "<b>".into()), ("application/json", serde_json::json!({"x": 1}))]),
                bundle(&[("application/vnd.overnight.chart+json", serde_json::json!({}))]),
                bundle(&[("text/plain", "evcxr's own".into())]),
            ]
        );
    }

    const PANIC: &str = "\nthread 'main' (7) panicked at src/lib.rs:3:1:\nno\n";

    #[test]
    fn forms_of_one_value_are_one_bundle() {
        let records = [
            display("text/html", "<b>"),
            display("text/plain", "b"),
            display("text/html", "<i>"),
            display("application/json", "{\"a\":1}"),
        ];
        let (shown, _) = collect(records.into_iter().flatten().collect());
        let Shown::Value(second) = &shown[1] else { panic!("no value: {shown:?}") };
        assert_eq!(shown.len(), 2);
        assert_eq!(second["text/html"], "<i>");
        assert_eq!(second["application/json"]["a"], 1);
    }

    #[test]
    fn a_panic_that_ends_the_cell_is_its_error_and_not_text() {
        let stderr = Record::Stderr(format!("before\n{PANIC}").into_bytes());
        let (shown, ending) = collect(vec![stderr, Record::Panicked]);
        assert_eq!(shown, vec![Shown::Text(StreamName::Stderr, "before\n".into())]);
        assert_eq!(ending.panic.unwrap().trim(), PANIC.trim());
    }

    #[test]
    fn a_panic_in_parts_is_put_together() {
        let (one, two) = PANIC.split_at(12);
        let records = vec![Record::Stderr(one.into()), Record::Stderr(two.into()), Record::Panicked];
        let (shown, ending) = collect(records);
        assert_eq!((shown, ending.panic.as_deref()), (vec![], Some(PANIC)));
    }

    #[test]
    fn of_two_panics_the_last_is_the_error() {
        let thread = "\nthread '<unnamed>' (8) panicked at src/lib.rs:2:1:\nfirst\n";
        let stderr = Record::Stderr(format!("{thread}{PANIC}").into_bytes());
        let (shown, ending) = collect(vec![stderr, Record::Panicked]);
        assert_eq!(shown, vec![Shown::Text(StreamName::Stderr, thread.into())]);
        assert_eq!(ending.panic.as_deref(), Some(PANIC));
    }

    #[test]
    fn a_panic_that_was_caught_is_text() {
        let records = vec![Record::Stderr(PANIC.into()), Record::Stdout(b"after".to_vec())];
        let (mut shown, ending) = collect(records);
        assert_eq!(shown.pop(), Some(Shown::Text(StreamName::Stderr, PANIC.into())));
        assert_eq!(shown, vec![Shown::Text(StreamName::Stdout, "after".into())]);
        assert_eq!(ending, Ending::default());
    }

    #[test]
    fn text_that_was_printed_before_a_panic_may_come_after_its_message() {
        let records =
            vec![Record::Stderr(PANIC.into()), Record::Stdout(b"before".to_vec()), Record::Panicked];
        let (shown, ending) = collect(records);
        assert_eq!(shown, vec![Shown::Text(StreamName::Stdout, "before".into())]);
        assert_eq!(ending.panic.as_deref(), Some(PANIC));
    }

    #[test]
    fn a_failed_question_mark_has_its_message() {
        let (_, ending) = collect(vec![Record::Stderr(b"no such file\n".to_vec()), Record::Returned]);
        assert_eq!(ending.returned.as_deref(), Some("no such file\n"));
    }

    proptest! {
        #[test]
        fn text_survives_any_split(text in "[aé€😀\n]{0,20}", cut in 0usize..80) {
            let cut = cut.min(text.len());
            let mut decoder = Decoder::default();
            let mut out = decoder.push(&text.as_bytes()[..cut]);
            out.push_str(&decoder.push(&text.as_bytes()[cut..]));
            out.push_str(&decoder.finish());
            prop_assert_eq!(out, text);
        }
    }
}
