//! What is said, in no protocol.

use serde_json::{Map, Value, json};

/// What was said so far, and what the model may call.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub(crate) system: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) said: Vec<Said>,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    User(String),
    Model(Vec<Block>),
    Results(Vec<ToolResult>),
}

impl Conversation {
    /// A conversation under a system prompt, with tools on offer.
    pub fn new(system: impl Into<String>, tools: Vec<Tool>) -> Self {
        Self { system: system.into(), tools, said: Vec::new() }
    }

    /// Says something to the model.
    pub fn ask(&mut self, text: impl Into<String>) {
        self.said.push(Said::User(text.into()));
    }

    /// Gives the results of a turn's calls, all of them.
    pub fn give(&mut self, results: Vec<ToolResult>) {
        self.said.push(Said::Results(results));
    }

    /// How many bytes of text it holds: what a request costs depends on it.
    pub fn bytes(&self) -> usize {
        let tools = self.tools.iter().map(|tool| tool.description.len() + tool.schema.to_string().len());
        let said = self.said.iter().map(|said| match said {
            Said::User(text) => text.len(),
            Said::Model(blocks) => blocks.iter().map(Block::bytes).sum(),
            Said::Results(results) => results.iter().map(|result| result.text.len()).sum(),
        });
        self.system.len() + tools.sum::<usize>() + said.sum::<usize>()
    }
}

/// What a model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The JSON schema of its arguments: an object.
    pub schema: Value,
}

/// A call that a model asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Which call, for its result.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, an object; or what came instead, if it is none.
    pub arguments: Result<Value, String>,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call's.
    pub id: String,
    /// What the model reads.
    pub text: String,
    /// Whether it failed.
    pub failed: bool,
}

/// What was read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, from a cache or not.
    pub input: u64,
    /// How many of them were read from a cache.
    pub cached: u64,
    /// How many of them were written to one.
    pub stored: u64,
    /// Tokens written.
    pub output: u64,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is complete.
    Done,
    /// It waits for the results of its calls.
    Tools,
    /// It had no more room.
    Length,
    /// The model would not.
    Refused,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What it says.
    pub text: String,
    /// What it calls.
    pub calls: Vec<ToolCall>,
    /// What it took.
    pub usage: Usage,
    /// Why it ended.
    pub stop: Stop,
}

/// One part of an answer, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Text(String),
    Call {
        id: String,
        name: String,
        /// The arguments as they came.
        arguments: String,
    },
    /// What goes back as it came: signed thinking.
    Kept(Value),
}

impl Block {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn call(&self) -> Option<ToolCall> {
        let Self::Call { id, name, arguments } = self else { return None };
        let read = match arguments.trim() {
            "" => Ok(json!({})),
            text => serde_json::from_str::<Map<String, Value>>(text).map(Value::Object),
        };
        let arguments = read.map_err(|_| arguments.clone());
        Some(ToolCall { id: id.clone(), name: name.clone(), arguments })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Call { name, arguments, .. } => name.len() + arguments.len(),
            Self::Kept(value) => value.to_string().len(),
        }
    }
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) blocks: Vec<Block>,
    pub(crate) usage: Usage,
    pub(crate) stop: Option<Stop>,
}

impl Answer {
    /// Adds to the text at its end.
    pub(crate) fn write(&mut self, more: &str) {
        match self.blocks.last_mut() {
            Some(Block::Text(text)) => text.push_str(more),
            _ => self.blocks.push(Block::Text(more.to_owned())),
        }
    }

    /// The turn, and what is remembered of it. `None` where it was cut.
    pub(crate) fn finish(self) -> Option<(Turn, Vec<Block>)> {
        let calls: Vec<ToolCall> = self.blocks.iter().filter_map(Block::call).collect();
        let stop = match self.stop? {
            // Some servers say that it is done after a call.
            Stop::Done if !calls.is_empty() => Stop::Tools,
            stop => stop,
        };
        let text = self.blocks.iter().filter_map(Block::text).collect();
        Some((Turn { text, calls, usage: self.usage, stop }, self.blocks))
    }
}
