//! What a model may look up: the commands that look, as a terminal has them.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use clap::Parser as _;
use lab::Tag;
use models::Tool;
use runner::proposers::Lookup;
use serde_json::{Value, json};
use view::Bundle;

use crate::commands;
use crate::grammar::{Cli, CliCommand};
use crate::session::Session;
use crate::sink::Sink;

/// How much of an answer is told, in bytes: its end where it is longer, for the end of a log matters.
const LONGEST: usize = 12_000;

/// Looks things up in one lab.
pub(crate) struct Commands {
    session: Session,
    /// The line of research; the one last worked on by default.
    tag: Option<Tag>,
}

impl Commands {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, tag: None }
    }

    /// The same about one line of research.
    pub(crate) fn about(self, tag: Option<Tag>) -> Self {
        Self { tag, ..self }
    }
}

/// The words of the command that a call means.
fn words(name: &str, arguments: &Value) -> Result<Vec<String>, String> {
    let told = |field: &str| match &arguments[field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let needed = |field: &str| told(field).ok_or_else(|| format!("`{name}` needs `{field}`"));
    let mut words = vec!["overnight".to_owned(), name.to_owned()];
    match name {
        "experiments" => {
            words.extend(told("status").map(|status| format!("--status={status}")));
            words.extend(told("top").map(|top| format!("--top={top}")));
        }
        "experiment" | "log" => words.push(needed("number")?),
        "diff" => {
            words.push(needed("number")?);
            words.extend(told("other"));
        }
        "sql" => words.extend(["--".to_owned(), needed("query")?]),
        _ => return Err(format!("there is no tool `{name}`")),
    }
    Ok(words)
}

#[async_trait]
impl Lookup for Commands {
    fn tools(&self) -> Vec<Tool> {
        let number =
            json!({"type": ["integer", "string"], "description": "its number, or `best` or `latest`"});
        let tool = |name: &str, description: &str, properties: Value, required: &[&str]| Tool {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: json!({"type": "object", "properties": properties, "required": required}),
        };
        vec![
            tool(
                "experiments",
                "The table of experiments of this lab: number, status, metric, delta, hypothesis.",
                json!({
                    "status": {"type": "string", "enum": ["keep", "discard", "crash", "timeout", "invalid"]},
                    "top": {"type": "integer", "description": "only the best so many"},
                }),
                &[],
            ),
            tool(
                "experiment",
                "One experiment: its hypothesis, judgement and why, what it changed, its summary, the end of its log.",
                json!({"number": number}),
                &["number"],
            ),
            tool(
                "diff",
                "What one experiment changed of its parent, or the difference of two.",
                json!({"number": number, "other": number}),
                &["number"],
            ),
            tool("log", "The end of what one experiment printed.", json!({"number": number}), &["number"]),
            tool(
                "sql",
                "A query over the tables `experiments` (one row each: number, status, value, delta, hypothesis, seconds, and \
                 each value of the summary), `metrics` (experiment, step, and what was printed at each step), `runs`, `events` \
                 and `constants` (experiment, path, name, setting, numeric, fixed, becomes: what each experiment set the \
                 constants of its files to).",
                json!({"query": {"type": "string", "description": "one SELECT"}}),
                &["query"],
            ),
        ]
    }

    async fn call(&self, name: &str, arguments: &Value) -> Result<String, String> {
        let mut words = words(name, arguments)?;
        if let Some(tag) = &self.tag {
            words.insert(2, format!("--tag={tag}"));
        }
        let command = match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(CliCommand::Shared(command)) => command,
            Ok(_) => return Err(format!("there is no tool `{name}`")),
            Err(error) => return Err(error.to_string()),
        };
        let heard = Heard::default();
        commands::run(command, &self.session, &heard).await.map_err(|failure| failure.to_string())?;
        Ok(heard.text())
    }
}

/// A sink that remembers the text.
#[derive(Default)]
struct Heard(Mutex<String>);

impl Heard {
    fn hear(&self, text: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_str(text.trim_end());
        heard.push('\n');
    }

    fn text(self) -> String {
        let text = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if text.len() <= LONGEST {
            return text;
        }
        let from = text.ceil_char_boundary(text.len() - LONGEST);
        format!("[… {from} bytes are left out …]\n{}", &text[from..])
    }
}

impl Sink for Heard {
    fn show(&self, bundle: Bundle) {
        self.hear(bundle.text());
    }

    fn update(&self, _name: &str, bundle: Bundle) {
        self.hear(bundle.text());
    }

    fn line(&self, text: &str) {
        self.hear(text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_call_is_a_command_that_looks() {
        let line = |name: &str, arguments: Value| words(name, &arguments).map(|words| words.join(" "));
        assert_eq!(
            line("experiments", json!({"status": "keep", "top": 3})).unwrap(),
            "overnight experiments --status=keep --top=3"
        );
        assert_eq!(line("diff", json!({"number": 3, "other": "best"})).unwrap(), "overnight diff 3 best");
        assert_eq!(line("sql", json!({"query": "SELECT 1"})).unwrap(), "overnight sql -- SELECT 1");
        assert_eq!(line("log", json!({})).unwrap_err(), "`log` needs `number`");
        // Nothing that acts can be said.
        for name in ["loop", "discard", "run", "export", "sql --to csv /etc/passwd"] {
            assert!(line(name, json!({"number": 1})).is_err(), "{name}");
        }
    }

    #[test]
    fn every_tool_is_a_command() {
        let tools = Commands::new(Session::new("/".into(), false)).tools();
        for tool in tools {
            let arguments = json!({"number": "best", "query": "SELECT 1"});
            let parsed = Cli::try_parse_from(words(&tool.name, &arguments).unwrap());
            assert!(matches!(parsed.unwrap().command, CliCommand::Shared(_)), "{}", tool.name);
        }
    }

    #[test]
    fn the_end_of_what_is_too_long_is_told() {
        let heard = Heard::default();
        heard.hear(&"é".repeat(LONGEST));
        heard.hear("the end");
        let text = heard.text();
        assert!(text.len() < LONGEST + 100 && text.starts_with("[… 12") && text.ends_with("the end\n"));
    }
}
