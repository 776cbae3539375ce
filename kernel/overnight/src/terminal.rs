//! Answers in a terminal: text, redrawn in place where it can be.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::oneshot;
use view::Bundle;
use view::text::{clip, columns};

use crate::sink::Sink;

/// Columns of a line where nobody says how many there are.
const COLUMNS: usize = 100;
/// No table is drawn wider than this.
const WIDEST: usize = 160;

/// Standard output as a [`Sink`].
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    json: bool,
    drawn: Mutex<Drawn>,
}

/// What the last update drew.
#[derive(Debug, Default)]
struct Drawn {
    /// The columns of each line that it left on the screen.
    lines: Vec<usize>,
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
        if self.json {
            // What goes on is not part of the answer.
            return;
        }
        let text = bundle.text().trim_end_matches('\n').to_owned();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.text == text {
            return;
        }
        if !std::io::stdout().is_terminal() {
            Self::write(&format!("{text}\n"));
            *drawn = Drawn { lines: Vec::new(), text };
            return;
        }
        let (width, height) = size();
        let lines = fitted(&text, width, height);
        let back = match rows(&drawn.lines, width) {
            0 => String::new(),
            rows => format!("\x1b[{}A\r\x1b[J", rows.min(height.saturating_sub(1))),
        };
        Self::write(&format!("{back}{}\n", lines.join("\n")));
        *drawn = Drawn { lines: lines.iter().map(|line| columns(line)).collect(), text };
    }

    fn redraws(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    fn width(&self) -> usize {
        if self.redraws() { size().0.min(WIDEST) } else { COLUMNS }
    }

    fn grow(&self, _name: &str, bundle: Bundle) {
        let text = bundle.text().to_owned();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match text.strip_prefix(drawn.text.as_str()) {
            Some(more) => Self::write(more),
            // It begins anew.
            None => Self::write(&format!("\n\n{text}")),
        }
        *drawn = Drawn { lines: Vec::new(), text };
    }

    fn line(&self, text: &str) {
        if !self.json {
            Self::write(&format!("{text}\n"));
        }
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    match terminal_size_of(std::io::stdout()) {
        Some((Width(width), Height(height))) if width > 0 && height > 0 => {
            (usize::from(width), usize::from(height))
        }
        _ => (COLUMNS, 50),
    }
}

/// The lines of a text that fit on a screen together, none of which wraps; what there is no room for is counted.
fn fitted(text: &str, width: usize, height: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(|line| clip(line, width)).collect();
    // The cursor stands on a line of its own below.
    let room = height.saturating_sub(1).max(1);
    if lines.len() > room {
        let more = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(clip(&format!("… {more} lines more: the terminal is too low"), width));
    }
    lines
}

/// How many rows lines of so many columns take on a screen that may be narrower than when they were drawn.
fn rows(lines: &[usize], width: usize) -> usize {
    lines.iter().map(|columns| columns.div_ceil(width.max(1)).max(1)).sum()
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    Terminal::write(&format!("{line}\n"));
}

/// Asks a person yes or no; no where there is nobody to ask.
#[allow(clippy::print_stderr, reason = "this is where the program talks")]
pub(crate) async fn ask(question: &str) -> bool {
    let input = std::io::stdin();
    if !input.is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    eprint!("{question}");
    let (tell, told) = oneshot::channel();
    // On no thread of the runtime's: after an interrupt that would wait for the line.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = input.read_line(&mut answer);
        let _ = tell.send(answer);
    });
    let answer = told.await.unwrap_or_default();
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Prints what went wrong on standard error.
#[allow(clippy::print_stderr, reason = "this is where the program talks")]
pub(crate) fn complain(failure: &crate::failure::Failure) {
    eprintln!("error: {failure}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_fits_and_is_found_again() {
        let text = "one\na line that is too long\nthree\nfour";
        assert_eq!(fitted(text, 10, 9), ["one", "a line th…", "three", "four"]);
        assert_eq!(
            fitted(text, 40, 4).last().map(String::as_str),
            Some("… 2 lines more: the terminal is too low")
        );
        assert_eq!(fitted(text, 10, 4).len(), 3);
        // Twenty columns on a screen of ten take two rows, and an empty line takes one.
        assert_eq!(rows(&[20, 0, 5], 10), 4);
        assert_eq!(rows(&[], 10), 0);
    }
}
