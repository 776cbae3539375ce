//! What was beside what is: two columns that stand below each other where there is no room for both.

use maud::{Markup, html};

use super::lines::{Kind, Line, replaced};
use super::{BOX, LINE, look, words};

/// Around one of the two columns.
const COLUMN: &str = "display:inline-block;vertical-align:top;width:49.8%;min-width:380px;overflow-x:auto;box-sizing:border-box";
/// The number of a line.
const NUMBER: &str = "display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0";

/// One row of the two columns: a line and its number, where there is one.
type Row<'a> = [Option<(u64, &'a Line)>; 2];

/// The diff with both sides.
pub(super) fn markup(lines: &[Line]) -> Markup {
    html! {
        div style=(BOX) dir="ltr" {
            @for part in lines.chunk_by(|a, b| is_code(a) && is_code(b) || heads(a, b)) {
                @if part[0].kind == Kind::Hunk {
                    div style=(format!("{LINE};{}", look(Kind::Hunk))) { (words(&part[0])) }
                    (columns(&rows(part)))
                } @else {
                    @for line in part { div style=(format!("{LINE};{}", look(line.kind))) { (words(line)) } }
                }
            }
        }
    }
}

fn is_code(line: &Line) -> bool {
    matches!(line.kind, Kind::Added | Kind::Removed | Kind::Same | Kind::Note)
}

/// Whether `head` begins the hunk that `line` is in.
fn heads(head: &Line, line: &Line) -> bool {
    head.kind == Kind::Hunk && is_code(line)
}

fn columns(rows: &[Row]) -> Markup {
    html! {
        @for side in 0..2 {
            div style=(COLUMN) {
                @for row in rows {
                    @match row[side] {
                        Some((number, line)) => div style=(format!("{LINE};{}", look(line.kind))) {
                            span style=(NUMBER) { @if line.kind != Kind::Note { (number) } } (words(line))
                        },
                        None => div style=(format!("{LINE};background-color:#8080801a")) { " " },
                    }
                }
            }
        }
    }
}

/// The lines of a hunk, those that stand in each other's place in one row.
fn rows(hunk: &[Line]) -> Vec<Row<'_>> {
    let (mut old, mut new) = beginnings(&hunk[0].text);
    let mut rows: Vec<Row> = Vec::new();
    let mut at = 1;
    while at < hunk.len() {
        let line = &hunk[at];
        let (removed, added) = replaced(hunk, at);
        if removed + added == 0 {
            rows.push([Some((old, line)), Some((new, line))]);
            let step = u64::from(line.kind == Kind::Same);
            (old, new, at) = (old + step, new + step, at + 1);
            continue;
        }
        let pick = |from: usize, count: usize, first: u64, i: usize| {
            (i < count).then(|| (first + i as u64, &hunk[from + i]))
        };
        rows.extend(
            (0..removed.max(added)).map(|i| [pick(at, removed, old, i), pick(at + removed, added, new, i)]),
        );
        (old, new, at) = (old + removed as u64, new + added as u64, at + removed + added);
    }
    rows
}

/// The numbers of a hunk's first lines, by its head: `@@ -12,7 +12,9 @@`.
fn beginnings(head: &str) -> (u64, u64) {
    let after = |sign: char| {
        let digits = head.split_once(sign)?.1;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    (after('-').unwrap_or(1), after('+').unwrap_or(1))
}
