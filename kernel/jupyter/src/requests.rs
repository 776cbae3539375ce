//! The contents of requests, read tolerantly: what a client may leave out has the protocol's default.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{language::Failure, wire::Message};

fn yes() -> bool {
    true
}

// The protocol has four flags.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Deserialize)]
pub(crate) struct ExecuteRequest {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) silent: bool,
    #[serde(default = "yes")]
    pub(crate) store_history: bool,
    #[serde(default)]
    pub(crate) user_expressions: Option<Map<String, Value>>,
    #[serde(default = "yes")]
    pub(crate) allow_stdin: bool,
    #[serde(default = "yes")]
    pub(crate) stop_on_error: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CursorRequest {
    pub(crate) code: String,
    /// Left out, the cursor is at the end.
    #[serde(default)]
    pub(crate) cursor_pos: Option<usize>,
    #[serde(default)]
    pub(crate) detail_level: u8,
}

impl CursorRequest {
    /// The cursor in code points, never past the end of the code.
    pub(crate) fn cursor(&self) -> usize {
        let length = self.code.chars().count();
        self.cursor_pos.map_or(length, |cursor| cursor.min(length))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct CodeRequest {
    pub(crate) code: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ShutdownRequest {
    #[serde(default)]
    pub(crate) restart: bool,
}

/// `comm_open`, `comm_msg` or `comm_close`.
#[derive(Debug, Deserialize)]
pub(crate) struct CommRequest {
    pub(crate) comm_id: String,
    /// Only `comm_open` has one.
    #[serde(default)]
    pub(crate) target_name: String,
    #[serde(default)]
    pub(crate) data: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CommInfoRequest {
    #[serde(default)]
    pub(crate) target_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SubshellRequest {
    pub(crate) subshell_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "hist_access_type", rename_all = "lowercase")]
pub(crate) enum HistoryRequest {
    Tail {
        #[serde(default)]
        output: bool,
        n: Option<usize>,
    },
    Range {
        #[serde(default)]
        output: bool,
        #[serde(default)]
        session: i64,
        #[serde(default)]
        start: Option<i64>,
        #[serde(default)]
        stop: Option<i64>,
    },
    Search {
        #[serde(default)]
        output: bool,
        #[serde(default)]
        pattern: Option<String>,
        n: Option<usize>,
        #[serde(default)]
        unique: bool,
    },
}

/// The content of a request as `T`, or what the client is told.
pub(crate) fn read<T: DeserializeOwned>(request: &Message) -> Result<T, Failure> {
    T::deserialize(&request.content).map_err(|error| {
        let what = format!("the content of this {} is not valid: {error}", request.msg_type());
        tracing::warn!("{what}");
        Failure::new("InvalidRequest", &what)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bare_execute_request_has_the_defaults_of_the_protocol() {
        let request: ExecuteRequest = serde_json::from_value(json!({"code": "1"})).unwrap();
        assert!(!request.silent && request.store_history);
        assert!(request.allow_stdin && request.stop_on_error);
    }

    #[test]
    fn cursors_count_code_points_and_stay_within_the_code() {
        let cursor = |value| {
            let request: CursorRequest = serde_json::from_value(value).unwrap();
            request.cursor()
        };
        assert_eq!(cursor(json!({"code": "a🦀b"})), 3);
        assert_eq!(cursor(json!({"code": "a🦀b", "cursor_pos": 2})), 2);
        assert_eq!(cursor(json!({"code": "a🦀b", "cursor_pos": 99})), 3);
    }
}
