//! The stamp in every report: the commit that it was made from and its figures; and a report that is read again.

use std::collections::HashMap;
use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, tz::Offset};
use lab::{CommitId, Experiment, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Form, Report,
    document::{self, Figure},
};
use crate::{
    Metric,
    chart::{self, Ground},
};

/// The version of the stamp.
const SCHEMA: u32 = 1;
/// What stands around it in Markdown.
pub(super) const MARKDOWN: (&str, &str) = ("<!-- overnight-report ", " -->");
/// What stands around it in HTML, which shows no template.
pub(super) const HTML: (&str, &str) = ("<template id=\"overnight-report\">", "</template>");
/// What stands before a figure in HTML, its id, and what stands after it.
const FIGURE: (&str, &str, &str) = ("<span data-f=\"", "\">", "</span>");
/// What stands before the picture.
pub(super) const PICTURE: &str = "data:image/png;base64,";
/// The cell that draws the picture.
pub(super) const PICTURE_CELL: &str = "progress";
/// Digits that tell one line of a document from another.
const LINE_DIGITS: usize = 12;

/// What a report says of itself, for a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// The version of this format.
    pub schema: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// What it was written as.
    pub form: Form,
    /// What the lab is called.
    pub lab: String,
    /// The line of research.
    pub tag: Tag,
    /// The ledger's ref.
    pub ledger: String,
    /// The commit of the ledger; `None` where it had none.
    pub commit: Option<CommitId>,
    /// The clone whose experiments are told.
    pub writer: String,
    /// When it was made.
    pub made: Timestamp,
    /// Where its times are: seconds east of Greenwich.
    pub offset: i32,
    /// Other lines of research that it counts, each at a commit.
    pub others: Vec<OtherAt>,
    /// Everything that a check recomputes.
    pub figures: Vec<Stamped>,
    /// The picture, where it has one.
    pub picture: Option<String>,
    /// How the program draws: the same for two that draw the same picture of the same experiments.
    pub drawn: String,
    /// The hash of all of its words.
    pub body: String,
}

/// Another line of research at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAt {
    /// Its name.
    pub tag: Tag,
    /// The commit.
    pub commit: CommitId,
}

/// A figure as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// What it is.
    pub id: String,
    /// What it said.
    pub text: String,
    /// The line that it stands in, by its hash; in HTML it has a mark of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// The stamp of a report; `figures` with their lines, where the form has lines.
pub(super) fn of(report: &Report, figures: &[(Figure, String)], picture: bool, body: &str) -> Stamp {
    let source = &report.source;
    let stamped = |figure: &Figure, at: Option<String>| Stamped {
        id: figure.id.clone(),
        text: figure.text.clone(),
        at,
    };
    let figures = if figures.is_empty() {
        document::figures(&report.blocks).map(|figure| stamped(figure, None)).collect()
    } else {
        figures.iter().map(|(figure, line)| stamped(figure, Some(line_hash(line)))).collect()
    };
    let drawn_at_all = picture && !report.picture.is_empty() && report.has_picture();
    Stamp {
        schema: SCHEMA,
        version: source.version.clone(),
        form: source.form,
        lab: source.lab.clone(),
        tag: source.tag.clone(),
        ledger: format!("refs/overnight/ledger/{}", source.tag),
        commit: source.commit.clone(),
        writer: source.writer.clone(),
        made: source.made,
        offset: source.offset.seconds(),
        others: source
            .others
            .iter()
            .map(|other| OtherAt { tag: other.tag.clone(), commit: other.commit.clone() })
            .collect(),
        figures,
        picture: drawn_at_all.then(|| hash(&report.picture)),
        drawn: draws().to_owned(),
        body: body.to_owned(),
    }
}

impl Stamp {
    /// Where its times are.
    pub fn zone(&self) -> Offset {
        Offset::from_seconds(self.offset).unwrap_or(Offset::UTC)
    }
}

