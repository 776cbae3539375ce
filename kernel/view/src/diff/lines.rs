//! The lines of a unified diff: what each is, which words of it have changed, and its colours.

use std::ops::Range;

use similar::{ChangeTag, TextDiff};

use super::colour::{Ink, Language};
use crate::{
    number,
    text::{beginning, clean, clip},
};

/// Lines beyond this are counted, not shown.
const LINES: usize = 3000;
/// Columns of one line beyond this are cut.
const COLUMNS: usize = 500;
/// Two lines that have less in common than this are not one line that was changed.
const ALIKE: f32 = 0.35;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Hunk,
    Added,
    Removed,
    Same,
    Note,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) kind: Kind,
    /// The line with the sign before it.
    pub(super) text: String,
    /// The bytes of `text` that were changed, in order.
    pub(super) changed: Vec<Range<usize>>,
    /// The bytes of `text` that have a colour, in order.
    pub(super) inks: Vec<(Range<usize>, Ink)>,
}

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) ink: Option<Ink>,
    pub(super) changed: bool,
}

impl Line {
    /// The line in pieces that each look the same.
    pub(super) fn pieces(&self) -> Vec<(Range<usize>, Look)> {
        let mut cuts = vec![0, self.text.len()];
        cuts.extend(self.changed.iter().flat_map(|range| [range.start, range.end]));
        cuts.extend(self.inks.iter().flat_map(|(range, _)| [range.start, range.end]));
        cuts.sort_unstable();
        cuts.dedup();
        let look = |at: usize| Look {
            ink: self.inks.iter().find(|(range, _)| range.contains(&at)).map(|(_, ink)| *ink),
            changed: self.changed.iter().any(|range| range.contains(&at)),
        };
        let mut pieces: Vec<(Range<usize>, Look)> = Vec::new();
        for pair in cuts.windows(2) {
            let look = look(pair[0]);
            match pieces.last_mut() {
                Some((range, last)) if *last == look => range.end = pair[1],
                _ => pieces.push((pair[0]..pair[1], look)),
            }
        }
        pieces
    }
}

/// The lines of a diff, with the words that differ and with colours.
pub(super) fn parse(unified: &str) -> Vec<Line> {
    let mut lines = bare(unified);
    mark(&mut lines);
    paint(&mut lines);
    lines
}

/// How many lines are added and removed.
pub(super) fn count(unified: &str) -> (usize, usize) {
    let kinds = kinds(unified);
    kinds.fold((0, 0), |(added, removed), (kind, _)| match kind {
        Kind::Added => (added + 1, removed),
        Kind::Removed => (added, removed + 1),
        _ => (added, removed),
    })
}

/// The lines as they are.
pub(super) fn bare(unified: &str) -> Vec<Line> {
    let new = |kind, text| Line { kind, text, changed: Vec::new(), inks: Vec::new() };
    let mut lines: Vec<Line> =
        kinds(unified).take(LINES).map(|(kind, line)| new(kind, shown(line))).collect();
    let all = unified.lines().count();
    if all > LINES {
        let more = number::count(all - LINES, "line", "lines");
        lines.push(new(Kind::Note, format!("… {more} more")));
    }
    lines
}

/// What is shown of a line. One of a megabyte is cut before it is looked at.
fn shown(line: &str) -> String {
    let (line, _) = beginning(line, COLUMNS * 8);
    clip(&clean(line).replace('\t', "    ").replace('\r', "␍"), COLUMNS)
}

fn kinds(unified: &str) -> impl Iterator<Item = (Kind, &str)> {
    let mut in_hunk = false;
    unified.lines().map(move |line| {
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
        (kind, line)
    })
}

/// How many lines are removed at a place, and how many are added behind them.
pub(super) fn replaced(lines: &[Line], at: usize) -> (usize, usize) {
    let run = |from: usize, kind| lines[from..].iter().take_while(|line| line.kind == kind).count();
    let removed = run(at, Kind::Removed);
    (removed, run(at + removed, Kind::Added))
}

/// Marks what differs between removed lines and the added ones that stand in their place.
fn mark(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        let (removed, added) = replaced(lines, at);
        for i in 0..removed.min(added) {
            let (old, new) = (at + i, at + removed + i);
            let (was, is) = differing(&lines[old].text[1..], &lines[new].text[1..]);
            (lines[old].changed, lines[new].changed) = (was, is);
        }
        at += (removed + added).max(1);
    }
}

type Ranges = Vec<Range<usize>>;

/// The bytes of two lines that differ, counted with the sign before them; none where the lines have little in common.
fn differing(old: &str, new: &str) -> (Ranges, Ranges) {
    let diff = TextDiff::from_words(old, new);
    let (mut was, mut is) = (Vec::new(), Vec::new());
    if diff.ratio() < ALIKE {
        return (was, is);
    }
    let (mut from, mut to) = (1, 1);
    for change in diff.iter_all_changes() {
        let length = change.value().len();
        match change.tag() {
            ChangeTag::Equal => (from, to) = (from + length, to + length),
            ChangeTag::Delete => {
                was.push(from..from + length);
                from += length;
            }
            ChangeTag::Insert => {
                is.push(to..to + length);
                to += length;
            }
        }
    }
    (was, is)
}

/// Gives the lines of each hunk the colours of their language.
fn paint(lines: &mut [Line]) {
    let mut language = None;
    let mut at = 0;
    while at < lines.len() {
        if lines[at].kind == Kind::File {
            if let Some(path) = lines[at].text.strip_prefix("+++ ").or(lines[at].text.strip_prefix("--- ")) {
                language = Language::of(path).or(language.filter(|_| path.ends_with("dev/null")));
            }
            at += 1;
            continue;
        }
        let end = lines[at..].iter().position(|line| line.kind == Kind::File).map_or(lines.len(), |n| at + n);
        let hunk =
            at..lines[at + 1..end].iter().position(|l| l.kind == Kind::Hunk).map_or(end, |n| at + 1 + n);
        if let Some(language) = language {
            // The old side first: what is the same on both has the colours of the new one.
            for side in [Kind::Removed, Kind::Added] {
                paint_side(&mut lines[hunk.clone()], side, language);
            }
        }
        at = hunk.end;
    }
}

fn paint_side(hunk: &mut [Line], side: Kind, language: Language) {
    let mut source = String::new();
    let mut places = Vec::new();
    for (i, line) in hunk.iter().enumerate() {
        if (line.kind == Kind::Same || line.kind == side) && !line.text.is_empty() {
            places.push((i, source.len()));
            source.push_str(&line.text[1..]);
            source.push('\n');
        }
    }
    let inks = language.inks(&source);
    let mut inks = inks.iter().peekable();
    for (i, start) in places {
        let length = hunk[i].text.len() - 1;
        let mut its = Vec::new();
        while let Some((range, ink)) = inks.peek() {
            if range.start >= start + length {
                break;
            }
            let (from, to) = (range.start.max(start), range.end.min(start + length));
            if from < to {
                its.push((from - start + 1..to - start + 1, *ink));
            }
            if range.end > start + length {
                // It goes on in the next line.
                break;
            }
            inks.next();
        }
        hunk[i].inks = its;
    }
}
