//! Takes the output of the user's process apart: text, rich values, and evcxr's own lines.

const MARK: &[u8] = b"EVCXR_";
const BEGIN: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END: &[u8] = b"EVCXR_END_CONTENT";
const COMPLETE: &[u8] = b"EVCXR_EXECUTION_COMPLETE";
const PANICKED: &[u8] = b"EVCXR_PANIC_NOTIFICATION";
const RETURNED: &[u8] = b"EVCXR_ERROR_OCCURRED";
const CHANGED_TYPE: &[u8] = b"EVCXR_VARIABLE_CHANGED_TYPE:";
/// What a line begins with that asks the person for one.
pub(super) const INPUT: &[u8] = b"EVCXR_INPUT_REQUEST";
/// The question of one who has not said what it is about.
pub(super) const ASK: &[u8] = b"EVCXR_INPUT_REQUEST:";

/// No line of evcxr's is longer.
const LONGEST_LINE: usize = 4096;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// What the user's code printed.
    Text(Vec<u8>),
    /// A rich value.
    Display { mime: String, content: Vec<u8> },
    /// A line that is for evcxr.
    Line(Line),
}

/// A line of evcxr's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// The cell has been executed.
    Complete,
    /// It panicked.
    Panicked,
    /// It returned early by `?`.
    Returned,
    /// Anything else that evcxr wants to see.
    Other(Vec<u8>),
}

impl Line {
    /// The line as evcxr expects it, without its end.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Complete => COMPLETE,
            Self::Panicked => PANICKED,
            Self::Returned => RETURNED,
            Self::Other(line) => line,
        }
    }
}

/// An incremental parser: bytes in as they come, events out.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// What cannot be judged yet.
    buffer: Vec<u8>,
    /// The rich value that is being read, with its first line still to come or not.
    display: Option<(String, Vec<u8>)>,
}

impl Scanner {
    /// Takes more bytes and tells what they complete. Text is never held back for its newline.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut events = Vec::new();
        let mut rest = &buffer[..];
        while let Some(taken) = self.step(rest, &mut events) {
            rest = &rest[taken..];
        }
        self.buffer = rest.to_vec();
        events
    }

    /// What was held back, when nothing more will come.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut rest = self.display.map(|(_, content)| content).unwrap_or_default();
        rest.extend(self.buffer);
        rest
    }

    /// Judges the beginning of `rest`; how many bytes are dealt with, or `None` when more are needed.
    fn step(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Option<usize> {
        let line_end = || rest.iter().position(|byte| *byte == b'\n');
        if self.display.is_some() {
            let end = line_end()?;
            self.display_line(&rest[..end], events);
            return Some(end + 1);
        }
        let start = find(rest, MARK);
        if start != Some(0) {
            let text = start.unwrap_or_else(|| rest.len() - overlap(rest, MARK));
            push_text(events, &rest[..text]);
            return (text > 0).then_some(text);
        }
        let Some(end) = line_end() else {
            return (rest.len() > LONGEST_LINE).then(|| as_text(events));
        };
        let line = &rest[..end];
        if let Some(mime) = line.strip_prefix(BEGIN) {
            self.display = Some((String::from_utf8_lossy(mime).trim().to_owned(), Vec::new()));
        } else if let Some(line) = protocol(line) {
            events.push(Event::Line(line));
        } else {
            return Some(as_text(events));
        }
        Some(end + 1)
    }

    fn display_line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let panicked = line == PANICKED;
        if line == END || panicked {
            if let Some((mime, mut content)) = self.display.take() {
                // Each line was kept with its end; the last end is not part of the value.
                content.pop();
                events.push(Event::Display { mime, content });
            }
            if panicked {
                events.push(Event::Line(Line::Panicked));
            }
        } else if let Some((_, content)) = &mut self.display {
            content.extend_from_slice(line);
            content.push(b'\n');
        }
    }
}

/// What looked like evcxr's is the user's text after all.
fn as_text(events: &mut Vec<Event>) -> usize {
    push_text(events, MARK);
    MARK.len()
}

