//! A written report beside one that was made anew from the same commit: which figures match.

use std::collections::{HashMap, HashSet};

use maud::html;
use serde_json::json;

use super::{
    Reading, Report, markdown,
    stamp::{self, Shown},
};
use crate::{
    Bundle,
    bundle::{HTML, JSON},
    number::count,
    style,
    text::{clip, left, one_line},
};

/// The name of the picture among the figures.
const PICTURE: &str = "picture";
/// Columns of what a report says.
const SAID: usize = 100;

/// What became of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The report says what the ledger says.
    Matched,
    /// It says something else.
    Differs,
    /// What it is made from is not in this clone.
    Unknown,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Differs => "differing",
            Self::Unknown => "cannot be checked",
        }
    }
}

/// One figure, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// What it is.
    pub id: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What the report says.
    pub said: String,
    /// What is wrong with that; empty where it matched.
    pub why: String,
}

/// A report, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Every figure, in the order of the report.
    pub compared: Vec<Compared>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

impl Reading {
    /// Compares the report with one that was made anew from its commit.
    pub fn compare(&self, anew: &Report) -> Checked {
        let is: HashMap<&str, &str> = anew.figures().into_iter().collect();
        let lines = anew.lines();
        let mut compared: Vec<Compared> = Vec::new();
        for figure in &self.stamp.figures {
            let found = is.get(figure.id.as_str()).copied();
            let (verdict, why) = match found {
                None if self.is_elsewhere(&figure.id, anew) => {
                    (Verdict::Unknown, "this clone has not the ledger that it is from".to_owned())
                }
                None => (Verdict::Differs, "the ledger has no such figure".to_owned()),
                Some(is) if is != figure.text => {
                    (Verdict::Differs, format!("the ledger says {}", quoted(is)))
                }
                Some(is) => {
                    match self.unseen(figure, is, lines.get(figure.id.as_str()).map(String::as_str)) {
                        Some(why) => (Verdict::Differs, why),
                        None => (Verdict::Matched, String::new()),
                    }
                }
            };
            compared.push(Compared { id: figure.id.clone(), verdict, said: figure.text.clone(), why });
        }
        let mut notes = Vec::new();
        let known: HashSet<&str> = self.stamp.figures.iter().map(|figure| figure.id.as_str()).collect();
        let left_out: Vec<(&str, &str)> =
            anew.figures().into_iter().filter(|(id, _)| !known.contains(id)).collect();
        if self.stamp.version == anew.source.version {
            compared.extend(left_out.into_iter().map(|(id, is)| Compared {
                id: id.to_owned(),
                verdict: Verdict::Differs,
                said: String::new(),
                why: format!("it was left out; the ledger says {}", quoted(is)),
            }));
        } else if !left_out.is_empty() {
            notes.push(format!(
                "Overnight {} wrote it, and this is {}, which tells {} more.",
                one_line(&self.stamp.version),
                anew.source.version,
                count(left_out.len(), "figure", "figures")
            ));
        }
        compared.extend(self.compare_picture(anew, &mut notes));
        if !self.untouched {
            notes.push(
                "Words beside the figures were changed since it was written; words are not checked."
                    .to_owned(),
            );
        }
        Checked { compared, notes }
    }

    /// Whether a figure is of another line of research whose commit is not here.
    fn is_elsewhere(&self, id: &str, anew: &Report) -> bool {
        let missing =
            self.stamp.others.iter().filter(|at| anew.source.others.iter().all(|it| it.tag != at.tag));
        missing.into_iter().any(|at| id.starts_with(&format!("tag.{}.", at.tag)))
    }

    /// Why a reader does not see the figure where it stood; `None` where all is well.
    fn unseen(&self, figure: &super::stamp::Stamped, is: &str, line: Option<&str>) -> Option<String> {
        match &self.shown {
            Shown::Figures(shown) => match shown.get(&figure.id) {
                None => Some("it is gone from the text".to_owned()),
                Some(texts) => texts
                    .iter()
                    .find(|text| *text != is)
                    .map(|text| format!("the text says {}", quoted(text))),
            },
            Shown::Lines(shown) => {
                let at = figure.at.as_ref().and_then(|at| shown.get(at));
                if at.is_some_and(|line| line.contains(&markdown::escape(is))) {
                    return None;
                }
                let near = line.and_then(|line| nearest(shown.values().map(String::as_str), line));
                Some(match near {
                    Some(near) => format!("its line was changed to {}", quoted(near)),
                    None => "its line is gone from the text".to_owned(),
                })
            }
        }
    }

