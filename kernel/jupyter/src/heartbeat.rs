//! Echoes what the client sends, so that it sees that the kernel lives.

use std::time::Duration;

use tokio::time::sleep;
use zeromq::{RouterSocket, SocketRecv, SocketSend};

/// Sends every message back as it came. A ROUTER rather than a REP: it echoes exactly and does not
/// lose its step when a client sends something odd.
pub(crate) async fn run(mut socket: RouterSocket) {
    loop {
        match socket.recv().await {
            Ok(message) => {
                if let Err(error) = socket.send(message).await {
                    tracing::debug!(%error, "a heartbeat was not answered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a heartbeat could not be received");
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
