//! Where a cell prints, shows and asks.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    comm::{Comm, CommMessage},
    iopub::Stream,
    kernel::Kernel,
    language::MimeBundle,
    stdin::InputError,
    wire::{Message, Parent},
};

/// Names a display, so that it can be replaced later, also when its cell is long done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DisplayId(String);

impl DisplayId {
    /// An id that no other display has.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id as it stands in messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for DisplayId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// What a cell writes to. All of it appears below that cell, also after the cell has ended.
///
/// The methods may be called from any thread, inside a runtime or not. They return at once, except that
/// they wait while more than some megabytes are on their way to a client that reads slowly.
#[derive(Clone)]
pub struct Io {
    shared: Arc<Shared>,
}

struct Shared {
    sink: Sink,
    parent: Parent,
    /// Changes when the client interrupts.
    interrupts: watch::Receiver<u64>,
    execution_count: u32,
    /// A silent cell's output is dropped.
    silent: bool,
    /// Who to ask, where the client allows it.
    ask: Option<Vec<Bytes>>,
    /// The text of the last result, for the history.
    result: Mutex<Option<String>>,
}

enum Sink {
    Client(Arc<Kernel>),
    /// Nobody listens: see [`Io::recording`].
    Recording(Recording),
}

/// What was written to an [`Io`] that has no client.
#[derive(Clone, Default)]
pub struct Recording {
    messages: Arc<Mutex<Vec<(String, Value)>>>,
    interrupts: watch::Sender<u64>,
}

impl Recording {
    /// Interrupts, as the client's stop button does.
    pub fn interrupt(&self) {
        self.interrupts.send_modify(|count| *count += 1);
    }

    /// Type and content of each message so far, as a client would have got them, text unmerged.
    pub fn messages(&self) -> Vec<(String, Value)> {
        self.lock().clone()
    }

    /// All that was printed so far, standard output and error together.
    pub fn text(&self) -> String {
        let messages = self.lock();
        let texts = messages.iter().filter(|(kind, _)| kind == "stream");
        texts.filter_map(|(_, content)| content["text"].as_str()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Value)>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Io {
    /// The number of its cell: the one in `In [n]`, from 1.
    pub fn execution_count(&self) -> u32 {
        self.shared.execution_count
    }

    /// Where the cell of `request` writes.
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        request: &Message,
        execution_count: u32,
        silent: bool,
        may_ask: bool,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                sink: Sink::Client(Arc::clone(kernel)),
                parent: request.as_parent(),
                interrupts: kernel.interrupts.subscribe(),
                execution_count,
                silent,
                ask: may_ask.then(|| request.identities.clone()),
                result: Mutex::default(),
            }),
        }
    }

    /// An `Io` without a client, to see what a language writes; asking is not allowed on it.
    ///
    /// ```
    /// let (io, recording) = jupyter::Io::recording();
    /// io.stdout("hello\n");
    /// assert_eq!(recording.text(), "hello\n");
    /// ```
    pub fn recording() -> (Self, Recording) {
        let recording = Recording::default();
        let shared = Shared {
            sink: Sink::Recording(recording.clone()),
            parent: Parent::none(),
            interrupts: recording.interrupts.subscribe(),
            execution_count: 1,
            silent: false,
            ask: None,
            result: Mutex::default(),
        };
        let io = Self { shared: Arc::new(shared) };
        (io, recording)
    }

    /// Prints to standard output. Line ends are the caller's; `\r` overwrites the line.
    pub fn stdout(&self, text: &str) {
        self.print(Stream::Stdout, text);
    }

    /// Prints to standard error.
    pub fn stderr(&self, text: &str) {
        self.print(Stream::Stderr, text);
    }

    /// Shows something; with an id it can be replaced by [`Io::update_display`].
    pub fn display(&self, data: MimeBundle, id: Option<&DisplayId>) {
        self.send("display_data", shown(data, id));
    }

    /// Replaces what was shown under an id, by this cell or an earlier one.
    pub fn update_display(&self, id: &DisplayId, data: MimeBundle) {
        self.send("update_display_data", shown(data, Some(id)));
    }

    /// Removes what the cell has shown; with `wait`, only once something new is shown.
    pub fn clear_output(&self, wait: bool) {
        self.send("clear_output", json!({ "wait": wait }));
    }

    /// Shows the cell's result, with its number as `Out [n]`.
    pub fn result(&self, data: MimeBundle) {
        if let Some(text) = data.get("text/plain").and_then(Value::as_str) {
            *self.last_result() = Some(text.to_owned());
        }
        let mut content = json!({
            "execution_count": self.shared.execution_count,
            "metadata": {},
        });
        content["data"] = Value::Object(data);
        self.send("execute_result", content);
    }

    /// Asks the person at the client for a line; a password is not shown while it is typed.
    pub async fn input(&self, prompt: &str, password: bool) -> Result<String, InputError> {
        let (Sink::Client(kernel), Some(identities)) = (&self.shared.sink, &self.shared.ask) else {
            return Err(InputError::NotAllowed);
        };
        // What was printed before the question should be seen before it.
        kernel.iopub.flush().await;
        let parent = self.shared.parent.clone();
        kernel.stdin.ask(identities, parent, prompt, password).await
    }

    /// Returns once the client has interrupted since the cell began, and at once where it had already.
    pub async fn interrupted(&self) {
        // A clone has seen what this one has: nothing since the cell began.
        let mut interrupts = self.shared.interrupts.clone();
        if interrupts.changed().await.is_err() {
            // The kernel has ended, and nobody can interrupt any more.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the client has interrupted since the cell began.
    pub fn is_interrupted(&self) -> bool {
        self.shared.interrupts.has_changed().unwrap_or(false)
    }

    /// Opens a comm with every client that knows its target; `None` where nobody listens.
    pub fn open_comm(&self, target: &str, message: impl Into<CommMessage>) -> Option<Comm> {
        let Sink::Client(kernel) = &self.shared.sink else { return None };
        Some(kernel.comms.open(self.shared.parent.clone(), target, message.into()))
    }

    /// The cells of this session that were stored, oldest first, each with its number.
    pub fn history(&self) -> Vec<(u32, String)> {
        match &self.shared.sink {
            Sink::Client(kernel) => kernel.history().inputs(),
            Sink::Recording(_) => Vec::new(),
        }
    }

    /// Takes the text of the last result.
    pub(crate) fn take_result(&self) -> Option<String> {
        self.last_result().take()
    }

    fn last_result(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        let result = self.shared.result.lock();
        result.unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, stream: Stream, text: &str) {
        if self.shared.silent {
            return;
        }
        match &self.shared.sink {
            Sink::Client(kernel) => kernel.iopub.print(&self.shared.parent, stream, text),
            Sink::Recording(recording) => {
                let content = json!({ "name": stream.name(), "text": text });
                recording.lock().push(("stream".to_owned(), content));
            }
        }
    }

    fn send(&self, msg_type: &str, content: Value) {
        if self.shared.silent {
            return;
        }
        match &self.shared.sink {
            Sink::Client(kernel) => kernel.iopub.send(msg_type, self.shared.parent.clone(), content),
            Sink::Recording(recording) => recording.lock().push((msg_type.to_owned(), content)),
        }
    }
}

fn shown(data: MimeBundle, id: Option<&DisplayId>) -> Value {
    let mut transient = Map::new();
    if let Some(id) = id {
        transient.insert("display_id".to_owned(), json!(id.0));
    }
    let mut content = json!({ "metadata": {}, "transient": transient });
    content["data"] = Value::Object(data);
    content
}