fn push_text(events: &mut Vec<Event>, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    if let Some(Event::Text(last)) = events.last_mut() {
        last.extend_from_slice(text);
    } else {
        events.push(Event::Text(text.to_vec()));
    }
}

fn protocol(line: &[u8]) -> Option<Line> {
    match line {
        COMPLETE => Some(Line::Complete),
        PANICKED => Some(Line::Panicked),
        RETURNED => Some(Line::Returned),
        _ if line.starts_with(CHANGED_TYPE) || line.starts_with(INPUT) => Some(Line::Other(line.to_vec())),
        _ => None,
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// How many bytes at the end of `text` could be the beginning of `what`.
fn overlap(text: &[u8], what: &[u8]) -> usize {
    (1..what.len()).rev().find(|length| text.ends_with(&what[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(chunks: &[&[u8]]) -> Vec<Event> {
        let mut scanner = Scanner::default();
        let mut events: Vec<Event> = Vec::new();
        let mut add = |event: Event| match event {
            Event::Text(text) => push_text(&mut events, &text),
            other => events.push(other),
        };
        for chunk in chunks {
            scanner.push(chunk).into_iter().for_each(&mut add);
        }
        add(Event::Text(scanner.finish()));
        events.retain(|event| *event != Event::Text(Vec::new()));
        events
    }

    const ALL: &[u8] = b"one\ntwoEVCXR_BEGIN_CONTENT text/html\n<b>\n\nEVCXR_END\n</b>\nEVCXR_END_CONTENT\n\
        EVCXR_nothing\n\xff\xfe 50%EVCXR_VARIABLE_CHANGED_TYPE:x\nEVCXR_EVCXR_ERROR_OCCURRED\nEVCXR_PANIC_NOTIFICATION\n\
        tailEVCXR_EXECUTION_COMPLETE\nlate EVC";

    #[test]
    fn text_values_and_lines_are_told_apart() {
        let text = |text: &[u8]| Event::Text(text.to_vec());
        assert_eq!(
            scan(&[ALL]),
            vec![
                text(b"one\ntwo"),
                Event::Display { mime: "text/html".into(), content: b"<b>\n\nEVCXR_END\n</b>".to_vec() },
                text(b"EVCXR_nothing\n\xff\xfe 50%"),
                Event::Line(Line::Other(b"EVCXR_VARIABLE_CHANGED_TYPE:x".to_vec())),
                text(b"EVCXR_"),
                Event::Line(Line::Returned),
                Event::Line(Line::Panicked),
                text(b"tail"),
                Event::Line(Line::Complete),
                text(b"late EVC"),
            ]
        );
    }

    #[test]
    fn text_without_a_newline_is_not_held_back() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.push(b"50%\r"), vec![Event::Text(b"50%\r".to_vec())]);
        assert_eq!(scanner.push(b"EVC"), vec![]);
        assert_eq!(scanner.push(b"EN"), vec![Event::Text(b"EVCEN".to_vec())]);
    }

    #[test]
    fn a_panic_inside_a_value_is_seen() {
        let events = scan(&[b"EVCXR_BEGIN_CONTENT text/plain\nhalf\nEVCXR_PANIC_NOTIFICATION\n"]);
        assert_eq!(
            events,
            vec![
                Event::Display { mime: "text/plain".into(), content: b"half".to_vec() },
                Event::Line(Line::Panicked),
            ]
        );
    }

    #[test]
    fn an_endless_line_is_text() {
        let long = [MARK, &vec![b'x'; LONGEST_LINE + 1][..]].concat();
        assert_eq!(scan(&[&long]), vec![Event::Text(long.clone())]);
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same(cuts in proptest::collection::vec(0..ALL.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts {
                chunks.push(&ALL[start..cut]);
                start = cut;
            }
            chunks.push(&ALL[start..]);
            prop_assert_eq!(scan(&chunks), scan(&[ALL]));
        }
    }
}
