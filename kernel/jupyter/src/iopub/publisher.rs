//! The task that owns the iopub socket: takes in subscribers, hands each message to all of them.

use std::{collections::HashMap, io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Envelope, IoPub, Tuning,
    outbox::{Drain, Outbox, Verdict},
    queue::Item,
    zmtp::{self, Incoming},
};

/// How long a new connection may take to say what it is.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the clients have to take the last messages before the kernel exits.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many may subscribe at once; a kernel has one or two.
const MAX_SUBSCRIBERS: usize = 256;

/// Where subscribers connect to, bound but not yet in a runtime.
pub(crate) enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// What the connections' tasks tell the publisher, by the number of the connection.
enum Event {
    Heard(u64, Incoming),
    Joined(u64, Outbox),
    Left(u64),
}

struct Subscriber {
    topics: Vec<Bytes>,
    outbox: Outbox,
}

pub(super) struct Publisher {
    iopub: IoPub,
    tuning: Tuning,
    subscribers: HashMap<u64, Subscriber>,
    connections: JoinSet<()>,
    writers: JoinSet<()>,
}

impl Publisher {
    pub(super) fn new(iopub: IoPub, tuning: Tuning) -> Self {
        Self {
            iopub,
            tuning,
            subscribers: HashMap::new(),
            connections: JoinSet::new(),
            writers: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, listener: Listener) {
        let acceptor = match Acceptor::new(listener) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(%error, "the iopub socket cannot be used");
                return;
            }
        };
        let (events, mut heard) = mpsc::channel(64);
        let (drains, mut to_write) = mpsc::channel(8);
        let mut number = 0;
        loop {
            tokio::select! {
                biased;
                accepted = acceptor.accept() => match accepted {
                    Ok(stream) => {
                        number += 1;
                        let connection = Connection { number, events: events.clone(), drains: drains.clone() };
                        self.connections.spawn(connection.run(stream, self.tuning.limit));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: others may free some.
                        tracing::warn!(%error, "a subscriber could not be accepted");
                        sleep(Duration::from_millis(50)).await;
                    }
                },
                Some((drain, stream)) = to_write.recv() => {
                    let (drain, stream): (Drain, WriteHalf) = (drain, stream);
                    self.writers.spawn(drain.run(stream));
                }
                Some(event) = heard.recv() => self.hear(event).await,
                Some(_) = self.connections.join_next() => {}
                Some(_) = self.writers.join_next() => {}
                item = self.iopub.queue.next() => match item {
                    Some(item) => self.publish(item).await,
                    None => break,
                },
            }
        }
        self.subscribers.clear();
        let farewell = async { while self.writers.join_next().await.is_some() {} };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("a client did not take the last messages");
        }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Joined(number, outbox) if self.subscribers.len() < MAX_SUBSCRIBERS => {
                let topics = Vec::new();
                self.subscribers.insert(number, Subscriber { topics, outbox });
            }
            Event::Joined(..) => tracing::warn!("too many subscribers, one is turned away"),
            Event::Left(number) => {
                self.subscribers.remove(&number);
            }
            Event::Heard(number, incoming) => {
                let Some(subscriber) = self.subscribers.get_mut(&number) else {
                    return;
                };
                let answer = match incoming {
                    Incoming::Subscribe(topic) => {
                        let welcome = self.iopub.welcome(&topic);
                        subscriber.topics.push(topic);
                        zmtp::message(&welcome.frames)
                    }
                    Incoming::Unsubscribe(topic) => {
                        if let Some(at) = subscriber.topics.iter().position(|t| *t == topic) {
                            subscriber.topics.swap_remove(at);
                        }
                        return;
                    }
                    Incoming::Ping(pong) => pong,
                    Incoming::Other => return,
                };
                if subscriber.outbox.put(&answer, true, self.tuning.stall).await == Verdict::Drop {
                    self.subscribers.remove(&number);
                }
            }
        }
    }

    async fn publish(&mut self, item: Item) {
        let envelope = match item {
            Item::Ready(ready) => ready.envelope,
            Item::Text { parent, stream, text, .. } => self.iopub.stream(parent, stream, text),
            Item::Flushed(sender) => {
                let _ = sender.send(());
                return;
            }
        };
        self.deliver(&envelope).await;
    }

    async fn deliver(&mut self, envelope: &Envelope) {
        let Some(topic) = envelope.frames.first() else {
            return;
        };
        let message = zmtp::message(&envelope.frames);
        let mut gone = Vec::new();
        for (number, subscriber) in &mut self.subscribers {
            if !subscriber.topics.iter().any(|t| topic.starts_with(t)) {
                continue;
            }
            let put = subscriber.outbox.put(&message, envelope.must, self.tuning.stall);
            if put.await == Verdict::Drop {
                gone.push(*number);
            }
        }
        for number in gone {
            self.subscribers.remove(&number);
        }
    }
}

type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Socket {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Acceptor {
    fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

/// One client's connection, until it ends.
struct Connection {
    number: u64,
    events: mpsc::Sender<Event>,
    drains: mpsc::Sender<(Drain, WriteHalf)>,
}

impl Connection {
    async fn run(self, mut socket: Socket, limit: usize) {
        let greeted = match &mut socket {
            Socket::Tcp(stream) => timeout(HANDSHAKE, zmtp::handshake(stream)).await,
            Socket::Unix(stream) => timeout(HANDSHAKE, zmtp::handshake(stream)).await,
        };
        match greeted {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tracing::warn!(%error, "a peer of iopub is no subscriber"),
            Err(_) => return tracing::warn!("a peer of iopub did not say what it is"),
        }
        let (mut read, write): (ReadHalf, WriteHalf) = match socket {
            Socket::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            Socket::Unix(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
        };
        let (outbox, drain) = Outbox::new(limit);
        if self.drains.send((drain, write)).await.is_err()
            || self.tell(Event::Joined(self.number, outbox)).await.is_err()
        {
            return;
        }
        while let Ok(incoming) = zmtp::read(&mut read).await {
            if self.tell(Event::Heard(self.number, incoming)).await.is_err() {
                return;
            }
        }
        let _ = self.tell(Event::Left(self.number)).await;
    }

    async fn tell(&self, event: Event) -> Result<(), mpsc::error::SendError<Event>> {
        self.events.send(event).await
    }
}
