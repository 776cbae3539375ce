//! What shell and control share: the session's state, and the requests that both answer.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{
    comm::{CommMessage, Comms},
    history::History,
    iopub::IoPub,
    isolate::{self, isolate},
    language::{Completeness, Failure, Language},
    requests::{
        CodeRequest, CommInfoRequest, CommRequest, CursorRequest, HistoryRequest, ShutdownRequest, read,
    },
    router::Replies,
    session::Session,
    stdin::Stdin,
    usage::Usage,
    wire::{Message, VERSION},
};

/// How long it may take to shut down; Jupyter kills a kernel after five.
const SHUTDOWN: Duration = Duration::from_secs(3);

pub(crate) struct Kernel {
    pub(crate) language: Arc<dyn Language>,
    pub(crate) session: Arc<Session>,
    pub(crate) iopub: IoPub,
    pub(crate) stdin: Arc<Stdin>,
    history: Mutex<History>,
    pub(crate) comms: Comms,
    usage: Arc<Usage>,
    /// The number of the next cell that is stored.
    pub(crate) next_count: AtomicU32,
    /// How often clients have interrupted.
    pub(crate) interrupts: watch::Sender<u64>,
    /// The language has been told to shut down.
    ending: AtomicBool,
    /// True once nothing remains to be answered.
    stopped: watch::Sender<bool>,
}

impl Kernel {
    pub(crate) fn new(
        language: Arc<dyn Language>,
        session: Arc<Session>,
        iopub: IoPub,
        stdin: Arc<Stdin>,
        history: History,
    ) -> Self {
        Self {
            language,
            session,
            comms: Comms::new(iopub.clone()),
            iopub,
            stdin,
            history: Mutex::new(history),
            usage: Arc::default(),
            next_count: AtomicU32::new(1),
            interrupts: watch::Sender::new(0),
            ending: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
        }
    }

