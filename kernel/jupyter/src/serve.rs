//! A kernel from its first socket to its last message.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::{
    bind::Sockets,
    connection::{Channel, Connection},
    control,
    error::JupyterError,
    heartbeat,
    history::History,
    iopub::{IoPub, Tuning},
    kernel::Kernel,
    language::Language,
    life::{Asked, Signals, parent_gone},
    router,
    session::Session,
    shell::Shells,
    stdin::Stdin,
    wire::Parent,
};

/// How long the last replies are given to leave; zeromq cannot tell when they have.
const LINGER: Duration = Duration::from_millis(100);

/// What is left to the program that serves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who we are in the headers of our messages.
    pub username: String,
    /// The process to end with: Jupyter passes it in `JPY_PARENT_PID`.
    pub parent_pid: Option<u32>,
    /// The file in which the cells of all sessions are kept; none are kept where there is no file.
    pub history: Option<PathBuf>,
    /// SIGINT interrupts the running cell, SIGTERM ends the kernel.
    pub signals: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { username: "kernel".to_owned(), parent_pid: None, history: None, signals: true }
    }
}

/// Serves a language on the sockets of a connection until a client asks for the shutdown, the parent
/// dies or SIGTERM comes. Returns an error only where the kernel could not start.
///
/// When it returns, everything that was published is with the clients that read. A cell that ignored
/// its interrupt may still run on a thread of its own: let the process end.
pub async fn serve(
    connection: Connection,
    language: Arc<dyn Language>,
    options: Options,
) -> Result<(), JupyterError> {
    let sockets = Sockets::bind(&connection).await?;
    let signer = connection.signer();
    let session = Arc::new(Session::new(&options.username));
    let (iopub, publisher) =
        IoPub::start(sockets.iopub, Arc::clone(&session), signer.clone(), Tuning::default())?;
    let (answers, questions) = router::split(sockets.stdin, &signer, Channel::Stdin);
    let stdin = Arc::new(Stdin::new(questions, Arc::clone(&session)));
    let history = History::open(options.history.as_deref()).map_err(JupyterError::History)?;
    let kernel = Arc::new(Kernel::new(language, session, iopub.clone(), Arc::clone(&stdin), history));
    let mut signals = Signals::new(options.signals);

    let mut tasks = JoinSet::new();
    tasks.spawn(heartbeat::run(sockets.heartbeat));
    tasks.spawn(stdin.run(answers));
    let (requests, replies) = router::split(sockets.shell, &signer, Channel::Shell);
    let shells = Shells::new(&kernel, replies);
    tasks.spawn(Arc::clone(&shells).run(requests));
    let (requests, replies) = router::split(sockets.control, &signer, Channel::Control);
    tasks.spawn(control::run(Arc::clone(&kernel), shells, requests, replies));
    iopub.status(Parent::none(), "starting");
    tracing::info!(?connection, "the kernel serves");

    let parent = async {
        match options.parent_pid {
            Some(pid) => parent_gone(pid).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(parent);
    loop {
        tokio::select! {
            () = kernel.stopped() => break,
            () = &mut parent => {
                kernel.stop(false).await;
                break;
            }
            asked = signals.next() => match asked {
                Asked::Interrupt => kernel.interrupt(),
                Asked::Stop => {
                    kernel.stop(false).await;
                    break;
                }
            },
            Some(ended) = tasks.join_next() => {
                // The loops never end, so this is a defect; a kernel without a socket is no kernel.
                tracing::error!(?ended, "a part of the kernel failed, it ends");
                kernel.stop(false).await;
                break;
            }
        }
    }
    // The last reply is on its way, and a cell that was interrupted may still say how it ended.
    sleep(LINGER).await;
    iopub.close();
    let _ = spawn_blocking(move || publisher.join()).await;
    drop(sockets.files);
    Ok(())
}