/// The stamp as text that ends neither a comment nor an element.
pub(super) fn json(stamp: &Stamp) -> String {
    let text = serde_json::to_string(stamp).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 64);
    let mut before = ' ';
    for c in text.chars() {
        let safe = c.is_ascii() && !c.is_ascii_control() && !"<>&".contains(c) && (c != '-' || before != '-');
        before = if safe { c } else { ' ' };
        if safe {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// A figure in HTML; `shown` is its text, escaped.
pub(super) fn figure(figure: &Figure, shown: &str) -> String {
    format!("{}{}{}{shown}{}", FIGURE.0, escaped(&figure.id), FIGURE.1, FIGURE.2)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The hash of bytes.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The hash of lines, whatever ends them.
pub(super) fn lines_hash(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    hash(lines.join("\n").trim_end().as_bytes())
}

pub(super) fn line_hash(line: &str) -> String {
    let mut hash = hash(line.trim().as_bytes());
    hash.truncate(LINE_DIGITS);
    hash
}

/// What tells two programs apart that draw the same experiments in another way.
pub(super) fn draws() -> &'static str {
    static DRAWS: OnceLock<String> = OnceLock::new();
    DRAWS.get_or_init(|| {
        let record = |number: u64, status: &str, value: f64, delta: Option<f64>| {
            json!({
                "schema": 1, "number": number, "id": uuid(number), "writer": "w", "tag": "main", "status": status,
                "value": value, "delta": delta, "confidence": null, "parent": null, "candidate": "c",
                "baseline": number == 0, "hypothesis": "what is drawn", "proposer": "search",
                "started": "2026-01-01T00:00:00Z", "seconds": 1.0, "runs": [], "summary": {}, "reason": "", "claim": null,
                "author": "a", "program": "p", "rule": "1", "metric": "m", "direction": "minimize", "epoch": "e",
                "environment": {"host": "h", "cpu": "c", "inputs": {}},
            })
        };
        let records = [
            record(0, "keep", 1.0, None),
            record(1, "keep", 0.75, Some(-0.25)),
            record(2, "discard", 0.875, Some(0.125)),
        ];
        let sample: Vec<Experiment> =
            records.into_iter().filter_map(|record| serde_json::from_value(record).ok()).collect();
        let metric = sample.first().map(Metric::of);
        let picture = metric.and_then(|metric| chart::progress(&sample, &metric).png(Ground::Paper));
        hash(&picture.unwrap_or_default())
    })
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

/// What cannot be checked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It has no stamp.
    NoStamp,
    /// Its stamp is cut or changed.
    Broken(String),
    /// A newer version wrote it.
    Newer(u32),
}

/// A written report, taken apart.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it says of itself.
    pub stamp: Stamp,
    pub(super) shown: Shown,
    pub(super) picture: Option<Vec<u8>>,
    /// The file in which Markdown's picture is, as its link says it.
    link: Option<String>,
    /// Whether its words are as they were written.
    pub(super) untouched: bool,
}

/// What a reader sees.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// Lines by their hash.
    Lines(HashMap<String, String>),
    /// What stands where each figure is.
    Figures(HashMap<String, Vec<String>>),
}

impl Reading {
    /// Takes a report apart.
    ///
    /// # Errors
    /// Where it has no stamp, or one that cannot be read.
    pub fn of(text: &str) -> Result<Self, Unreadable> {
        if text.trim_start().starts_with('{') {
            return notebook(text);
        }
        for (form, around) in [(Form::Html, HTML), (Form::Markdown, MARKDOWN)] {
            let Some(from) = text.rfind(around.0) else { continue };
            let inside = from + around.0.len();
            let Some(length) = text[inside..].find(around.1) else {
                return Err(Unreadable::Broken("it is cut off".to_owned()));
            };
            let value = serde_json::from_str(&text[inside..inside + length]);
            let stamp = self::stamp(value.map_err(|e| Unreadable::Broken(e.to_string()))?)?;
            let rest = &text[inside + length + around.1.len()..];
            return Ok(if form == Form::Html {
                html(stamp, &text[..from], rest)
            } else {
                markdown(stamp, &text[..from], rest)
            });
        }
        Err(Unreadable::NoStamp)
    }

