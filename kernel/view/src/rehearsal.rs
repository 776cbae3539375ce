//! A rehearsal: a line for each thing that was tried, while it goes on and at its end.

use maud::html;

use crate::{
    Bundle,
    bundle::HTML,
    style,
    text::{clean, one_line},
};

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// As it should.
    Well,
    /// The night goes on with it, but a person should know.
    Note,
    /// It would end or spoil the night.
    Badly,
}

/// One thing that was tried.
#[derive(Clone, Debug)]
pub struct Tried<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it went.
    pub went: Went,
    /// What was seen.
    pub found: &'a str,
    /// What to do about it.
    pub mend: Option<&'a str>,
}

/// Everything that a rehearsal shows.
#[derive(Clone, Debug)]
pub struct Rehearsal<'a> {
    /// What was tried so far.
    pub tried: &'a [Tried<'a>],
    /// What is being tried now; a terminal, whose lines only grow, does not show it.
    pub now: Option<&'a str>,
    /// How it ended: the forecast, or what is in the way.
    pub end: Option<&'a str>,
}

/// The lines so far. The text of a rehearsal that has gone further begins with that of before.
pub fn rehearsal(rehearsal: &Rehearsal<'_>) -> Bundle {
    let mut text = String::new();
    for tried in rehearsal.tried {
        text.push_str(&line(tried));
    }
    if let Some(end) = rehearsal.end {
        text.push_str(&format!("\n{}\n", clean(end)));
    }
    let html = html! {
        table style=(style::TABLE) {
            @for tried in rehearsal.tried {
                tr {
                    td style=(format!("{};color:{}", style::CELL, colour(tried.went))) { b { (sign(tried.went)) } }
                    td style=(style::CELL) { (one_line(tried.name)) }
                    td style=(style::PROSE) {
                        (clean(tried.found))
                        @if let Some(mend) = tried.mend { div style=(style::MUTED) { (clean(mend)) } }
                    }
                }
            }
            @if let Some(now) = rehearsal.now {
                tr {
                    td style=(style::CELL) { "…" }
                    td style=(style::PROSE) colspan="2" { span style=(style::MUTED) { (one_line(now)) } }
                }
            }
        }
        @if let Some(end) = rehearsal.end {
            div style=(style::callout(if rehearsal.is_bad() { style::RED } else { style::GREEN })) {
                div style="white-space:pre-wrap" { (clean(end)) }
            }
        }
    };
    Bundle::new(text).with(HTML, html.into_string())
}

impl Rehearsal<'_> {
    fn is_bad(&self) -> bool {
        self.tried.iter().any(|tried| tried.went == Went::Badly)
    }
}

fn line(tried: &Tried<'_>) -> String {
    let mark = match tried.went {
        Went::Well => "ok ",
        Went::Note => "-  ",
        Went::Badly => "NO ",
    };
    let indent = format!("\n{}", " ".repeat(16));
    let mut line =
        format!("{mark} {:<11} {}\n", one_line(tried.name), clean(tried.found).trim().replace('\n', &indent));
    if let Some(mend) = tried.mend {
        line.push_str(&format!("{}{}\n", " ".repeat(16), clean(mend).trim().replace('\n', &indent)));
    }
    line
}

fn sign(went: Went) -> &'static str {
    match went {
        Went::Well => "✓",
        Went::Note => "!",
        Went::Badly => "✗",
    }
}

fn colour(went: Went) -> &'static str {
    match went {
        Went::Well => style::GREEN,
        Went::Note => style::ORANGE,
        Went::Badly => style::RED,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn the_lines_grow_and_quote_safely() {
        let tried = [
            Tried { name: "commands", went: Went::Well, found: "python3 is there", mend: None },
            Tried {
                name: "baseline",
                went: Went::Badly,
                found: "it crashed:\n<script>",
                mend: Some("`log 0` shows it"),
            },
        ];
        let first = rehearsal(&Rehearsal { tried: &tried[..1], now: Some("baseline"), end: None });
        let all = rehearsal(&Rehearsal { tried: &tried, now: None, end: Some("It cannot start.") });
        assert!(all.text().starts_with(first.text()));
        assert!(!all.html().unwrap_or_default().contains("<script>"));
        assert_snapshot!(all.text(), @r"
        ok  commands    python3 is there
        NO  baseline    it crashed:
                        <script>
                        `log 0` shows it

        It cannot start.
        ");
    }
}
