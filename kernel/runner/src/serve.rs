//! The runner: holds the lab, listens, and works until there is nothing left to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use lab::Seconds;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::engine::{End, Engine};
use crate::executor::Local;
use crate::lock::Lock;
use crate::protocol::{LONGEST, Request, Response, StartOptions};
use crate::store::Store;
use crate::{Host, Paths, RunnerError};

/// How often it is looked whether a runner that is about to end has let the lab go: for a second.
const LOOKS: usize = 100;
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What a runner does first.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// Wait for requests. Experiments that were cut off are finished; a loop that was cut off is not
    /// gone on with until somebody asks for it.
    Idle,
    /// Go on with the loop that was cut off.
    Resume,
    /// Begin a loop, or go on with the one that was cut off.
    Start(StartOptions),
}

/// How a runner behaves where it is not the lab's matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Serve {
    /// How long it waits for requests when it has nothing to do.
    pub idle: Duration,
    /// How long a run may take to end after SIGTERM before it is killed.
    pub grace: Seconds,
}

impl Default for Serve {
    fn default() -> Self {
        Self { idle: Duration::from_secs(10), grace: Seconds(5.0) }
    }
}

/// Runs the runner of the lab that `root` is in, until its loop has ended and nothing is queued.
///
/// Needs tokio's runtime of several threads.
///
/// # Errors
/// [`RunnerError::Held`] where another runner has the lab; whatever keeps the loop from beginning.
/// What goes wrong later is an [`End`] with its cause.
pub async fn serve(
    root: &Path,
    paths: Paths,
    begin: Begin,
    host: impl Into<Host>,
) -> Result<End, RunnerError> {
    Serve::default().serve(root, paths, begin, host).await
}

impl Serve {
    /// As [`serve`], with settings of one's own.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn serve(
        self,
        root: &Path,
        paths: Paths,
        begin: Begin,
        host: impl Into<Host>,
    ) -> Result<End, RunnerError> {
        let lock = hold(&paths).await?;
        let store = Store::marked(root, Some(&paths.mark()))?;
        let listener = listen(&paths)?;
        let host = host.into();
        let executor = Local::new(store.root(), &paths, store.clone(), &host.variables, self.grace);
        let (engine, history) = Engine::open(&paths, store, host, Box::new(executor)).await?;
        engine.guarded(&lock)?;
        engine.recover(history).await?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&engine)));
        let begun = match begin {
            Begin::Idle => Ok(()),
            Begin::Resume => engine.go_on().await.map(|_| ()),
            Begin::Start(options) => engine.start(options).await.map(|_| ()),
        };
        let end = match begun {
            Ok(()) => engine.run(self.idle).await,
            Err(error) => Err(error),
        };
        accepting.abort();
        // Where the lab is another runner's by now, so is the socket.
        if !matches!(end, Err(RunnerError::Lost { .. })) {
            let _ = std::fs::remove_file(paths.socket());
        }
        drop(lock);
        end
    }
}

/// The lab's lock. A runner that ends has no socket any more and still holds the lab, for a moment.
async fn hold(paths: &Paths) -> Result<Lock, RunnerError> {
    let ends = ConstantBuilder::default().with_delay(PAUSE).with_max_times(LOOKS);
    let take = || async { Lock::take(&paths.lock()) };
    take.retry(ends).when(|error| matches!(error, RunnerError::Held { .. })).await
}

/// The socket, which only its owner can use. Whoever calls this holds the lab, so a socket that is
/// there is a dead runner's.
fn listen(paths: &Paths) -> Result<UnixListener, RunnerError> {
    let socket = paths.socket();
    std::fs::create_dir_all(&paths.runtime).map_err(RunnerError::io("create", &paths.runtime))?;
    let _ = std::fs::remove_file(&socket);
    // Under a name that nobody knows until only its owner can use it.
    let fresh = socket.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(RunnerError::io("listen on", &fresh))?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))
        .map_err(RunnerError::io("protect", &fresh))?;
    std::fs::rename(&fresh, &socket).map_err(RunnerError::io("listen on", &socket))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, engine: Arc<Engine>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A candidate that found the socket is not to command the loop that judges it.
                if stream.peer_cred().ok().and_then(|peer| peer.pid()).is_none_or(of_a_run) {
                    tracing::warn!("a process of a run asked the runner for something; it was not heard");
                    continue;
                }
                let engine = Arc::clone(&engine);
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, &engine).await {
                        tracing::debug!(%error, "a client went away");
                    }
                });
            }
            // Out of file descriptors, say: what is open may be closed in a moment.
            Err(error) => {
                tracing::warn!(%error, "a client could not be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whether a process is gone, or is one of those that a shim looks after.
fn of_a_run(pid: i32) -> bool {
    let mut at = Some(pid);
    while let Some(pid) = at.filter(|pid| *pid > 1) {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.split(|b| *b == 0).nth(1) == Some(b"shim") {
            return true;
        }
        at = crate::processes::parent(pid);
        if at.is_none() {
            return true;
        }
    }
    false
}

async fn talk(stream: UnixStream, engine: &Engine) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        if (&mut reader).take(LONGEST).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let response = match serde_json::from_str::<Request>(&line) {
            Ok(request) => engine.handle(request).await,
            Err(error) => {
                Response::error(&RunnerError::Protocol(format!("a request could not be understood: {error}")))
            }
        };
        let mut answer = serde_json::to_vec(&response)?;
        answer.push(b'\n');
        writer.write_all(&answer).await?;
    }
}
