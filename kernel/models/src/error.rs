//! What goes wrong with a model, and whether trying again can help.

use std::time::Duration;

use serde_json::Value;

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The same request may go through later; after that time, where the server named one.
    Retry(Option<Duration>),
    /// The key is wrong, or there is none, or nothing is left to spend: a person has to mend it.
    Account,
    /// What was asked cannot be answered.
    Request,
}

/// A model that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What can be done about it.
    pub fault: Fault,
    /// What happened.
    pub message: String,
}

impl ModelError {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    pub(crate) fn retry(message: impl Into<String>) -> Self {
        Self::new(Fault::Retry(None), message)
    }

    /// A request that did not get an answer.
    pub(crate) fn sent(error: &reqwest::Error) -> Self {
        let fault =
            if error.is_builder() || error.is_redirect() { Fault::Request } else { Fault::Retry(None) };
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        Self::new(fault, causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// An answer with a status that is not success. `wait` is what the server says of trying again.
    pub(crate) fn answered(status: u16, body: &str, wait: Option<Duration>) -> Self {
        let told = serde_json::from_str::<Value>(body).ok();
        let fault = match status {
            401 | 402 | 403 => Fault::Account,
            // OpenAI says so of an account without money, and no waiting helps.
            429 if body.contains("insufficient_quota") => Fault::Account,
            400 if body.contains("credit balance") => Fault::Account,
            408 | 409 | 429 | 500..=599 => Fault::Retry(wait),
            _ => Fault::Request,
        };
        let message = told.as_ref().and_then(message).unwrap_or_else(|| body.trim().to_owned());
        let message: String = message.chars().take(500).collect();
        Self::new(fault, format!("{status} {message}").trim_end().to_owned())
    }

    /// An `error` event in a stream, in place of a status.
    pub(crate) fn event(event: &Value) -> Self {
        let error = event.get("error").unwrap_or(event);
        let word = |name: &str| error[name].as_str().unwrap_or_default();
        let fault = match (word("type"), word("code")) {
            ("authentication_error" | "permission_error" | "billing_error", _)
            | (_, "invalid_api_key" | "insufficient_quota") => Fault::Account,
            ("invalid_request_error" | "not_found_error" | "request_too_large", _)
            | (_, "context_length_exceeded") => Fault::Request,
            _ => Fault::Retry(None),
        };
        Self::new(fault, message(event).unwrap_or_else(|| event.to_string()))
    }
}

/// The sentence in an error's JSON: `{"error": {"message"}}`, `{"error": …}`, `{"message"}`.
fn message(body: &Value) -> Option<String> {
    let error = body.get("error").unwrap_or(body);
    let text = error.get("message").unwrap_or(error).as_str()?;
    Some(text.to_owned())
}
