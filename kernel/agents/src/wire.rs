//! JSON-RPC in lines, over the pipes of a process.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{AgentError, Log};

/// A line longer than this, in bytes, is not waited for.
const LONGEST: usize = 64 << 20;
/// A line on standard error longer than this, in bytes, is told in parts.
const PART: u64 = 8 << 10;
/// How long an agent that closed its standard output may take to end.
const END: Duration = Duration::from_secs(1);
/// So many lines of noise (`npm warn …`) are passed over before the agent is given up.
const NOISE: usize = 100;

/// A request, a notification or an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: Option<Value>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) params: Value,
    #[serde(default)]
    pub(crate) result: Value,
    pub(crate) error: Option<Refusal>,
}

/// An answer that is none.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    message: String,
    #[serde(default)]
    data: Value,
}

impl Refusal {
    pub(crate) fn text(&self) -> String {
        match &self.data {
            Value::Null => cut(&self.message, 500),
            data => cut(&format!("{}: {data}", self.message), 500),
        }
    }
}

/// The pipes of an agent.
#[derive(Debug)]
pub(crate) struct Wire {
    child: Child,
    out: mpsc::UnboundedSender<String>,
    lines: BufReader<ChildStdout>,
    errors: JoinHandle<()>,
    /// What was read of a line that is not whole yet: reading may be cancelled at any time.
    partial: Vec<u8>,
    noise: usize,
}

impl Wire {
    /// `None` where one of the pipes is not there.
    pub(crate) fn new(mut child: Child, log: &Log) -> Option<Self> {
        let (mut stdin, stdout, stderr) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let (out, mut queue) = mpsc::unbounded_channel::<String>();
        // In a task of its own: an agent that writes while it is written to must not block us.
        tokio::spawn(async move {
            while let Some(line) = queue.recv().await {
                if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                    break;
                }
            }
        });
        let errors = tokio::spawn(tell(stderr, Log::clone(log)));
        Some(Self { child, out, lines: BufReader::new(stdout), errors, partial: Vec::new(), noise: 0 })
    }

    /// Writes a message. Where nobody reads it any more, reading will say so.
    pub(crate) fn send(&self, message: &Value) {
        let _ = self.out.send(format!("{message}\n"));
    }

    /// The next message. May be cancelled: nothing is lost.
    pub(crate) async fn message(&mut self) -> Result<Message, AgentError> {
        loop {
            let line = self.line().await?;
            let line = String::from_utf8_lossy(&line);
            match serde_json::from_str(&line) {
                Ok(message) => return Ok(message),
                Err(_) if !line.trim_start().starts_with('{') && self.noise < NOISE => {
                    self.noise += 1;
                    tracing::debug!(line = %cut(&line, 200), "an agent wrote noise on its standard output");
                }
                Err(error) => return Err(AgentError::Malformed(format!("{error}: {}", cut(&line, 200)))),
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, AgentError> {
        loop {
            let read = self.lines.fill_buf().await.map_err(|error| AgentError::Ended(error.to_string()))?;
            if read.is_empty() {
                let status = tokio::time::timeout(END, self.child.wait()).await;
                // Its last words say why; what it left behind may hold the pipe open.
                let _ = tokio::time::timeout(END, &mut self.errors).await;
                return Err(AgentError::Ended(match status {
                    Ok(Ok(status)) => status.to_string(),
                    _ => "it closed its standard output".to_owned(),
                }));
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(read.len());
            self.partial.extend_from_slice(&read[..taken]);
            self.lines.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(std::mem::take(&mut self.partial));
            }
            if self.partial.len() > LONGEST {
                return Err(AgentError::Malformed(format!("a line of more than {LONGEST} bytes")));
            }
        }
    }
}

/// Tells what comes from a pipe, line by line.
async fn tell(pipe: ChildStderr, log: Log) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while (&mut pipe).take(PART).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        log(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// At most so many characters of a text, on one line.
pub(crate) fn cut(text: &str, length: usize) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match text.char_indices().nth(length) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
