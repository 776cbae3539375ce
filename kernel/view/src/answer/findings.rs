//! Answers that queries give: each a sentence, its table, and the query to go on with.

use maud::{PreEscaped, html};

use super::{fold, lines};
use crate::{
    Bundle,
    bundle::HTML,
    style,
    text::{clean, one_line},
};

/// An answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The question.
    pub question: String,
    /// The answer in a sentence.
    pub said: String,
    /// The query that answers it.
    pub query: String,
    /// What the query found, if anything.
    pub table: Option<Bundle>,
}

/// Answers one below the other, and a last line.
pub fn findings(findings: &[Finding], foot: &str) -> Bundle {
    let text: Vec<String> = findings.iter().map(Finding::text).collect();
    let html = html! {
        div style="max-width:900px" {
            @for finding in findings {
                div style="font-weight:600;margin:12px 0 2px 0" { (one_line(&finding.question)) }
                div { (one_line(&finding.said)) }
                @if let Some(html) = finding.table.as_ref().and_then(Bundle::html) { (PreEscaped(html)) }
                (fold(&html! { code { "sql" } }, &lines(&finding.query)))
            }
            div style=(format!("{};font-size:12px;margin:6px 0 2px 0", style::MUTED)) { (one_line(foot)) }
        }
    };
    Bundle::new(format!("{}\n\n{}", text.join("\n\n\n"), one_line(foot))).with(HTML, html.into_string())
}

impl Finding {
    fn text(&self) -> String {
        let mut blocks = vec![format!("{}\n{}", one_line(&self.question), one_line(&self.said))];
        blocks.extend(self.table.as_ref().map(|table| table.text().to_owned()));
        blocks.push(clean(&self.query));
        blocks.join("\n\n")
    }
}
