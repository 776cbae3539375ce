//! A server on the loopback that answers as it is told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer, to be sent whole or in part.
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    sent: usize,
}

impl Reply {
    /// `headers` each with their line end; the length is added.
    pub(super) fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        Self { head, body: body.to_vec(), sent: length }
    }

    /// Closes the connection after so many bytes of the body.
    pub(super) fn cut(mut self, sent: usize) -> Self {
        self.sent = sent.min(self.body.len());
        self
    }
}

pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` gets a request in lower-case headers, and the number of requests with the same method
    /// that came before it; it answers HEAD as GET, without the body.
    pub(super) fn start(answer: impl Fn(&str, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let method = request.split(' ').next().unwrap().to_owned();
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.iter().filter(|request| request.starts_with(&method)).count() - 1
                };
                let reply = answer(&request, number);
                let body = if method == "HEAD" { &[][..] } else { &reply.body[..reply.sent] };
                let _ = stream.write_all(reply.head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        Self { url, requests }
    }

    /// What was asked, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let mut request = lines.next()?.ok()?;
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        request = format!("{request}\n{}:{value}", name.to_lowercase());
    }
    Some(request)
}

/// Where the range of bytes begins that a request asks for.
pub(super) fn range(request: &str) -> Option<usize> {
    let (_, rest) = request.split_once("range: bytes=")?;
    rest.split('-').next()?.parse().ok()
}