    pub(crate) fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work of a request between `busy` and `idle`, and sends its reply. Whatever happens in
    /// the work, even a panic, the client sees `idle`.
    pub(crate) async fn serve<W>(&self, request: &Message, replies: &Replies, work: W)
    where
        W: Future<Output = Option<Value>>,
    {
        self.iopub.status(request.as_parent(), "busy");
        let content = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(content) => content,
            Err(panic) => {
                let what = isolate::message(panic.as_ref());
                tracing::error!(msg_type = request.msg_type(), what, "a request panicked");
                Some(failed(&Failure::new("KernelPanic", &what)))
            }
        };
        if let Some(content) = content {
            let msg_type = reply_type(request.msg_type());
            let reply = self.session.reply(request, &msg_type, content);
            replies.send(&reply).await;
        }
        self.iopub.status(request.as_parent(), "idle");
        if self.ending.load(Ordering::Acquire) && request.msg_type() == "shutdown_request" {
            self.stopped.send_replace(true);
        }
    }

    /// The content of the reply to a request that any channel may carry, if it has one.
    pub(crate) async fn answer(&self, request: &Message) -> Option<Value> {
        let answer = match request.msg_type() {
            "kernel_info_request" => Ok(self.info().await),
            "complete_request" => self.complete(request).await,
            "inspect_request" => self.inspect(request).await,
            "is_complete_request" => self.is_complete(request).await,
            "history_request" => read::<HistoryRequest>(request)
                .map(|asked| json!({"status": "ok", "history": self.history().answer(&asked)})),
            "comm_info_request" => read::<CommInfoRequest>(request)
                .map(|asked| json!({"status": "ok", "comms": self.comms.info(asked.target_name.as_deref())})),
            "comm_open" | "comm_msg" | "comm_close" => {
                self.comm(request).await;
                return None;
            }
            "usage_request" => Ok(self.usage().await),
            "shutdown_request" => self.shutdown(request).await,
            other => {
                tracing::warn!(msg_type = other, "a message of unknown type");
                return None;
            }
        };
        Some(answer.unwrap_or_else(|failure| failed(&failure)))
    }

    /// Ends the cells that run, in every shell.
    pub(crate) fn interrupt(&self) {
        self.interrupts.send_modify(|count| *count += 1);
        self.stdin.interrupt();
    }

    /// Has the language put its things in order.
    pub(crate) async fn stop(&self, restart: bool) {
        if self.ending.swap(true, Ordering::AcqRel) {
            return;
        }
        self.interrupt();
        let language = Arc::clone(&self.language);
        let ended = isolate("shutdown", async move { language.shutdown(restart).await });
        match timeout(SHUTDOWN, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => tracing::error!(panic, "the shutdown panicked"),
            Err(_) => tracing::warn!("the language takes too long to shut down"),
        }
    }

    /// Returns when a client's request to end has been answered.
    pub(crate) async fn stopped(&self) {
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    async fn shutdown(&self, request: &Message) -> Result<Value, Failure> {
        let asked: ShutdownRequest = read(request)?;
        self.stop(asked.restart).await;
        let content = json!({"status": "ok", "restart": asked.restart});
        // Every client of the kernel should know, not only the one that asked.
        self.iopub.announce("shutdown_reply", request.as_parent(), content.clone());
        Ok(content)
    }

    async fn info(&self) -> Value {
        let language = Arc::clone(&self.language);
        let info = match isolate("info", async move { language.info() }).await {
            Ok(info) => info,
            Err(panic) => return failed(&Failure::new("KernelPanic", &panic)),
        };
        json!({
            "status": "ok",
            "protocol_version": VERSION,
            "implementation": info.implementation,
            "implementation_version": info.implementation_version,
            "language_info": info.language,
            "banner": info.banner,
            "debugger": false,
            "help_links": info.help_links,
            "supported_features": ["kernel subshells"],
        })
    }

    async fn complete(&self, request: &Message) -> Result<Value, Failure> {
        let asked: CursorRequest = read(request)?;
        let language = Arc::clone(&self.language);
        let found = isolate("complete", async move { language.complete(&asked.code, asked.cursor()).await });
        let found = found.await.map_err(panicked)?;
        Ok(json!({
            "status": "ok",
            "matches": found.matches,
            "cursor_start": found.start,
            "cursor_end": found.end,
            "metadata": found.metadata,
        }))
    }

    async fn inspect(&self, request: &Message) -> Result<Value, Failure> {
        let asked: CursorRequest = read(request)?;
        let language = Arc::clone(&self.language);
        let found = isolate("inspect", async move {
            let (cursor, detail) = (asked.cursor(), asked.detail_level);
            language.inspect(&asked.code, cursor, detail).await
        });
        let found = found.await.map_err(panicked)?;
        Ok(json!({
            "status": "ok",
            "found": found.is_some(),
            "data": found.unwrap_or_default(),
            "metadata": {},
        }))
    }

    async fn is_complete(&self, request: &Message) -> Result<Value, Failure> {
        let asked: CodeRequest = read(request)?;
        let language = Arc::clone(&self.language);
        let complete = isolate("is_complete", async move { language.is_complete(&asked.code).await });
        Ok(match complete.await.map_err(panicked)? {
            Completeness::Complete => json!({"status": "complete", "indent": ""}),
            Completeness::Incomplete { indent } => {
                json!({"status": "incomplete", "indent": indent})
            }
            Completeness::Invalid => json!({"status": "invalid", "indent": ""}),
            Completeness::Unknown => json!({"status": "unknown", "indent": ""}),
        })
    }

    /// Hands what came over a comm to the language. A comm that nobody takes is closed, as the protocol
    /// asks; what comes for one that is not open is dropped.
    async fn comm(&self, request: &Message) {
        let Ok(asked) = read::<CommRequest>(request) else { return };
        let parent = request.as_parent();
        let (kind, id) = (request.msg_type().to_owned(), asked.comm_id);
        let comm = match kind.as_str() {
            "comm_open" => Some(self.comms.insert(parent, id, asked.target_name)),
            _ => self.comms.get(parent, &id),
        };
        let Some(comm) = comm else {
            tracing::warn!(kind, "a message for a comm that is not open was dropped");
            return;
        };
        let message = CommMessage {
            data: asked.data,
            metadata: request.metadata.clone(),
            buffers: request.buffers.clone(),
        };
        let (language, handed) = (Arc::clone(&self.language), comm.clone());
        let taken = isolate("comm", async move {
            match kind.as_str() {
                "comm_open" => language.comm_open(handed, message).await,
                "comm_close" => {
                    language.comm_close(handed.clone(), message).await;
                    false
                }
                _ => {
                    language.comm_message(handed, message).await;
                    true
                }
            }
        });
        match taken.await {
            Ok(true) => {}
            Ok(false) if request.msg_type() == "comm_close" => drop(self.comms.remove(comm.id())),
            Ok(false) => comm.close(json!({})),
            Err(panic) => {
                tracing::error!(panic, "the language panicked at a comm");
                comm.close(json!({}));
            }
        }
    }

    async fn usage(&self) -> Value {
        let usage = Arc::clone(&self.usage);
        match isolate("usage", async move { usage.answer() }).await {
            Ok(answer) => answer,
            Err(panic) => failed(&panicked(panic)),
        }
    }
}

/// The content of a reply that says that the request failed.
pub(crate) fn failed(failure: &Failure) -> Value {
    json!({
        "status": "error",
        "ename": failure.ename,
        "evalue": failure.evalue,
        "traceback": failure.traceback,
    })
}

/// What the client is told of a panic in the language.
#[allow(clippy::needless_pass_by_value)] // so that it fits `map_err`
pub(crate) fn panicked(message: String) -> Failure {
    tracing::error!(message, "the language panicked");
    Failure::new("Panic", &message)
}

fn reply_type(request: &str) -> String {
    let base = request.strip_suffix("_request").unwrap_or(request);
    format!("{base}_reply")
}
