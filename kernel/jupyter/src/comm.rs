//! Comms: channels between a client and the kernel for messages of their own, as widgets use them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{iopub::IoPub, wire::Parent};

/// What is sent over a comm, in either direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommMessage {
    /// Its content, free-form.
    pub data: Value,
    /// Its metadata; widgets name their protocol's version here when they are opened.
    pub metadata: Map<String, Value>,
    /// Binary data beside it.
    pub buffers: Vec<Bytes>,
}

impl From<Value> for CommMessage {
    fn from(data: Value) -> Self {
        Self { data, ..Self::default() }
    }
}

/// One open comm. It sends on behalf of the message that it was handed out with.
#[derive(Clone)]
pub struct Comm {
    id: String,
    target: String,
    comms: Comms,
    parent: Parent,
}

impl Comm {
    /// Its id, chosen by whoever opened it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is for, such as `jupyter.widget`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Sends to every client.
    pub fn send(&self, message: impl Into<CommMessage>) {
        let mut message = message.into();
        let content = json!({"comm_id": self.id, "data": message.data.take()});
        self.comms.publish("comm_msg", &self.parent, content, message);
    }

    /// Closes it; what comes for it later is dropped.
    pub fn close(&self, message: impl Into<CommMessage>) {
        let mut message = message.into();
        if self.comms.remove(&self.id).is_some() {
            let content = json!({"comm_id": self.id, "data": message.data.take()});
            self.comms.publish("comm_close", &self.parent, content, message);
        }
    }
}

/// The comms that are open.
#[derive(Clone)]
pub(crate) struct Comms {
    iopub: IoPub,
    targets: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Comms {
    pub(crate) fn new(iopub: IoPub) -> Self {
        Self { iopub, targets: Arc::default() }
    }

    /// Opens one from the kernel's side.
    pub(crate) fn open(&self, parent: Parent, target: &str, mut message: CommMessage) -> Comm {
        let id = Uuid::new_v4().to_string();
        let content = json!({"comm_id": id, "target_name": target, "data": message.data.take()});
        let comm = self.insert(parent, id, target.to_owned());
        self.publish("comm_open", &comm.parent, content, message);
        comm
    }

    /// Takes in one that a client has opened.
    pub(crate) fn insert(&self, parent: Parent, id: String, target: String) -> Comm {
        self.targets().insert(id.clone(), target.clone());
        Comm { id, target, comms: self.clone(), parent }
    }

    /// An open one, for an answer to `parent`.
    pub(crate) fn get(&self, parent: Parent, id: &str) -> Option<Comm> {
        let target = self.targets().get(id)?.clone();
        Some(Comm { id: id.to_owned(), target, comms: self.clone(), parent })
    }

    /// Forgets one, and says what it was for.
    pub(crate) fn remove(&self, id: &str) -> Option<String> {
        self.targets().remove(id)
    }

    /// The `comms` field of `comm_info_reply`: those of a target, or all.
    pub(crate) fn info(&self, target: Option<&str>) -> Value {
        let targets = self.targets();
        let found = targets.iter().filter(|(_, name)| target.is_none_or(|target| target == *name));
        found.map(|(id, name)| (id.clone(), json!({"target_name": name}))).collect::<Map<_, _>>().into()
    }

    fn publish(&self, msg_type: &str, parent: &Parent, content: Value, message: CommMessage) {
        self.iopub.publish(msg_type, parent.clone(), content, message.metadata, message.buffers);
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
