//! What a model is called: `anthropic:MODEL`, `openai:MODEL`, `openai:MODEL@URL`.

use std::fmt;
use std::str::FromStr;

use crate::{Fault, ModelError};

/// How a model is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Anthropic's messages.
    Anthropic,
    /// Chat completions.
    OpenAi,
}

/// The name of a model, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// How it is spoken to.
    pub api: Api,
    /// Its provider's name for it.
    pub model: String,
    /// Where it is, up to `/v1`, if not at its provider's.
    pub url: Option<String>,
}

impl ModelName {
    /// The environment variable that its key is read from. A server of one's own gets a key of its own: the provider's
    /// is not sent elsewhere.
    pub fn key_variable(&self) -> &'static str {
        match (self.api, &self.url) {
            (_, Some(_)) => "OVERNIGHT_MODEL_KEY",
            (Api::Anthropic, None) => "ANTHROPIC_API_KEY",
            (Api::OpenAi, None) => "OPENAI_API_KEY",
        }
    }

    /// The environment variable that moves its provider elsewhere, as the provider's own programs have it.
    pub fn url_variable(&self) -> &'static str {
        match self.api {
            Api::Anthropic => "ANTHROPIC_BASE_URL",
            Api::OpenAi => "OPENAI_BASE_URL",
        }
    }

    /// Whether it cannot be used without a key.
    pub fn needs_key(&self) -> bool {
        self.url.is_none()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api = match self.api {
            Api::Anthropic => "anthropic",
            Api::OpenAi => "openai",
        };
        write!(f, "{api}:{}", self.model)?;
        self.url.as_ref().map_or(Ok(()), |url| write!(f, "@{url}"))
    }
}

impl FromStr for ModelName {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let wrong = |why: String| ModelError::new(Fault::Request, why);
        let (api, rest) = match text.split_once(':') {
            Some(("anthropic", rest)) => (Api::Anthropic, rest),
            Some(("openai", rest)) => (Api::OpenAi, rest),
            _ => {
                return Err(wrong(format!(
                    "`{text}` is not a model: write `anthropic:MODEL`, `openai:MODEL` or `openai:MODEL@URL`"
                )));
            }
        };
        let (model, url) = match rest.split_once('@') {
            Some((model, url)) if url.starts_with("http://") || url.starts_with("https://") => {
                (model, Some(url.trim_end_matches('/').to_owned()))
            }
            Some((_, url)) => {
                return Err(wrong(format!(
                    "`{url}` is not an address: write one such as `http://localhost:8000/v1`"
                )));
            }
            None => (rest, None),
        };
        if model.trim().is_empty() {
            return Err(wrong(format!(
                "`{text}` names no model: write one after the colon, as its provider calls it"
            )));
        }
        Ok(Self { api, model: model.to_owned(), url })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for text in ["anthropic:claude-sonnet-5", "openai:gpt-6", "openai:org/m:4b@http://localhost:8000/v1"]
        {
            assert_eq!(text.parse::<ModelName>().unwrap().to_string(), text);
        }
        let local: ModelName = "openai:qwen@http://gpu7:8000/v1/".parse().unwrap();
        assert_eq!((local.url.as_deref(), local.needs_key()), (Some("http://gpu7:8000/v1"), false));
        assert_eq!(local.key_variable(), "OVERNIGHT_MODEL_KEY");
    }

    #[test]
    fn what_is_no_name_is_said() {
        let said: Vec<String> = ["gpt-6", "openai:", "openai:m@localhost:8000", "mistral:m"]
            .iter()
            .map(|text| text.parse::<ModelName>().unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        `gpt-6` is not a model: write `anthropic:MODEL`, `openai:MODEL` or `openai:MODEL@URL`
        `openai:` names no model: write one after the colon, as its provider calls it
        `localhost:8000` is not an address: write one such as `http://localhost:8000/v1`
        `mistral:m` is not a model: write `anthropic:MODEL`, `openai:MODEL` or `openai:MODEL@URL`
        ");
    }
}
