//! What one subscriber has yet to be sent, and the task that sends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{Notify, mpsc},
    time::timeout,
};

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// Bytes that wait for one subscriber.
pub(super) struct Outbox {
    sender: mpsc::UnboundedSender<Bytes>,
    level: Arc<Level>,
    limit: usize,
    /// The subscriber stalled and has not caught up: it is sent what it must get, nothing else.
    lagging: bool,
    /// Bytes of what it must get that were put in while it lagged.
    owed: usize,
}

#[derive(Default)]
struct Level {
    bytes: AtomicUsize,
    fell: Notify,
}

/// Whether a subscriber is still worth having.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// It left, or lags so far that even what it must get has filled its outbox.
    Drop,
}

/// The receiving end of an outbox, for the task that writes to the client.
pub(super) struct Drain {
    receiver: mpsc::UnboundedReceiver<Bytes>,
    level: Arc<Level>,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> (Self, Drain) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let level = Arc::<Level>::default();
        let drain = Drain { receiver, level: Arc::clone(&level) };
        let outbox = Self { sender, level, limit, lagging: false, owed: 0 };
        (outbox, drain)
    }

    /// Puts a message in. Waits for room as long as the client takes something at least every `stall`.
    pub(super) async fn put(&mut self, message: &Bytes, must: bool, stall: Duration) -> Verdict {
        if self.lagging {
            self.lagging = self.bytes() > self.limit / 2;
        } else if !self.room(stall).await {
            tracing::warn!("a client has stopped reading: it will miss output until it has caught up");
            self.lagging = true;
            self.owed = 0;
        }
        if self.lagging {
            if !must {
                return Verdict::Keep;
            }
            self.owed += message.len();
            if self.owed > self.limit {
                return Verdict::Drop;
            }
        }
        self.level.bytes.fetch_add(message.len(), Ordering::AcqRel);
        match self.sender.send(message.clone()) {
            Ok(()) => Verdict::Keep,
            Err(_) => Verdict::Drop,
        }
    }

    fn bytes(&self) -> usize {
        self.level.bytes.load(Ordering::Acquire)
    }

    /// Whether there is room, now or after a wait in which the client went on reading.
    async fn room(&self, stall: Duration) -> bool {
        while self.bytes() > self.limit && !self.sender.is_closed() {
            if timeout(stall, self.level.fell.notified()).await.is_err() {
                return false;
            }
        }
        true
    }
}

impl Drain {
    /// Writes until the outbox is dropped and empty, or the client is gone.
    pub(super) async fn run<W: AsyncWrite + Unpin>(mut self, mut stream: W) {
        'messages: while let Some(message) = self.receiver.recv().await {
            // Piece by piece, so that progress within a large message is seen.
            for piece in message.chunks(PIECE) {
                if stream.write_all(piece).await.is_err() {
                    break 'messages;
                }
                self.level.bytes.fetch_sub(piece.len(), Ordering::AcqRel);
                self.level.fell.notify_one();
            }
        }
        self.receiver.close();
        self.level.fell.notify_one();
        let _ = stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::AsyncReadExt;

    use super::*;

    const STALL: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_stalled_client_gets_what_it_must_and_then_catches_up() {
        let (mut outbox, drain) = Outbox::new(10);
        let (ours, mut theirs) = tokio::io::duplex(1);
        let writer = tokio::spawn(drain.run(ours));
        let text = Bytes::from_static(b"twenty bytes of text");
        let status = Bytes::from_static(b"idle");
        assert_eq!(outbox.put(&text, false, STALL).await, Verdict::Keep);
        assert_eq!(outbox.put(&text, false, STALL).await, Verdict::Keep); // stalls, is dropped
        assert_eq!(outbox.put(&status, true, STALL).await, Verdict::Keep);
        let mut read = vec![0; 24];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(read, b"twenty bytes of textidle");
        while outbox.bytes() > 0 {
            outbox.level.fell.notified().await;
        }
        assert_eq!(outbox.put(&status, false, STALL).await, Verdict::Keep);
        drop(outbox);
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"idle");
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_left_or_never_reads_is_dropped() {
        let (mut outbox, drain) = Outbox::new(10);
        let (ours, theirs) = tokio::io::duplex(1);
        let writer = tokio::spawn(drain.run(ours));
        let status = Bytes::from_static(b"idle");
        let mut puts = 0;
        while outbox.put(&status, true, STALL).await == Verdict::Keep {
            puts += 1;
        }
        assert!((4..=6).contains(&puts), "{puts}");
        drop(theirs);
        writer.await.unwrap();
        let (mut outbox, drain) = Outbox::new(10);
        drop(drain);
        assert_eq!(outbox.put(&status, true, STALL).await, Verdict::Drop);
    }
}
