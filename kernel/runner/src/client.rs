//! Talking to the runner of a lab, from another process.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::lock::{Holder, Lock};
use crate::protocol::{Request, Response};
use crate::{Paths, RunnerError};

/// A connection to the runner of a lab.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the lab's runner; `None` where none runs.
    ///
    /// # Errors
    /// Where the socket is there and cannot be used.
    pub async fn connect(paths: &Paths) -> Result<Option<Self>, RunnerError> {
        let socket = paths.socket();
        match UnixStream::connect(&socket).await {
            Ok(stream) => Ok(Some(Self { stream: BufReader::new(stream) })),
            // The second is a socket that a killed runner left behind, the third one whose runner dies just now.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(RunnerError::io("connect to", &socket)(e)),
        }
    }

    /// Has a runner end that has nothing to do, and waits until it is gone; one that has is left alone.
    pub async fn retire(mut self) {
        if self.request(&Request::Retire).await.is_ok() {
            self.until_gone().await;
        }
    }

    /// Waits until the runner, which says nothing more, is gone: its process ends, and with it this stream.
    async fn until_gone(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new()).await;
    }

    /// Who holds the lab, by its lock file, whether it answers or not.
    pub fn holder(paths: &Paths) -> Option<Holder> {
        Lock::holder(&paths.lock())
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`RunnerError::Told`] is what the runner said; after [`RunnerError::Ending`] another runner may be asked the
    /// same; others say that it could not be asked.
    pub async fn request(&mut self, request: &Request) -> Result<Response, RunnerError> {
        let unreadable = |e: serde_json::Error| RunnerError::Protocol(e.to_string());
        // A runner that ends while this waits to be let in never reads it, and the system says so by these two.
        let gone = |e: io::Error| match e.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => RunnerError::Ending,
            _ => RunnerError::Protocol(format!("the runner is gone: {e}")),
        };
        let mut line = serde_json::to_vec(request).map_err(unreadable)?;
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(gone)?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).await.map_err(gone)? == 0 {
            return Err(gone(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_str(&answer).map_err(unreadable)? {
            Response::Ending => {
                self.until_gone().await;
                Err(RunnerError::Ending)
            }
            Response::Error { message, hint, code } => Err(RunnerError::Told { message, hint, code }),
            response => Ok(response),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::net::UnixListener;

    use super::*;

    /// A client, and the runner that does not let it in.
    async fn connected(folder: &std::path::Path) -> (Client, UnixListener) {
        let socket = folder.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let stream = UnixStream::connect(&socket).await.unwrap();
        (Client { stream: BufReader::new(stream) }, listener)
    }

    #[tokio::test]
    async fn a_runner_that_ended_before_it_read_was_ending() {
        let folder = tempfile::tempdir().unwrap();
        let (mut client, listener) = connected(folder.path()).await;
        drop(listener);
        assert!(matches!(client.request(&Request::Pause).await, Err(RunnerError::Ending)));
    }

    #[tokio::test]
    async fn so_was_one_that_ended_while_it_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (mut client, listener) = connected(folder.path()).await;
        let (asked, ()) = tokio::join!(client.request(&Request::Pause), async { drop(listener) });
        assert!(matches!(asked, Err(RunnerError::Ending)));
    }

    #[tokio::test]
    async fn one_that_has_read_and_not_answered_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut client, listener) = connected(folder.path()).await;
        let read = async {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.read_line(&mut String::new()).await.unwrap();
        };
        let (asked, ()) = tokio::join!(client.request(&Request::Pause), read);
        assert!(matches!(asked, Err(RunnerError::Protocol(_))));
    }
}
