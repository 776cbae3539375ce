//! Shells: requests in order, one at a time. The main one, and the subshells that clients make beside
//! it (JEP 91): a cell that runs in one does not hold up the others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use crate::{
    kernel::{Kernel, failed},
    language::Failure,
    requests::{SubshellRequest, read},
    router::{Incoming, Replies},
    wire::Message,
};

/// Requests that may wait in a shell; beyond that they wait at the client.
const QUEUE: usize = 4096;

/// After a cell failed, what the client had already sent is let in from the network for this long.
const GRACE: Duration = Duration::from_millis(10);

/// The shells of a kernel, all on one socket: a request names its subshell in its header.
pub(crate) struct Shells {
    kernel: Arc<Kernel>,
    replies: Replies,
    main: Shell,
    others: Mutex<BTreeMap<String, Shell>>,
}

impl Shells {
    /// The main shell alone.
    pub(crate) fn new(kernel: &Arc<Kernel>, replies: Replies) -> Arc<Self> {
        let main = Shell::start(Arc::clone(kernel), replies.clone());
        Arc::new(Self { kernel: Arc::clone(kernel), replies, main, others: Mutex::default() })
    }

    /// Hands requests to their shells for ever. It reads ahead of them, so that a failed cell knows which
    /// cells were sent before the client could know.
    pub(crate) async fn run(self: Arc<Self>, mut incoming: Incoming) {
        loop {
            let request = incoming.next().await;
            match self.of(&request) {
                Ok(shell) => shell.take(request).await,
                Err(failure) => {
                    self.kernel.serve(&request, &self.replies, async { Some(failed(&failure)) }).await;
                }
            }
        }
    }

    /// Makes a subshell; `create_subshell_reply`.
    pub(crate) fn create(&self) -> Value {
        let id = Uuid::new_v4().to_string();
        let shell = Shell::start(Arc::clone(&self.kernel), self.replies.clone());
        self.others().insert(id.clone(), shell);
        json!({"status": "ok", "subshell_id": id})
    }

    /// Ends a subshell once it has done what it was given; `delete_subshell_reply`.
    pub(crate) fn delete(&self, request: &Message) -> Result<Value, Failure> {
        let asked: SubshellRequest = read(request)?;
        match self.others().remove(&asked.subshell_id) {
            Some(_) => Ok(json!({"status": "ok"})),
            None => Err(unknown(&asked.subshell_id)),
        }
    }

    /// Names the subshells; `list_subshell_reply`.
    pub(crate) fn list(&self) -> Value {
        let ids: Vec<String> = self.others().keys().cloned().collect();
        json!({"status": "ok", "subshell_id": ids})
    }

    fn of(&self, request: &Message) -> Result<Shell, Failure> {
        match request.header().extra.get("subshell_id") {
            None | Some(Value::Null) => Ok(self.main.clone()),
            Some(id) => {
                let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                self.others().get(&id).cloned().ok_or_else(|| unknown(&id))
            }
        }
    }

    fn others(&self) -> MutexGuard<'_, BTreeMap<String, Shell>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(id: &str) -> Failure {
    Failure::new("NoSuchSubshell", &format!("this kernel has no subshell {id}"))
}

/// The way into one shell; its work ends when the last of these is gone and all is answered.
#[derive(Clone)]
struct Shell {
    queue: mpsc::Sender<(u64, Message)>,
    received: Arc<AtomicU64>,
}

impl Shell {
    fn start(kernel: Arc<Kernel>, replies: Replies) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let received = Arc::new(AtomicU64::new(0));
        tokio::spawn(work(kernel, replies, waiting, Arc::clone(&received)));
        Self { queue, received }
    }

    async fn take(&self, request: Message) {
        let number = self.received.fetch_add(1, Ordering::AcqRel) + 1;
        if self.queue.send((number, request)).await.is_err() {
            tracing::error!("a request came to a shell that has ended");
        }
    }
}

/// Answers the requests of one shell.
async fn work(
    kernel: Arc<Kernel>,
    replies: Replies,
    mut waiting: mpsc::Receiver<(u64, Message)>,
    received: Arc<AtomicU64>,
) {
    let mut abort_through = 0;
    while let Some((number, request)) = waiting.recv().await {
        let work = async {
            if request.msg_type() != "execute_request" {
                return kernel.answer(&request).await;
            }
            if number <= abort_through {
                return Some(kernel.aborted());
            }
            let executed = kernel.execute(&request).await;
            if executed.abort_queued {
                // Before the reply: what the client sends after it is a new start.
                sleep(GRACE).await;
                abort_through = received.load(Ordering::Acquire);
            }
            Some(executed.content)
        };
        kernel.serve(&request, &replies, work).await;
    }
}
