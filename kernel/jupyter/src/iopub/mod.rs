//! What the kernel publishes, on one thread that owns the socket.
//!
//! ```text
//! cells, shell, control ──► Queue (bounded, merges text) ──► publisher ──► Outbox per subscriber ──► client
//! ```
//!
//! One queue keeps the order: what a cell wrote stands before its `idle`. Writers wait while the queue
//! is full, and the publisher waits while a subscriber's outbox is full, so a slow client slows the cell
//! and loses nothing. A client that takes nothing for [`Tuning::stall`] is served `status` only until it
//! has caught up, so that it holds up nobody and still learns that cells end.
//!
//! The socket is written here, on [`zmtp`], rather than with `zeromq::XPubSocket`: that one awaits its
//! subscribers in turn and cannot tell which of them stalls, so one stopped client would cost the
//! others their messages; it also cannot say when everything has left before the kernel exits.

mod outbox;
mod publisher;
mod queue;
mod zmtp;

use std::{sync::Arc, thread, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value, json};

pub(crate) use self::{publisher::Listener, queue::Stream};
use self::{
    publisher::Publisher,
    queue::{Queue, Ready},
};
use crate::{
    error::JupyterError,
    session::Session,
    wire::{Message, Parent, Signer},
};

/// Times and sizes of publishing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// How long printed text is gathered before it is sent.
    pub(crate) tick: Duration,
    /// How long a subscriber may take nothing before the others go on without it.
    pub(crate) stall: Duration,
    /// Bytes that may wait in the queue, and again for each subscriber.
    pub(crate) limit: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { tick: Duration::from_millis(15), stall: Duration::from_secs(1), limit: 8 << 20 }
    }
}

/// Publishes; cheap to clone, usable from any thread.
#[derive(Clone)]
pub(crate) struct IoPub {
    queue: Arc<Queue>,
    session: Arc<Session>,
    signer: Signer,
}

/// Frees the writers that wait, however the publishing thread ends.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What a socket is given for a message: its frames in order, topic first.
pub(crate) struct Envelope {
    pub(crate) frames: Vec<Bytes>,
    /// Must reach the client even when it lags.
    pub(crate) must: bool,
}

impl IoPub {
    /// Starts the publishing thread on a bound listener. Join the thread after [`IoPub::close`].
    pub(crate) fn start(
        listener: Listener,
        session: Arc<Session>,
        signer: Signer,
        tuning: Tuning,
    ) -> Result<(Self, thread::JoinHandle<()>), JupyterError> {
        let iopub = Self { queue: Arc::new(Queue::new(tuning)), session, signer };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(JupyterError::Thread)?;
        let publisher = Publisher::new(iopub.clone(), tuning);
        let guard = AbandonOnDrop(Arc::clone(&iopub.queue));
        let thread = thread::Builder::new()
            .name("iopub".to_owned())
            .spawn(move || {
                let _guard = guard;
                runtime.block_on(publisher.run(listener));
            })
            .map_err(JupyterError::Thread)?;
        Ok((iopub, thread))
    }

    /// `busy`, `idle` or `starting`. Never waits, never lost.
    pub(crate) fn status(&self, parent: Parent, state: &str) {
        let content = json!({ "execution_state": state });
        self.queue.push_now(self.ready("status", parent, content));
    }

    /// A message of the kernel's own, such as `execute_input`. Never waits.
    pub(crate) fn announce(&self, msg_type: &str, parent: Parent, content: Value) {
        self.queue.push_now(self.ready(msg_type, parent, content));
    }

    /// A message of a cell. Waits while the queue is full.
    pub(crate) fn send(&self, msg_type: &str, parent: Parent, content: Value) {
        self.queue.push(self.ready(msg_type, parent, content));
    }

    /// A message with metadata and binary data. Never waits: front ends are owed the state of their comms.
    pub(crate) fn publish(
        &self,
        msg_type: &str,
        parent: Parent,
        content: Value,
        metadata: Map<String, Value>,
        buffers: Vec<Bytes>,
    ) {
        let mut message = self.message(msg_type, parent, content);
        message.metadata = metadata;
        message.buffers = buffers;
        self.queue.push_now(Ready::new(self.envelope(&message)));
    }

    /// Printed text of a cell. Waits while the queue is full.
    pub(crate) fn print(&self, parent: &Parent, stream: Stream, text: &str) {
        self.queue.print(parent, stream, text);
    }

    /// Returns when all that was published so far has been handed to the subscribers.
    pub(crate) async fn flush(&self) {
        self.queue.flush().await;
    }

    /// No more messages; the thread ends when all are with the clients, or after two seconds.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    fn ready(&self, msg_type: &str, parent: Parent, content: Value) -> Ready {
        Ready::new(self.envelope(&self.message(msg_type, parent, content)))
    }

    fn message(&self, msg_type: &str, parent: Parent, content: Value) -> Message {
        let mut message = self.session.message(msg_type, parent, content);
        message.identities.push(self.topic(msg_type));
        message
    }

    fn envelope(&self, message: &Message) -> Envelope {
        Envelope { frames: message.encode(&self.signer), must: message.msg_type() == "status" }
    }

    fn topic(&self, msg_type: &str) -> Bytes {
        Bytes::from(format!("kernel.{}.{msg_type}", self.session.id()))
    }

    /// The first message of a subscription (JEP 65): from here on the client misses nothing.
    fn welcome(&self, subscription: &[u8]) -> Envelope {
        let content = json!({ "subscription": String::from_utf8_lossy(subscription) });
        let mut message = self.session.message("iopub_welcome", Parent::none(), content);
        // The client filters by prefix, so its own subscription is the topic that passes.
        message.identities.push(Bytes::copy_from_slice(subscription));
        self.envelope(&message)
    }

    fn stream(&self, parent: Parent, stream: Stream, text: String) -> Envelope {
        let mut content = json!({ "name": stream.name() });
        content["text"] = Value::String(text);
        self.envelope(&self.message("stream", parent, content))
    }
}
