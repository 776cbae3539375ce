//! The one queue of what is to be published. Text that follows text of the same cell and stream is
//! merged into it, so that a flood of lines is a few large messages.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, oneshot};

use super::{Envelope, Tuning};
use crate::wire::Parent;

/// Text is not merged beyond this many bytes, and not held back once it has them.
const CHUNK: usize = 64 << 10;

/// Where printed text appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What the publisher takes from the queue.
pub(super) enum Item {
    Text { parent: Parent, stream: Stream, text: String, since: Instant },
    Ready(Ready),
    Flushed(oneshot::Sender<()>),
}

/// A message that is signed and serialised.
pub(super) struct Ready {
    pub(super) envelope: Envelope,
    bytes: usize,
}

impl Ready {
    pub(super) fn new(envelope: Envelope) -> Self {
        let bytes = envelope.frames.iter().map(bytes::Bytes::len).sum();
        Self { envelope, bytes }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Ready(ready) => ready.bytes,
            Self::Flushed(_) => 0,
        }
    }
}

pub(super) struct Queue {
    state: Mutex<State>,
    /// Writers wait here while the queue is full.
    room: Condvar,
    /// The publisher waits here while there is nothing to send.
    wake: Notify,
    tuning: Tuning,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(tuning: Tuning) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), wake: Notify::new(), tuning }
    }

    pub(super) fn print(&self, parent: &Parent, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut state = self.wait_for_room();
        if state.closed {
            return;
        }
        state.bytes += text.len();
        if let Some(Item::Text { parent: last_parent, stream: last_stream, text: last, .. }) =
            state.items.back_mut()
            && *last_stream == stream
            && last.len() < CHUNK
            && last_parent == parent
        {
            last.push_str(text);
            if last.len() >= CHUNK {
                self.wake.notify_one();
            }
            return;
        }
        state.items.push_back(Item::Text {
            parent: parent.clone(),
            stream,
            text: text.to_owned(),
            since: Instant::now(),
        });
        self.wake.notify_one();
    }

    pub(super) fn push(&self, ready: Ready) {
        let state = self.wait_for_room();
        self.append(state, Item::Ready(ready));
    }

    pub(super) fn push_now(&self, ready: Ready) {
        self.append(self.lock(), Item::Ready(ready));
    }

    pub(super) async fn flush(&self) {
        let (sender, receiver) = oneshot::channel();
        self.append(self.lock(), Item::Flushed(sender));
        // A closed queue drops the sender, which is as good as flushed.
        let _ = receiver.await;
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
        self.wake.notify_one();
    }

    /// The publisher is gone: nobody must wait for it.
    pub(super) fn abandon(&self) {
        self.lock().items.clear();
        self.close();
    }

    /// The next item, or none when the queue is closed and empty. May be cancelled without loss.
    pub(super) async fn next(&self) -> Option<Item> {
        loop {
            let due = {
                let mut state = self.lock();
                match Self::due(&state, self.tuning) {
                    Due::Now => {
                        let item = state.items.pop_front();
                        state.bytes -= item.as_ref().map_or(0, Item::bytes);
                        self.room.notify_all();
                        return item;
                    }
                    Due::Never => return None,
                    Due::When(when) => when,
                }
            };
            match due {
                Some(when) => {
                    let _ = tokio::time::timeout_at(when.into(), self.wake.notified()).await;
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Text that nothing follows is held back for a tick, as more may come.
    fn due(state: &State, tuning: Tuning) -> Due {
        match state.items.front() {
            None if state.closed => Due::Never,
            None => Due::When(None),
            Some(Item::Text { since, text, .. })
                if state.items.len() == 1
                    && !state.closed
                    && text.len() < CHUNK
                    && since.elapsed() < tuning.tick =>
            {
                Due::When(Some(*since + tuning.tick))
            }
            Some(_) => Due::Now,
        }
    }

    fn append(&self, mut state: MutexGuard<'_, State>, item: Item) {
        if state.closed {
            return;
        }
        state.bytes += item.bytes();
        state.items.push_back(item);
        self.wake.notify_one();
    }

    fn wait_for_room(&self) -> MutexGuard<'_, State> {
        let full = |state: &mut State| state.bytes >= self.tuning.limit && !state.closed;
        self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner)
    }

    // A writer that panics while it holds the lock has not left the queue half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Due {
    Now,
    When(Option<Instant>),
    Never,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{sync::Arc, thread, time::Duration};

    use super::*;

    fn queue(limit: usize) -> Arc<Queue> {
        Arc::new(Queue::new(Tuning { limit, ..Tuning::default() }))
    }

    fn text(item: Option<Item>) -> (&'static str, String) {
        match item {
            Some(Item::Text { stream, text, .. }) => (stream.name(), text),
            _ => panic!("not a text"),
        }
    }

    #[tokio::test]
    async fn text_of_one_stream_is_merged_and_order_is_kept() {
        let queue = queue(1 << 20);
        let parent = Parent::none();
        for (stream, line) in
            [(Stream::Stdout, "a"), (Stream::Stdout, "b"), (Stream::Stderr, "c"), (Stream::Stdout, "d")]
        {
            queue.print(&parent, stream, line);
        }
        queue.close();
        assert_eq!(text(queue.next().await), ("stdout", "ab".to_owned()));
        assert_eq!(text(queue.next().await), ("stderr", "c".to_owned()));
        assert_eq!(text(queue.next().await), ("stdout", "d".to_owned()));
        assert!(queue.next().await.is_none());
    }

    #[tokio::test]
    async fn writers_wait_for_room_and_lose_nothing() {
        let queue = queue(1000);
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for n in 0..5000 {
                    queue.print(&Parent::none(), Stream::Stdout, &format!("{n}\n"));
                    assert!(queue.lock().bytes < 1000 + 6);
                }
                queue.close();
            })
        };
        let mut all = String::new();
        while let Some(item) = queue.next().await {
            all.push_str(&text(Some(item)).1);
        }
        writer.join().unwrap();
        assert!(all.lines().eq((0..5000).map(|n| n.to_string())));
    }

    #[tokio::test]
    async fn closing_frees_writers_that_wait() {
        let queue = queue(10);
        queue.print(&Parent::none(), Stream::Stdout, "more than ten bytes");
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.print(&Parent::none(), Stream::Stdout, "late"))
        };
        queue.close();
        writer.join().unwrap();
        assert_eq!(text(queue.next().await).1, "more than ten bytes");
    }

    #[tokio::test]
    async fn without_a_publisher_nobody_waits() {
        let queue = queue(10);
        queue.print(&Parent::none(), Stream::Stdout, "more than ten bytes");
        let waits = queue.flush();
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        queue.abandon();
        waits.await;
        queue.flush().await;
        queue.print(&Parent::none(), Stream::Stdout, "more");
        assert!(queue.next().await.is_none());
    }

    #[tokio::test]
    async fn a_message_behind_text_makes_the_text_due_at_once() {
        let queue = Queue::new(Tuning { tick: Duration::from_hours(1), ..Tuning::default() });
        queue.print(&Parent::none(), Stream::Stdout, "x");
        queue.push_now(Ready::new(Envelope { frames: Vec::new(), must: true }));
        assert_eq!(text(queue.next().await).1, "x");
        assert!(matches!(queue.next().await, Some(Item::Ready(_))));
    }
}
