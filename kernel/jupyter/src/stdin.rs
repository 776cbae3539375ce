//! Asks the person at the client for a line, while a cell waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    router::{Incoming, Replies},
    session::Session,
    wire::{Message, Parent},
};

/// Why a cell got no line from the person at the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The client said beforehand that it cannot ask, as nbclient and papermill do.
    #[error("this client cannot ask for input")]
    NotAllowed,
    /// The cell was interrupted.
    #[error("interrupted while waiting for input")]
    Interrupted,
}

/// The stdin socket, with the questions that are open: one for each shell at most.
pub(crate) struct Stdin {
    replies: Replies,
    session: Arc<Session>,
    open: Mutex<Vec<Question>>,
}

struct Question {
    msg_id: String,
    answer: oneshot::Sender<String>,
}

impl Stdin {
    pub(crate) fn new(replies: Replies, session: Arc<Session>) -> Self {
        Self { replies, session, open: Mutex::default() }
    }

    /// Asks the client with these identities and waits for its answer.
    pub(crate) async fn ask(
        &self,
        identities: &[Bytes],
        parent: Parent,
        prompt: &str,
        password: bool,
    ) -> Result<String, InputError> {
        let content = json!({ "prompt": prompt, "password": password });
        let mut request = self.session.message("input_request", parent, content);
        request.identities = identities.to_vec();
        let (answer, answered) = oneshot::channel();
        self.open().push(Question { msg_id: request.header().msg_id.clone(), answer });
        self.replies.send(&request).await;
        answered.await.map_err(|_| InputError::Interrupted)
    }

    /// Ends the wait of every open question.
    pub(crate) fn interrupt(&self) {
        self.open().clear();
    }

    /// Hands answers to the question that they belong to.
    pub(crate) async fn run(self: Arc<Self>, mut incoming: Incoming) {
        loop {
            self.hear(&incoming.next().await);
        }
    }

    fn hear(&self, reply: &Message) {
        if reply.msg_type() != "input_reply" {
            tracing::warn!(msg_type = reply.msg_type(), "not an answer, dropped from stdin");
            return;
        }
        let mut open = self.open();
        // An answer that names its question must name an open one; some clients name none.
        let parent = reply.parent.msg_id();
        let found = open.iter().rposition(|question| parent.as_ref().is_none_or(|id| *id == question.msg_id));
        let Some(found) = found else {
            tracing::warn!("an answer to a question that is not open was dropped");
            return;
        };
        let question = open.remove(found);
        let value = reply.content["value"].as_str().unwrap_or_default();
        let _ = question.answer.send(value.to_owned());
    }

    fn open(&self) -> MutexGuard<'_, Vec<Question>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
