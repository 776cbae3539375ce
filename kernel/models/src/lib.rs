//! Language models by their API: Anthropic's messages, and the chat completions of OpenAI and of every server that
//! speaks as it does (vLLM, Ollama, llama.cpp, LM Studio).
//!
//! ```no_run
//! # async fn example() -> Result<(), models::ModelError> {
//! use models::{Client, Conversation, Settings};
//!
//! let name = "openai:qwen3@http://localhost:11434/v1".parse()?;
//! let client = Client::new(name, None, None, Settings::default())?;
//! let mut talk = Conversation::new("Answer in one word.", Vec::new());
//! talk.ask("What is the capital of France?");
//! let turn = client.turn(&mut talk, |_| {}).await?;
//! println!("{} ({} tokens)", turn.text, turn.usage.output);
//! # Ok(())
//! # }
//! ```
//!
//! Answers are streamed; what is temporary (429, 5xx, a broken connection) is tried again. A key is in the header of
//! a request and nowhere else: not in an error, not in a log.
//!
//! The two protocols are written down here, over `reqwest`: the crates that speak forty of them were tried, and take
//! an answer that is cut in the middle for a whole one.

mod anthropic;
mod client;
mod conversation;
mod error;
mod events;
mod key;
mod name;
mod openai;
mod price;

pub use client::{Client, Piece, Settings};
pub use conversation::{Conversation, Stop, Tool, ToolCall, ToolResult, Turn, Usage};
pub use error::{Fault, ModelError};
pub use key::Key;
pub use name::{Api, ModelName};
pub use price::{Price, Prices};
