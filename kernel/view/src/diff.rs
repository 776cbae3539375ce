//! A unified diff: as it is for terminals, in colours and with both sides beside each other for notebooks.

mod colour;
mod lines;
mod side;

use maud::{Markup, html};

use crate::{Bundle, bundle::HTML, style, text::in_order};
use lines::{Kind, Line, Look, parse};

/// Around all lines.
const BOX: &str =
    "margin:2px 0;padding:0;font-family:monospace;font-size:12px;line-height:1.45;overflow-x:auto";
/// Around one line.
const LINE: &str = "white-space:pre;padding:0 6px";

/// A unified diff as `git diff` writes it: text as it is; HTML in colours, what was beside what is where there is room
/// for both, with the words that differ marked.
pub fn diff(unified: &str) -> Bundle {
    let lines = parse(unified);
    if lines.is_empty() {
        return Bundle::new("No difference.").with(HTML, html! { div { "No difference." } }.into_string());
    }
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let there = |kind| lines.iter().any(|line| line.kind == kind);
    let both = there(Kind::Added) && there(Kind::Removed);
    let html = if both { side::markup(&lines) } else { markup(&lines) };
    Bundle::new(text.join("\n")).with(HTML, html.into_string())
}

/// The HTML form line by line, for a page that holds more than a diff.
pub(crate) fn fragment(unified: &str) -> Markup {
    markup(&parse(unified))
}

/// The text form alone.
pub(crate) fn plain(unified: &str) -> String {
    let lines = lines::bare(unified);
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    if text.is_empty() { "No difference.".to_owned() } else { text.join("\n") }
}

/// `+3 −2 lines`: how much a diff changes.
pub(crate) fn size(unified: &str) -> String {
    let (added, removed) = lines::count(unified);
    format!("+{added} −{removed} lines")
}

fn markup(lines: &[Line]) -> Markup {
    html! {
        div style=(BOX) dir="ltr" {
            @for line in lines {
                div style=(format!("{LINE};{}", look(line.kind))) { (words(line)) }
            }
        }
    }
}

/// The colours of a line.
fn look(kind: Kind) -> String {
    match kind {
        Kind::Added => format!("background-color:{}2e", style::GREEN),
        Kind::Removed => format!("background-color:{}2e", style::RED),
        Kind::Hunk => format!("background-color:{}1f;opacity:0.75", style::BLUE),
        Kind::File => "font-weight:600".to_owned(),
        Kind::Note => "opacity:0.65;font-style:italic".to_owned(),
        Kind::Same => String::new(),
    }
}

/// The words of a line, each as it looks.
fn words(line: &Line) -> Markup {
    let ground = if line.kind == Kind::Removed { style::RED } else { style::GREEN };
    let styled = |look: &Look| {
        // On the ground of a change no other colour than the page's own can be read in every theme.
        let ink = look.ink.filter(|_| !look.changed);
        let mut parts: Vec<String> = ink.iter().map(|ink| ink.style().to_owned()).collect();
        parts.extend(look.changed.then(|| format!("background-color:{ground}66;border-radius:2px")));
        parts.join(";")
    };
    html! {
        @if line.text.is_empty() { " " }
        @for (range, look) in line.pieces() {
            @if look == Look::default() { (in_order(&line.text[range])) }
            @else { span style=(styled(&look)) { (in_order(&line.text[range])) } }
        }
    }
}
