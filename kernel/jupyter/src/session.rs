//! Who we are in headers: one session for the life of the kernel.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use uuid::Uuid;

use crate::wire::{Header, Message, Parent};

/// Makes our messages, each with an id of its own.
pub(crate) struct Session {
    id: String,
    username: String,
    sent: AtomicU64,
}

impl Session {
    pub(crate) fn new(username: &str) -> Self {
        Self { id: Uuid::new_v4().to_string(), username: username.to_owned(), sent: AtomicU64::new(0) }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A message that answers `parent`.
    pub(crate) fn message(&self, msg_type: &str, parent: Parent, content: Value) -> Message {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        // Microseconds: some clients read no more digits.
        let date = format!("{:.6}", jiff::Timestamp::now());
        let msg_id = format!("{}_{number}", self.id);
        let header = Header::new(&msg_id, &self.id, &self.username, msg_type, &date);
        Message::new(header, parent, content)
    }

    /// The reply to a request, addressed to who sent it.
    pub(crate) fn reply(&self, request: &Message, msg_type: &str, content: Value) -> Message {
        let mut reply = self.message(msg_type, request.as_parent(), content);
        reply.identities.clone_from(&request.identities);
        reply
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_complete_and_ids_are_unique() {
        let session = Session::new("someone");
        let first = session.message("status", Parent::none(), Value::Null);
        let second = session.message("status", Parent::none(), Value::Null);
        assert_ne!(first.header().msg_id, second.header().msg_id);
        assert_eq!(first.header().version, "5.5");
        assert_eq!(first.header().username, "someone");
        let date: jiff::Timestamp = first.header().date.parse().unwrap();
        assert!(date <= jiff::Timestamp::now());
        assert_eq!(first.header().date.len(), "2026-11-21T09:00:00.000000Z".len());
    }
}
