//! A unified diff.

use maud::{Markup, html};

use crate::{
    Bundle,
    bundle::HTML,
    number::count,
    style,
    text::{clean, clip},
};

/// Lines beyond this are counted, not shown.
const LINES: usize = 3000;
/// Columns of one line beyond this are cut.
const COLUMNS: usize = 500;

/// A unified diff as `git diff` writes it: text as it is, HTML in colours, with how much it changes.
pub fn diff(unified: &str) -> Bundle {
    let lines = lines(unified);
    if lines.is_empty() {
        return Bundle::new("No difference.").with(HTML, html! { div { "No difference." } }.into_string());
    }
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    Bundle::new(text.join("\n")).with(HTML, markup(&lines).into_string())
}

/// The HTML form alone, for a page that holds more than a diff.
pub(crate) fn fragment(unified: &str) -> Markup {
    markup(&lines(unified))
}

/// `+3 −2 lines`: how much a diff changes.
pub(crate) fn size(unified: &str) -> String {
    let lines = lines(unified);
    let of = |kind| lines.iter().filter(|line| line.kind == kind).count();
    format!("+{} −{} lines", of(Kind::Added), of(Kind::Removed))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Hunk,
    Added,
    Removed,
    Same,
    Note,
}

struct Line {
    kind: Kind,
    text: String,
}

fn lines(unified: &str) -> Vec<Line> {
    let all = unified.lines().count();
    let mut in_hunk = false;
    let mut lines: Vec<Line> = unified
        .lines()
        .take(LINES)
        .map(|line| {
            let kind = match line.as_bytes().first() {
                Some(b'@') => {
                    in_hunk = true;
                    Kind::Hunk
                }
                Some(b'+') if in_hunk => Kind::Added,
                Some(b'-') if in_hunk => Kind::Removed,
                Some(b'\\') => Kind::Note,
                Some(b' ') | None if in_hunk => Kind::Same,
                _ => {
                    in_hunk = false;
                    Kind::File
                }
            };
            Line { kind, text: clip(&clean(line).replace('\t', "    ").replace('\r', "␍"), COLUMNS) }
        })
        .collect();
    if all > LINES {
        lines
            .push(Line {
                kind: Kind::Note, text: format!("… {} more", count(all - LINES, "line", "lines"))
            });
    }
    lines
}

fn markup(lines: &[Line]) -> Markup {
    const BOX: &str =
        "margin:2px 0;padding:0;font-family:monospace;font-size:12px;line-height:1.45;overflow-x:auto";
    let colour = |kind| match kind {
        Kind::Added => format!("background-color:{}2e", style::GREEN),
        Kind::Removed => format!("background-color:{}2e", style::RED),
        Kind::Hunk => format!("background-color:{}1f;opacity:0.75", style::BLUE),
        Kind::File => "font-weight:600".to_owned(),
        Kind::Note => "opacity:0.65;font-style:italic".to_owned(),
        Kind::Same => String::new(),
    };
    html! {
        div style=(BOX) {
            @for line in lines {
                div style=(format!("white-space:pre;padding:0 6px;{}", colour(line.kind))) {
                    @if line.text.is_empty() { " " } @else { (line.text) }
                }
            }
        }
    }
}
