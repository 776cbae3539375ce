//! Answers in a terminal: text, redrawn in place where it can be.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use view::Bundle;

use crate::sink::Sink;

/// Standard output as a [`Sink`].
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    json: bool,
    drawn: Mutex<Drawn>,
}

/// What the last update drew.
#[derive(Debug, Default)]
struct Drawn {
    lines: usize,
    text: String,
}

impl Terminal {
    /// A terminal that prints text, or JSON where `json` is asked for.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, drawn: Mutex::default() }
    }

    /// A closed pipe (`overnight experiments | head`) is not worth a word.
    fn write(text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Sink for Terminal {
    fn show(&self, bundle: Bundle) {
        let text = if self.json { format!("{:#}", bundle.json()) } else { bundle.text().to_owned() };
        Self::write(&format!("{}\n", text.trim_end_matches('\n')));
        *self.drawn.lock().unwrap_or_else(PoisonError::into_inner) = Drawn::default();
    }

    fn update(&self, _name: &str, bundle: Bundle) {
        let text = bundle.text().trim_end_matches('\n').to_owned();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.text == text {
            return;
        }
        if std::io::stdout().is_terminal() {
            let back = if drawn.lines > 0 { format!("\x1b[{}A\x1b[J", drawn.lines) } else { String::new() };
            Self::write(&format!("{back}{text}\n"));
        } else if let Some(line) = changed(&drawn.text, &text) {
            Self::write(&format!("{line}\n"));
        }
        *drawn = Drawn { lines: text.lines().count(), text };
    }

    fn grow(&self, _name: &str, bundle: Bundle) {
        let text = bundle.text().to_owned();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match text.strip_prefix(drawn.text.as_str()) {
            Some(more) => Self::write(more),
            // It begins anew.
            None => Self::write(&format!("\n\n{text}")),
        }
        *drawn = Drawn { lines: 0, text };
    }

    fn line(&self, text: &str) {
        Self::write(&format!("{text}\n"));
    }
}

/// What a log has of an update: its first line, where that changed.
fn changed<'a>(before: &str, now: &'a str) -> Option<&'a str> {
    let first = now.lines().next()?;
    (before.lines().next() != Some(first)).then_some(first)
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    Terminal::write(&format!("{line}\n"));
}

/// Prints what went wrong on standard error.
#[allow(clippy::print_stderr, reason = "this is where the program talks")]
pub(crate) fn complain(failure: &crate::failure::Failure) {
    eprintln!("error: {failure}");
}
