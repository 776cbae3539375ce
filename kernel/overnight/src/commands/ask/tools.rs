//! What the agent can do: look things up, propose a cell, queue a hypothesis. Nothing that it can call starts, stops or
//! changes anything.

use std::sync::Arc;

use lab::{Event, Said, Tag};
use models::{Tool, ToolCall};
use runner::proposers::Lookup;
use serde_json::{Value, json};
use view::Proposed;

use crate::commands::say;
use crate::session::Session;

/// How many hypotheses one answer may queue.
const HYPOTHESES: usize = 5;
/// How long one may be, in characters.
const HYPOTHESIS: usize = 600;

/// The tools of one answer.
pub(super) struct Tools {
    pub(super) session: Session,
    pub(super) tag: Tag,
    pub(super) lookup: Arc<dyn Lookup>,
    /// How many hypotheses it has queued.
    pub(super) queued: usize,
}

/// What a call came to.
pub(super) enum Done {
    /// What the model reads.
    Told(String),
    /// A cell for the person.
    Cell(Proposed),
}

impl Tools {
    /// All of them.
    pub(super) fn all(&self) -> Vec<Tool> {
        let tool = |name: &str, description: &str, properties: Value, required: &[&str]| Tool {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: json!({"type": "object", "properties": properties, "required": required}),
        };
        let text = |description: &str| json!({"type": "string", "description": description});
        let mut all = self.lookup.tools();
        all.push(tool(
            "propose_cell",
            "Puts one cell below the answer for the researcher to run, or not: a magic (`%diff 3 best`, `%%sql` and a query \
             below it) or Rust. A second call takes the place of the first.",
            json!({"code": text("the whole cell"), "why": text("what it is for, in a sentence")}),
            &["code", "why"],
        ));
        all.push(tool(
            "queue_hypothesis",
            "Puts a hypothesis among the ideas that wait for the proposer of the next experiments. Only where the \
             researcher asks for it.",
            json!({"text": text("the hypothesis, in a sentence")}),
            &["text"],
        ));
        all
    }

    /// Does what a call asks for.
    pub(super) async fn call(&mut self, call: &ToolCall) -> Result<Done, String> {
        let arguments =
            call.arguments.as_ref().map_err(|text| format!("the arguments are no JSON object: {text}"))?;
        let needed = |field: &str| {
            let text = arguments[field].as_str().map(str::trim).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| format!("`{}` needs `{field}`", call.name))
        };
        match call.name.as_str() {
            "propose_cell" => {
                let why = needed("why").unwrap_or_default();
                Ok(Done::Cell(Proposed { code: needed("code")?, why }))
            }
            "queue_hypothesis" if self.queued == HYPOTHESES => {
                Err(format!("{HYPOTHESES} hypotheses are enough for one answer"))
            }
            "queue_hypothesis" => {
                let text: String = needed("text")?.chars().take(HYPOTHESIS).collect();
                self.queue(text).await?;
                self.queued += 1;
                Ok(Done::Told(
                    "recorded: the next brief tells it to the proposer, and `%plan` shows it".to_owned(),
                ))
            }
            name => self.lookup.call(name, arguments).await.map(Done::Told),
        }
    }

    /// Puts a hypothesis among the ideas that wait, as the agent's: a person has not weighed it.
    async fn queue(&self, text: String) -> Result<(), String> {
        let proposer = Some("ask".to_owned());
        let event = Event::Idea { text: text.clone(), proposer, now: false, cell: self.session.cell };
        let told = say::tell(&self.session, &self.tag, event).await;
        let ideas = told.and_then(|()| Ok(Said::fold(&self.session.ledger()?.events(&self.tag)?).ideas));
        let waits = ideas.map_err(|failure| failure.to_string())?.iter().any(|idea| idea.text == text);
        if waits { Ok(()) } else { Err("it was tried, or the researcher has struck it out".to_owned()) }
    }
}

/// What a call asks, for a person: the query itself, else its arguments one after the other.
pub(super) fn asked(call: &ToolCall) -> String {
    let arguments = match &call.arguments {
        Ok(Value::Object(arguments)) => arguments,
        Ok(other) => return other.to_string(),
        Err(text) => return text.clone(),
    };
    let said = |(name, value): (&String, &Value)| match value {
        Value::String(text) if ["query", "code", "text", "number", "other"].contains(&name.as_str()) => {
            Some(text.clone())
        }
        Value::Number(number) if ["number", "other"].contains(&name.as_str()) => Some(number.to_string()),
        _ if name == "why" => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    };
    arguments.iter().filter_map(said).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use runner::proposers::NoLookup;

    use super::*;

    fn call(name: &str, arguments: Value) -> ToolCall {
        ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: Ok(arguments) }
    }

    #[tokio::test]
    async fn cells_are_proposed_and_what_is_missing_is_said() {
        let session = Session::new("/nowhere".into(), false);
        let mut tools =
            Tools { session, tag: Tag::default(), lookup: Arc::new(NoLookup), queued: HYPOTHESES };
        let done = tools.call(&call("propose_cell", json!({"code": "%best", "why": "to see it"}))).await;
        assert!(matches!(done, Ok(Done::Cell(Proposed { code, .. })) if code == "%best"));
        let mut said = Vec::new();
        for (name, arguments) in [
            ("propose_cell", json!({"code": " "})),
            ("queue_hypothesis", json!({"text": "one too many"})),
            ("stop", json!({})),
        ] {
            said.push(tools.call(&call(name, arguments)).await.err().unwrap_or_default());
        }
        insta::assert_snapshot!(said.join("\n"), @r"
        `propose_cell` needs `code`
        5 hypotheses are enough for one answer
        there is no tool `stop`
        ");
    }

    #[test]
    fn what_is_asked_is_told_in_words() {
        let told = [
            call("sql", json!({"query": "SELECT 1"})),
            call("diff", json!({"number": 3, "other": "best"})),
            call("experiments", json!({"status": "keep", "top": 3})),
            call("propose_cell", json!({"code": "%best", "why": "to see it"})),
            ToolCall { arguments: Err("{".to_owned()), ..call("log", json!({})) },
        ]
        .map(|call| asked(&call));
        insta::assert_snapshot!(told.join("\n"), @r"
        SELECT 1
        3 best
        status keep top 3
        %best
        {
        ");
    }
}
