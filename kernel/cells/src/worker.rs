//! The worker's side: a process that holds evcxr and answers requests.
//!
//! Requests come on standard input. Replies leave on what was standard output at the start; that
//! descriptor is put aside at once, so that nothing which prints can get between them.

mod interrupt;
mod output;
mod session;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, process, thread};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{dup2_stdin, dup2_stdout, getpgrp, getpid};

use crate::message::{Bundle, Reply, Request, StreamName};
use crate::tap;
use session::Session;

/// Where the prelude's crate is, in the worker's environment; without it cells have no prelude.
pub(crate) const PRELUDE: &str = "OVERNIGHT_CELLS_PRELUDE";

/// Answers requests until the kernel closes standard input; call [`crate::runtime_hook`] first.
#[allow(clippy::exit, clippy::print_stderr, reason = "a process of its own: the kernel shows its last words")]
pub fn run() -> ! {
    match serve() {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("The Rust worker cannot go on: {error}");
            process::exit(1)
        }
    }
}

fn serve() -> io::Result<()> {
    let requests = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let replies = Arc::new(Replies::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)));
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;

    let fifo =
        env::var_os(tap::OUTPUT).ok_or_else(|| io::Error::other(format!("{} is not set", tap::OUTPUT)))?;
    let output = output::Output::open(&PathBuf::from(fifo), Arc::clone(&replies))?;
    let (requests, answers) = read_in_background(requests);
    let mut session = Session::new(Arc::clone(&replies), output, answers);
    for request in requests {
        match request {
            Request::Execute { id, code } => {
                let outcome = session.execute(id, &code);
                replies.send(&Reply::Done { id, outcome, variables: session.variables() });
            }
            Request::Complete { id, code, cursor } => {
                let completions = session.complete(&code, cursor);
                replies.send(&Reply::Completions { id, completions });
            }
            Request::Inspect { id, code, cursor } => {
                let markdown = session.inspect(&code, cursor).unwrap_or_default();
                replies.send(&Reply::Inspected { id, markdown });
            }
            Request::Warm => session.warm(),
            Request::Quit => break,
            // These two never wait for their turn.
            Request::Answer { .. } | Request::Interrupt { .. } => {}
        }
    }
    Ok(())
}

/// Reads requests on a thread, so that interrupts, answers and the end of the kernel are seen also while a cell
/// runs.
fn read_in_background(requests: File) -> (Receiver<Request>, Receiver<Option<String>>) {
    let (sender, receiver): (Sender<Request>, _) = channel();
    let (answer, answers) = channel();
    thread::spawn(move || {
        for line in BufReader::new(requests).lines() {
            let Ok(request) = line.and_then(|line| Ok(serde_json::from_str(&line)?)) else {
                break;
            };
            let taken = match request {
                Request::Interrupt { force } => {
                    interrupt::now(force);
                    true
                }
                Request::Answer { text } => answer.send(text).is_ok(),
                request => sender.send(request).is_ok(),
            };
            if !taken {
                break;
            }
        }
        end_with_everything();
    });
    (receiver, answers)
}

/// The kernel is gone, by whatever cause: so are this process, its cells and its compilers.
#[allow(clippy::exit)]
fn end_with_everything() -> ! {
    // Only a group of our own: one that a person's shell leads may hold anything.
    if getpgrp() == getpid() {
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    }
    process::exit(0)
}

/// The way back to the kernel, shared by the threads that have something to say.
pub(crate) struct Replies {
    inner: Mutex<Inner>,
}

struct Inner {
    to: File,
    /// The cell that runs, or ran last; none before the first.
    cell: Option<u64>,
}

impl Replies {
    fn new(to: File) -> Self {
        Self { inner: Mutex::new(Inner { to, cell: None }) }
    }

    fn begin(&self, id: u64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).cell = Some(id);
    }

    fn send(&self, reply: &Reply) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Self::write(&mut inner, reply);
    }

    /// Sends text of the current cell; what evcxr's own start prints belongs to none.
    fn stream(&self, name: StreamName, text: String) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(id), false) = (inner.cell, text.is_empty()) {
            Self::write(&mut inner, &Reply::Stream { id, name, text });
        }
    }

    /// Asks the person at the notebook.
    fn ask(&self, prompt: String, password: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = inner.cell.unwrap_or_default();
        Self::write(&mut inner, &Reply::Ask { id, prompt, password });
    }

    fn display(&self, bundle: Bundle) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(id), false) = (inner.cell, bundle.is_empty()) {
            Self::write(&mut inner, &Reply::Display { id, bundle });
        }
    }

    fn write(inner: &mut Inner, reply: &Reply) {
        // Where the kernel is gone, the reader of requests sees it and ends us.
        if let Ok(mut line) = serde_json::to_vec(reply) {
            line.push(b'\n');
            let _ = inner.to.write_all(&line);
        }
    }
}
