//! The header of a message, and the parent header that answers carry.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the messaging protocol that our headers name.
pub const VERSION: &str = "5.5";

/// Who sent a message, when, and of what type it is. Fields that we do not know are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Unique for each message.
    pub msg_id: String,
    /// The sender's session.
    #[serde(default)]
    pub session: String,
    /// The sender's user name.
    #[serde(default)]
    pub username: String,
    /// When the message was made, ISO 8601.
    #[serde(default)]
    pub date: String,
    /// What the message is, such as `execute_request`.
    pub msg_type: String,
    /// The protocol version of the sender.
    #[serde(default)]
    pub version: String,
    /// Fields of later protocol versions, such as `subshell_id`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Header {
    /// A header of our own protocol version, with no further fields.
    pub fn new(msg_id: &str, session: &str, username: &str, msg_type: &str, date: &str) -> Self {
        Self {
            msg_id: msg_id.to_owned(),
            session: session.to_owned(),
            username: username.to_owned(),
            date: date.to_owned(),
            msg_type: msg_type.to_owned(),
            version: VERSION.to_owned(),
            extra: Map::new(),
        }
    }
}

/// The header of the request that a message answers, byte for byte as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent(Bytes);

impl Parent {
    /// For messages that answer nothing.
    pub fn none() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    pub(crate) fn from_json(json: Bytes) -> Self {
        Self(json)
    }

    /// The JSON dictionary, `{}` where there is no parent.
    pub fn as_json(&self) -> &Bytes {
        &self.0
    }

    /// The id of the message that is answered, if it has one.
    pub fn msg_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Id {
            msg_id: String,
        }
        serde_json::from_slice::<Id>(&self.0).ok().map(|id| id.msg_id)
    }
}
