//! A small Jupyter client: real zeromq sockets, our own framing, a time limit on every wait. It is strict:
//! a message that no test has looked at fails the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{cell::RefCell, future::Future, sync::Arc, thread, time::Duration};

use jupyter::{
    Channel, Connection, ConnectionInfo, JupyterError, Language, Options, Transport, serve,
    wire::{Header, Message, Parent, Signer},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use zeromq::{
    DealerSocket, Socket, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqMessage, util::PeerIdentity,
};

const LIMIT: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(20);

pub struct Client {
    pub shell: DealerSocket,
    pub control: DealerSocket,
    pub stdin: DealerSocket,
    pub iopub: SubSocket,
    pub connection: Connection,
    pub kernel: JoinHandle<Result<(), JupyterError>>,
    pub signer: Signer,
    sent: u64,
    _folder: TempDir,
}

/// A reply and what was published for its request, `busy` and `idle` left out.
#[derive(Debug)]
pub struct Answer {
    pub reply: Value,
    published: Vec<Message>,
    /// What was printed to which stream the test knows; `None` once it has looked at everything.
    looked_at: RefCell<Option<Vec<String>>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(streams) = self.looked_at.take() else { return };
        let unseen: Vec<&Message> = self
            .published
            .iter()
            .filter(|message| match message.msg_type() {
                "execute_input" => false,
                "stream" => !streams.iter().any(|name| message.content["name"] == name.as_str()),
                "error" => self.reply["status"] != "error",
                _ => true,
            })
            .collect();
        assert!(unseen.is_empty() || thread::panicking(), "nobody looked at {unseen:?}");
    }
}

impl Answer {
    /// Everything that was published.
    pub fn published(&self) -> &[Message] {
        self.looked_at.replace(None);
        &self.published
    }

    /// `[type, content]` of each published message.
    pub fn outputs(&self) -> Value {
        self.published().iter().map(|message| json!([message.msg_type(), message.content])).collect()
    }

    /// All that was printed to a stream.
    pub fn printed(&self, stream: &str) -> String {
        if let Some(looked_at) = &mut *self.looked_at.borrow_mut() {
            looked_at.push(stream.to_owned());
        }
        self.published
            .iter()
            .filter(|message| message.msg_type() == "stream" && message.content["name"] == stream)
            .filter_map(|message| message.content["text"].as_str())
            .collect()
    }
}

pub fn ipc(folder: &TempDir) -> ConnectionInfo {
    ConnectionInfo {
        ip: folder.path().join("k").display().to_string(),
        transport: Transport::IPC,
        shell_port: 1,
        iopub_port: 2,
        stdin_port: 3,
        control_port: 4,
        hb_port: 5,
        key: "a-key".to_owned(),
        signature_scheme: "hmac-sha256".to_owned(),
        kernel_name: None,
    }
}

pub fn options() -> Options {
    Options { username: "tester".to_owned(), parent_pid: None, history: None, signals: false }
}

