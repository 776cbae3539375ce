//! The shell: requests in order, one at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};

use crate::{
    kernel::Kernel,
    router::{Incoming, Replies},
};

/// Requests that may wait here; beyond that they wait at the client.
const QUEUE: usize = 4096;

/// After a cell failed, what the client had already sent is let in from the network for this long.
const GRACE: Duration = Duration::from_millis(10);

/// Answers requests for ever.
pub(crate) async fn run(kernel: Arc<Kernel>, mut incoming: Incoming, replies: Replies) {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    // Reads ahead, so that a failed cell knows which cells were sent before the client could know.
    let reader = async move {
        loop {
            let request = incoming.next().await;
            let number = counter.fetch_add(1, Ordering::AcqRel) + 1;
            if sender.send((number, request)).await.is_err() {
                return;
            }
        }
    };
    let worker = async move {
        let mut abort_through = 0;
        while let Some((number, request)) = queue.recv().await {
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
    };
    tokio::join!(reader, worker);
}