    fn compare_picture(&self, anew: &Report, notes: &mut Vec<String>) -> Option<Compared> {
        let written = self.stamp.picture.as_ref()?;
        let compared = |verdict, why: &str| {
            let said = clip(written, 12);
            Some(Compared { id: PICTURE.to_owned(), verdict, said, why: why.to_owned() })
        };
        let Some(picture) = &self.picture else {
            return compared(Verdict::Differs, "there is no picture");
        };
        if stamp::hash(picture) != *written {
            return compared(Verdict::Differs, "it is another picture, or the cell was run again");
        }
        if stamp::hash(&anew.picture) == *written {
            return compared(Verdict::Matched, "");
        }
        if self.stamp.drawn == stamp::draws() {
            return compared(Verdict::Differs, "the ledger gives another picture");
        }
        notes.push(
            "The picture is the one that was written; this version draws in another way, so that it cannot be compared."
                .to_owned(),
        );
        None
    }
}

impl Report {
    /// The line of each figure, where the form has lines.
    fn lines(&self) -> HashMap<String, String> {
        let pages = self.pages();
        pages.figures.into_iter().map(|(figure, line)| (figure.id, line)).collect()
    }
}

/// The line that has most in common with `line` at both ends, if that is the better part of it.
fn nearest<'a>(lines: impl Iterator<Item = &'a str>, line: &str) -> Option<&'a str> {
    let common = |other: &str| {
        let ahead = other.chars().zip(line.chars()).take_while(|(a, b)| a == b).count();
        let behind = other.chars().rev().zip(line.chars().rev()).take_while(|(a, b)| a == b).count();
        ahead + behind
    };
    let (shared, near) = lines.map(|other| (common(other), other)).max()?;
    (shared * 2 > line.chars().count()).then_some(near)
}

fn quoted(text: &str) -> String {
    format!("`{}`", clip(&one_line(text), SAID))
}

impl Checked {
    /// How many have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.compared.iter().filter(|one| one.verdict == verdict).count()
    }

    /// `118 figures matched, 2 differ`.
    pub fn summary(&self) -> String {
        let mut words = vec![format!("{} matched", count(self.count(Verdict::Matched), "figure", "figures"))];
        let (differ, unknown) = (self.count(Verdict::Differs), self.count(Verdict::Unknown));
        words.extend((differ > 0).then(|| format!("{differ} differing")));
        words.extend((unknown > 0).then(|| format!("{unknown} cannot be checked here")));
        words.join(", ")
    }

    /// Every figure with its verdict, what differs first in the rich form.
    pub fn bundle(&self) -> Bundle {
        let line = |one: &Compared| {
            let why = if one.why.is_empty() { String::new() } else { format!(": {}", one.why) };
            format!("{}  {}  {}{why}", left(one.verdict.word(), 9), one.id, clip(&one_line(&one.said), SAID))
        };
        let mut text: Vec<String> = self.compared.iter().map(line).collect();
        text.extend(self.notes.iter().cloned());
        text.push(self.summary());
        let mut rows: Vec<&Compared> = self.compared.iter().collect();
        rows.sort_by_key(|one| one.verdict == Verdict::Matched);
        let colour = |verdict| match verdict {
            Verdict::Matched => style::GREEN,
            Verdict::Differs => style::RED,
            Verdict::Unknown => style::ORANGE,
        };
        let rich = html! {
            div style="max-width:900px" {
                div style="font-weight:600;margin:2px 0 4px 0" { (self.summary()) }
                @for note in &self.notes { div style=(style::MUTED) { (note) } }
                div style="max-height:420px;overflow-y:auto" { table style=(style::TABLE) { tbody { @for one in rows {
                    tr {
                        td style=(style::CELL) { b style=(format!("color:{}", colour(one.verdict))) { (one.verdict.word()) } }
                        td style=(style::CELL) { (one_line(&one.id)) }
                        td style=(style::PROSE) { (clip(&one_line(&one.said), SAID)) @if !one.why.is_empty() { ": " (one.why) } }
                    }
                } } } }
            }
        };
        let figures: Vec<_> = self
            .compared
            .iter()
            .map(|one| json!({"id": one.id, "verdict": one.verdict.word(), "said": one.said, "why": one.why}))
            .collect();
        let value = json!({"schema": lab::SCHEMA, "figures": figures, "notes": self.notes});
        Bundle::new(text.join("\n")).with(HTML, rich.into_string()).with(JSON, value)
    }
}
