//! What a model may look up while it thinks.

use async_trait::async_trait;
use models::Tool;
use serde_json::Value;

/// Questions about the lab that can be asked by name. Nothing that is asked changes anything.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// What can be asked.
    fn tools(&self) -> Vec<Tool>;

    /// Answers a question, in text.
    ///
    /// # Errors
    /// What is wrong with it, in words that a model can act on.
    async fn call(&self, name: &str, arguments: &Value) -> Result<String, String>;
}

/// Nothing can be looked up.
#[derive(Clone, Copy, Debug)]
pub struct NoLookup;

#[async_trait]
impl Lookup for NoLookup {
    fn tools(&self) -> Vec<Tool> {
        Vec::new()
    }

    async fn call(&self, name: &str, _arguments: &Value) -> Result<String, String> {
        Err(format!("there is no tool `{name}`"))
    }
}