    /// The file beside it that its picture is in, where it says so.
    pub fn picture_file(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// The same with that picture.
    #[must_use]
    pub fn with_picture(self, bytes: Option<Vec<u8>>) -> Self {
        Self { picture: bytes, ..self }
    }
}

fn stamp(value: Value) -> Result<Stamp, Unreadable> {
    match value.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema > u64::from(SCHEMA) => {
            Err(Unreadable::Newer(u32::try_from(schema).unwrap_or(u32::MAX)))
        }
        _ => serde_json::from_value(value).map_err(|e| Unreadable::Broken(e.to_string())),
    }
}

fn lines<'a>(text: impl IntoIterator<Item = &'a str>) -> Shown {
    Shown::Lines(text.into_iter().map(|line| (line_hash(line), line.trim().to_owned())).collect())
}

fn markdown(stamp: Stamp, text: &str, rest: &str) -> Reading {
    let untouched = lines_hash(text.trim_end()) == stamp.body && rest.trim().is_empty();
    // The line of the picture is ours: `![what it shows](file)`.
    let link = text.lines().find(|line| line.starts_with("![")).and_then(|line| {
        let (_, link) = line.trim_end().rsplit_once("](")?;
        link.strip_suffix(')')
    });
    let link = stamp.picture.as_ref().and(link).map(decoded);
    Reading { shown: lines(text.lines().chain(rest.lines())), stamp, picture: None, link, untouched }
}

/// A link without its `%20`.
fn decoded(link: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = link.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn html(stamp: Stamp, text: &str, rest: &str) -> Reading {
    let untouched = hash(text.as_bytes()) == stamp.body && rest.trim().is_empty();
    let mut figures: HashMap<String, Vec<String>> = HashMap::new();
    for part in text.split(FIGURE.0).skip(1) {
        let Some((id, after)) = part.split_once(FIGURE.1) else { continue };
        let shown = after.split(FIGURE.2).next().unwrap_or_default();
        figures.entry(unescaped(id)).or_default().push(unescaped(shown));
    }
    let picture =
        text.split_once(PICTURE).and_then(|(_, after)| STANDARD.decode(after.split('"').next()?).ok());
    Reading { stamp, shown: Shown::Figures(figures), picture, link: None, untouched }
}

fn notebook(text: &str) -> Result<Reading, Unreadable> {
    let book: Value = serde_json::from_str(text).map_err(|e| Unreadable::Broken(e.to_string()))?;
    let value = book["metadata"]["overnight"].clone();
    if value.is_null() {
        return Err(Unreadable::NoStamp);
    }
    let stamp = stamp(value)?;
    let cells: &[Value] = book["cells"].as_array().map_or(&[], Vec::as_slice);
    let sources: Vec<String> = cells.iter().map(|cell| joined(&cell["source"])).collect();
    let words = cells.iter().zip(&sources).filter(|(cell, _)| cell["cell_type"] == "markdown");
    let shown = lines(words.flat_map(|(_, source)| source.lines()));
    let drawn = cells.iter().find(|cell| cell["id"] == PICTURE_CELL);
    let outputs = drawn.and_then(|cell| cell["outputs"].as_array()).into_iter().flatten();
    let picture = outputs.map(|output| joined(&output["data"]["image/png"])).find(|data| !data.is_empty());
    let picture = picture.and_then(|data| {
        let data: String = data.chars().filter(|c| !c.is_whitespace()).collect();
        STANDARD.decode(data).ok()
    });
    let untouched = cells_hash(sources.iter().map(String::as_str)) == stamp.body;
    Ok(Reading { stamp, shown, picture, link: None, untouched })
}

/// The hash of the cells' sources.
pub(super) fn cells_hash<'a>(sources: impl Iterator<Item = &'a str>) -> String {
    lines_hash(&sources.map(str::trim_end).collect::<Vec<_>>().join("\n\u{c}\n"))
}

/// Text that a notebook may keep as lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}
