//! The streaming reader: bytes in, rows and summary out.

use std::collections::BTreeMap;

use super::{
    Metrics, Row,
    line::{self, Kind, Line},
    object,
};
use crate::Seconds;

/// A line longer than this is log: it is passed over and not held.
const LINE_BYTES: usize = 64 * 1024;

/// A run has at most so many metrics: further names are passed over.
const NAMES: usize = 200;

/// A longer name is no metric's, in bytes.
const NAME_BYTES: usize = 256;

/// Reads metrics out of a run's output while it is printed.
///
/// It gets the output in pieces of any size, cut anywhere. It holds one line at a time and the rows that
/// were not yet taken: whoever reads a long run calls [`Reader::take_rows`] after each piece.
#[derive(Debug, Default)]
pub struct Reader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Whether that line is too long.
    too_long: bool,
    /// Whether the summary block has begun.
    in_summary: bool,
    /// Rows so far, taken ones among them.
    count: u64,
    /// When the last bytes were printed.
    time: Seconds,
    rows: Vec<Row>,
    summary: BTreeMap<String, f64>,
    last: BTreeMap<String, f64>,
    /// The name that is kept however many there are.
    wanted: Option<String>,
}

impl Reader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that keeps the metric `name` however many others come first.
    pub fn watching(name: &str) -> Self {
        Self { wanted: Some(name.to_owned()), ..Self::default() }
    }

    /// Reads the next bytes of the output, printed at `time` since the run began.
    pub fn push(&mut self, bytes: &[u8], time: Seconds) {
        self.time = time;
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', text)) => (text, true),
                _ => (piece, false),
            };
            self.too_long |= self.line.len() + text.len() > LINE_BYTES;
            if self.too_long {
                self.line.clear();
            } else if ends && self.line.is_empty() {
                self.read_line(text);
            } else {
                self.line.extend_from_slice(text);
            }
            if ends {
                self.end_line();
            }
        }
    }

    /// Reads what the run has written to a file: an object, whose numbers are part of the summary. Whether it is one.
    pub fn object(&mut self, text: &str) -> bool {
        let Some(values) = object::read(text) else { return false };
        self.keep(Line { kind: Kind::Summary, step: None, values: line::named(values) });
        true
    }

    /// Drains the rows that are complete.
    pub fn take_rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }

    /// The summary so far: the last value of each name.
    pub fn summary(&self) -> &BTreeMap<String, f64> {
        &self.summary
    }

    /// The last value of each name, whether a row or the summary has it.
    pub fn last(&self) -> &BTreeMap<String, f64> {
        &self.last
    }

    /// The value of the metric `name`: the summary's, or else the last one that a row had.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.summary.get(name).or_else(|| self.last.get(name)).copied()
    }

    /// Reads a last line that has no end, and so has all rows ready to be taken and the summary whole.
    /// After it the reader can be asked, and is done.
    pub fn end(&mut self) {
        self.end_line();
    }

    /// Forgets a last line that has no end: whoever printed it was killed, perhaps in the middle of a number.
    pub fn cut(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    /// Ends the output: the rows that were not taken, and the summary.
    pub fn finish(mut self) -> Metrics {
        self.end();
        Metrics { rows: self.rows, summary: self.summary }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && !self.too_long {
            self.read_line(&line);
        }
        self.too_long = false;
        self.line = line;
        self.line.clear();
    }

    fn read_line(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let stripped;
        let plain = if bytes.contains(&b'\x1b') {
            stripped = anstream::adapter::strip_bytes(bytes).into_vec();
            &stripped
        } else {
            bytes
        };
        self.keep(line::read(&String::from_utf8_lossy(plain)));
    }

    fn keep(&mut self, line: Line) {
        let summarize = match line.kind {
            Kind::Log => return,
            Kind::Rule => {
                self.in_summary = true;
                return;
            }
            Kind::Row => false,
            Kind::Several => self.in_summary,
            Kind::Summary => true,
        };
        let mut values = BTreeMap::new();
        for (name, value) in line.values {
            if let Some(last) = self.last.get_mut(&name) {
                *last = value;
            } else if (self.last.len() < NAMES && name.len() <= NAME_BYTES)
                || self.wanted.as_ref() == Some(&name)
            {
                self.last.insert(name.clone(), value);
            } else {
                continue;
            }
            if summarize {
                self.summary.insert(name, value);
            } else {
                values.insert(column(name), value);
            }
        }
        if !values.is_empty() {
            let step = line.step.unwrap_or(self.count);
            self.count += 1;
            self.rows.push(Row { step, time: self.time, values });
        }
    }
}

/// The name in a row, beside the row's own `step` and `time`.
fn column(name: String) -> String {
    if matches!(name.as_str(), "step" | "time") { name + "_" } else { name }
}