impl Client {
    pub async fn start(language: impl Language) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let info = ipc(&folder);
        Self::start_on(language, info, options(), folder).await
    }

    pub async fn start_on(
        language: impl Language,
        info: ConnectionInfo,
        options: Options,
        folder: TempDir,
    ) -> Self {
        let connection = Connection::new(info).unwrap();
        let kernel = tokio::spawn(serve(connection.clone(), Arc::new(language), options));
        // connect() tries until the kernel listens.
        let identified = || {
            let mut options = SocketOptions::default();
            options.peer_identity("client".parse::<PeerIdentity>().unwrap());
            DealerSocket::with_options(options)
        };
        let mut iopub = SubSocket::new();
        within(connect(&mut iopub, &connection, Channel::IoPub)).await;
        within(iopub.subscribe("")).await.unwrap();
        let mut client = Self {
            shell: identified(),
            control: identified(),
            stdin: identified(),
            iopub,
            signer: connection.signer(),
            connection,
            kernel,
            sent: 0,
            _folder: folder,
        };
        let connection = client.connection.clone();
        within(connect(&mut client.shell, &connection, Channel::Shell)).await;
        within(connect(&mut client.control, &connection, Channel::Control)).await;
        within(connect(&mut client.stdin, &connection, Channel::Stdin)).await;
        loop {
            let message = client.published().await;
            if message.msg_type() == "iopub_welcome" {
                assert_eq!(message.content, json!({"subscription": ""}));
                return client;
            }
            assert_eq!(message.content, json!({"execution_state": "starting"}));
        }
    }

    pub fn message(&mut self, msg_type: &str, content: Value) -> Message {
        self.sent += 1;
        let msg_id = format!("m{}", self.sent);
        let header = Header::new(&msg_id, "s", "u", msg_type, "2026-11-21T09:00:00.000000Z");
        Message::new(header, Parent::none(), content)
    }

    pub async fn send(&mut self, channel: Channel, message: &Message) {
        let frames = message.encode(&self.signer);
        self.send_frames(channel, frames).await;
    }

    pub async fn send_frames(&mut self, channel: Channel, frames: Vec<bytes::Bytes>) {
        let frames = ZmqMessage::try_from(frames).unwrap();
        within(self.socket(channel).send(frames)).await.unwrap();
    }

    /// Sends a request and returns its id.
    pub async fn request(&mut self, channel: Channel, msg_type: &str, content: Value) -> String {
        let message = self.message(msg_type, content);
        self.send(channel, &message).await;
        message.header().msg_id.clone()
    }

    pub async fn receive(&mut self, channel: Channel) -> Message {
        let signer = self.signer.clone();
        let frames = within(self.socket(channel).recv()).await.unwrap();
        Message::decode(frames.into_vec(), &signer).unwrap()
    }

    pub async fn published(&mut self) -> Message {
        let frames = within(self.iopub.recv()).await.unwrap();
        Message::decode(frames.into_vec(), &self.signer).unwrap()
    }

    /// What is published for a request, from its `busy` to its `idle`; nothing else may come between.
    pub async fn published_for(&mut self, msg_id: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut busy = false;
        loop {
            let message = self.published().await;
            assert_eq!(message.parent.msg_id().as_deref(), Some(msg_id), "{message:?}");
            match message.content["execution_state"].as_str() {
                Some("busy") if !busy => busy = true,
                Some("idle") if busy => return messages,
                Some(state) => panic!("{state} at the wrong time"),
                None => {
                    assert!(busy, "published before busy: {message:?}");
                    messages.push(message);
                }
            }
        }
    }

    /// Sends a request, receives its reply and all that is published for it.
    pub async fn ask(&mut self, channel: Channel, msg_type: &str, content: Value) -> Answer {
        let msg_id = self.request(channel, msg_type, content).await;
        let published = self.published_for(&msg_id).await;
        let reply = self.receive(channel).await;
        assert_eq!(reply.parent.msg_id(), Some(msg_id));
        assert_eq!(reply.msg_type(), msg_type.replace("_request", "_reply"));
        Answer { reply: reply.content, published, looked_at: RefCell::new(Some(Vec::new())) }
    }

    pub async fn execute(&mut self, code: &str) -> Answer {
        self.ask(Channel::Shell, "execute_request", json!({"code": code})).await
    }

    /// Sees that the kernel lives: a cell is echoed. Returns its number.
    pub async fn echoes(&mut self, code: &str) -> Value {
        let answer = self.execute(code).await;
        let number = answer.reply["execution_count"].clone();
        let input = json!({"code": code, "execution_count": number});
        let result = json!({"execution_count": number, "metadata": {}, "data": {"text/plain": code}});
        assert_eq!(answer.outputs(), json!([["execute_input", input], ["execute_result", result]]));
        number
    }

    /// Asks for the shutdown and waits until the kernel has ended.
    pub async fn shut_down(mut self) {
        let content = json!({"restart": false});
        let answer = self.ask(Channel::Control, "shutdown_request", content).await;
        assert_eq!(answer.reply, json!({"status": "ok", "restart": false}));
        assert_eq!(answer.outputs(), json!([["shutdown_reply", answer.reply]]));
        within(&mut self.kernel).await.unwrap().unwrap();
        // The kernel has sent everything that it had: what is here now, the test has passed over.
        for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
            let left = timeout(MOMENT, self.socket(channel).recv()).await;
            assert!(!matches!(left, Ok(Ok(_))), "nobody looked at what came on {channel}: {left:?}");
        }
        let left = timeout(MOMENT, self.iopub.recv()).await;
        assert!(!matches!(left, Ok(Ok(_))), "nobody looked at what was published: {left:?}");
    }

    fn socket(&mut self, channel: Channel) -> &mut DealerSocket {
        match channel {
            Channel::Shell => &mut self.shell,
            Channel::Control => &mut self.control,
            Channel::Stdin => &mut self.stdin,
            Channel::IoPub | Channel::Heartbeat => panic!("not a dealer"),
        }
    }
}

/// Connects as soon as the kernel listens.
pub async fn connect(socket: &mut impl Socket, connection: &Connection, channel: Channel) {
    let endpoint = connection.endpoint(channel);
    while let Err(error) = socket.connect(&endpoint).await {
        assert!(error.to_string().contains("os error 2"), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Fails the test where something takes too long.
pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("the kernel should have answered by now")
}
