//! What a research agent answers: Markdown that grows, and what it looked up, folded.
//!
//! The HTML form is made here, and not left to the front end: it takes HTML before Markdown, and the folds are HTML.
//! The plain form is Markdown too, and only ever grows, so that a terminal can print it as it comes.

use maud::{Markup, html};

use crate::{
    Bundle,
    bundle::{HTML, MARKDOWN},
    style,
    text::{clean, clip, one_line},
};

mod findings;
mod prose;

pub use findings::{Finding, findings};
pub(crate) use prose::prose;

/// Lines of what a step found that are shown.
const LINES: usize = 60;
/// Columns of such a line.
const COLUMNS: usize = 300;
/// Columns of what a step asked, on its own line.
const ASKED: usize = 120;

/// An answer as far as it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What was said and looked up, in its order.
    pub parts: Vec<Part>,
    /// The cell that is proposed.
    pub cell: Option<Proposed>,
    /// What goes on at this moment.
    pub now: Option<String>,
    /// The last line, once it has ended: who answered, and for how much.
    pub foot: Option<String>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// What was said, in Markdown.
    Said(String),
    /// What was looked up.
    Step(Step),
}

/// Something that was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// By which tool.
    pub tool: String,
    /// What was asked.
    pub asked: String,
    /// What came of it: `Err` where it failed, `None` while it is not known.
    pub found: Option<Result<String, String>>,
}

/// A cell for the person to run, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    /// Its text.
    pub code: String,
    /// What it is for.
    pub why: String,
}

impl Answer {
    /// Adds to what is said.
    pub fn say(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Said(text)) => text.push_str(more),
            _ => self.parts.push(Part::Said(more.to_owned())),
        }
    }

    /// What was said, without the steps.
    pub fn said(&self) -> String {
        let said = self.parts.iter().filter_map(|part| match part {
            Part::Said(text) => Some(text.trim()),
            Part::Step(_) => None,
        });
        said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// What is shown.
    pub fn bundle(&self) -> Bundle {
        let text = self.text();
        Bundle::new(text.clone()).with(MARKDOWN, text).with(HTML, self.markup().into_string())
    }

    fn text(&self) -> String {
        let mut blocks: Vec<String> = self.parts.iter().map(Part::text).collect();
        if let Some(foot) = &self.foot {
            blocks.extend(self.cell.as_ref().map(Proposed::text));
            blocks.push(format!("— {}\n", one_line(foot)));
        }
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n\n")
    }

    fn markup(&self) -> Markup {
        html! {
            div style="max-width:900px" {
                @for part in &self.parts { (part.markup()) }
                @if let Some(cell) = &self.cell { (cell.markup()) }
                @if let Some(line) = self.foot.as_ref().or(self.now.as_ref()) {
                    div style=(format!("{};font-size:12px;margin:6px 0 2px 0", style::MUTED)) { (one_line(line)) }
                }
            }
        }
    }
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::Said(text) => clean(text).trim().to_owned(),
            Self::Step(Step { tool, asked, .. }) => {
                format!("> {}", clip(&one_line(&format!("{tool} {asked}")), ASKED))
            }
        }
    }

    fn markup(&self) -> Markup {
        match self {
            Self::Said(text) => prose(text),
            Self::Step(step) => step.markup(),
        }
    }
}

impl Step {
    fn markup(&self) -> Markup {
        let title = html! {
            code { (one_line(&self.tool)) } " " (clip(&one_line(&self.asked), ASKED))
            @match &self.found {
                None => { " …" }
                Some(Err(_)) => { " " span style=(format!("color:{}", style::RED)) { "failed" } }
                Some(Ok(_)) => {}
            }
        };
        let body = html! {
            @if self.asked.contains('\n') { (lines(&self.asked)) }
            @if let Some(Ok(text) | Err(text)) = &self.found { (lines(text)) }
        };
        fold(&title, &body)
    }
}

impl Proposed {
    fn text(&self) -> String {
        format!("A cell for you: {}\n\n{}", one_line(&self.why), fenced(&clean(&self.code)))
    }

    fn markup(&self) -> Markup {
        html! {
            div style=(style::callout(style::LIVE)) {
                div { "A cell for you: " (one_line(&self.why)) }
                (lines(&self.code))
            }
        }
    }
}

/// Something that is shown where a reader opens it.
fn fold(title: &Markup, body: &Markup) -> Markup {
    html! {
        details style="margin:2px 0;font-size:12px" {
            summary style=(format!("{};cursor:pointer", style::MUTED)) { (title) }
            div style="border-left:2px solid #80808033;margin:2px 0 4px 4px;padding-left:8px" { (body) }
        }
    }
}

/// Text as it is, its first lines.
fn lines(text: &str) -> Markup {
    let text = clean(text);
    let all = text.trim_end().lines().count();
    let shown: Vec<String> =
        text.trim_end().lines().take(LINES).map(|line| clip(&line.replace('\t', "    "), COLUMNS)).collect();
    html! {
        pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto" { (shown.join("\n")) }
        @if all > LINES { div style=(style::MUTED) { "… " (all - LINES) " more lines" } }
    }
}

/// A code block that nothing in it closes.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", code.trim_end())
}
