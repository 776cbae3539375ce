//! The two halves of a ROUTER socket as streams of messages.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use zeromq::{RouterRecvHalf, RouterSendHalf, RouterSocket, SocketRecv, SocketSend, ZmqMessage};

use crate::{
    connection::Channel,
    wire::{Message, Signer},
};

/// How long one client may keep a reply from being taken.
const SEND: Duration = Duration::from_secs(5);

/// Requests as they come in; what is no message, or wrongly signed, is logged and dropped.
pub(crate) struct Incoming {
    half: RouterRecvHalf,
    signer: Signer,
    channel: Channel,
}

/// Sends replies to whom their identities name.
#[derive(Clone)]
pub(crate) struct Replies {
    half: RouterSendHalf,
    signer: Signer,
    channel: Channel,
}

pub(crate) fn split(socket: RouterSocket, signer: &Signer, channel: Channel) -> (Incoming, Replies) {
    let (send, recv) = socket.split();
    let incoming = Incoming { half: recv, signer: signer.clone(), channel };
    let replies = Replies { half: send, signer: signer.clone(), channel };
    (incoming, replies)
}

impl Incoming {
    /// The next valid message.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            let frames = match self.half.recv().await {
                Ok(message) => message.into_vec(),
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "a message could not be received");
                    // An error that comes at once and again must not take a whole core.
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            match Message::decode(frames, &self.signer) {
                Ok(message) => return message,
                Err(error) => {
                    tracing::warn!(channel = %self.channel, %error, "a message was dropped");
                }
            }
        }
    }
}

impl Replies {
    /// Sends a message; a client that is gone or takes nothing loses it, which is logged.
    pub(crate) async fn send(&self, message: &Message) {
        let Ok(frames) = ZmqMessage::try_from(message.encode(&self.signer)) else {
            return;
        };
        let mut half = self.half.clone();
        let problem = match timeout(SEND, half.send(frames)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the client takes nothing".to_owned(),
        };
        tracing::warn!(channel = %self.channel, msg_type = message.msg_type(), problem, "a reply was not sent");
    }
}
