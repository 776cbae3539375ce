//! A run's output.

use maud::{Markup, html};

use crate::{
    Bundle,
    bundle::HTML,
    number::{count, fixed},
    style,
    text::{clean, clip, in_order},
};

/// Columns of one line beyond this are cut.
const COLUMNS: usize = 400;

/// The last `limit` lines of a log, as a terminal would show them, with what was cut before them.
///
/// Terminal codes are taken out; of a line that was written over again and again (progress with `\r`)
/// the last state stays. Bytes that are not UTF-8 are shown as `�`.
pub fn log(bytes: &[u8], limit: usize) -> Bundle {
    let (lines, cut) = tail(bytes, limit);
    let mut text = String::new();
    if let Some(cut) = &cut {
        text = format!("… {cut}\n");
    }
    text.push_str(&lines.join("\n"));
    if lines.is_empty() {
        "The log is empty.".clone_into(&mut text);
    }
    Bundle::new(text).with(HTML, markup(&lines, cut.as_deref()).into_string())
}

/// The HTML form alone, for a page that holds more than a log.
pub(crate) fn fragment(bytes: &[u8], limit: usize) -> Markup {
    let (lines, cut) = tail(bytes, limit);
    markup(&lines, cut.as_deref())
}

fn markup(lines: &[String], cut: Option<&str>) -> Markup {
    html! {
        @if let Some(cut) = cut { div style=(style::MUTED) { "… " (cut) } }
        @if lines.is_empty() { div style=(style::MUTED) { "The log is empty." } }
        @else {
            pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto" dir="ltr" { (in_order(&lines.join("\n"))) }
        }
    }
}

/// The last lines, cleaned, and what stood before them.
pub(crate) fn tail(bytes: &[u8], limit: usize) -> (Vec<String>, Option<String>) {
    let all: Vec<&[u8]> = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|b| *b == b'\n').collect();
    let empty = bytes.iter().all(u8::is_ascii_whitespace);
    if empty {
        return (Vec::new(), None);
    }
    let start = all.len().saturating_sub(limit);
    let lines = all[start..].iter().map(|line| line_as_shown(line)).collect();
    let before: usize = all[..start].iter().map(|line| line.len() + 1).sum();
    let cut = (start > 0).then(|| {
        format!("{} ({} bytes) before this", count(start, "line", "lines"), fixed(before as f64, 0))
    });
    (lines, cut)
}

/// What a terminal shows of a line: what follows its last carriage return.
fn line_as_shown(line: &[u8]) -> String {
    let shown = line.split(|b| *b == b'\r').rfind(|part| !part.is_empty()).unwrap_or_default();
    // A line of many megabytes is cut before it is decoded.
    let (bytes, long) =
        if shown.len() > COLUMNS * 8 { (&shown[..COLUMNS * 8], true) } else { (shown, false) };
    let text = clip(&clean(&String::from_utf8_lossy(bytes)).replace('\t', "    "), COLUMNS);
    if long {
        format!("{} [{} bytes]", text.trim_end_matches('…').trim_end(), fixed(shown.len() as f64, 0))
    } else {
        text
    }
}
