//! The tap stands between evcxr and the process that runs the user's code.
//!
//! It starts that process, reads both its outputs, passes evcxr's own lines on to evcxr, and sends
//! everything else as [`record`]s through a named pipe to the worker. Before it passes on a line
//! that says "executed", everything written earlier is in the named pipe: so the worker can tell
//! when it has seen all that a cell wrote.

pub(crate) mod record;
mod scanner;
mod stdin;

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::hook;
use record::Record;
use scanner::{Event, Line, Scanner};
use stdin::Input;

/// Names the pipe, in the tap's environment.
pub(crate) const OUTPUT: &str = "OVERNIGHT_CELLS_OUTPUT";
/// The user's own `RUST_BACKTRACE`, which evcxr would set to 1.
pub(crate) const BACKTRACE: &str = "OVERNIGHT_CELLS_BACKTRACE";

/// Runs the tap until the user's process ends.
#[allow(clippy::exit, clippy::print_stderr, reason = "a process of its own: evcxr shows its last words")]
pub(crate) fn run() -> ! {
    hook::die_with_parent();
    match serve() {
        Ok(()) => std::process::exit(1),
        Err(error) => {
            eprintln!("The output of Rust cells cannot be passed on: {error}");
            std::process::exit(2)
        }
    }
}

fn serve() -> io::Result<()> {
    let path = env::var_os(OUTPUT).ok_or_else(|| io::Error::other(format!("{OUTPUT} is not set")))?;
    let records = OpenOptions::new().write(true).open(path)?;
    let mut child = Command::new(env::current_exe()?)
        .arg(hook::RUNTIME)
        .args(env::args_os().skip(2))
        .env("RUST_BACKTRACE", env::var_os(BACKTRACE).unwrap_or_else(|| "0".into()))
        .env_remove(OUTPUT)
        .env_remove(BACKTRACE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("the process has no input and output"));
    };
    let input = Input::new(stdin, child.id())?;
    let ended = wait_in_background(child)?;
    let mut tap = Tap { input, stdout, stderr: Some(stderr), records, buffer: vec![0; 1 << 16] };
    let mut scanner = Scanner::default();
    // The process's end is a third thing to wait for: one that it left behind may hold the pipes open.
    loop {
        tap.wait(&ended)?;
        tap.pass_stdin()?;
        tap.pass_stderr()?;
        let open = tap.pass_stdout(&mut scanner)?;
        if !open || ready(ended.as_fd())? {
            break;
        }
    }
    while ready(tap.stdout.as_fd())? && tap.pass_stdout(&mut scanner)? {}
    tap.pass_stderr()?;
    let rest = scanner.finish();
    Record::Stdout(rest).write(&mut tap.records)?;
    let status = status_of(ended)?;
    Record::Ended(status.to_string()).write(&mut tap.records)
}

/// A pipe that carries the exit status once the child has ended.
fn wait_in_background(mut child: Child) -> io::Result<io::PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    std::thread::spawn(move || {
        let raw = child.wait().map_or(1 << 8, ExitStatusExt::into_raw);
        // The reader is gone only when the tap is ending anyway.
        let _ = writer.write_all(&raw.to_le_bytes());
    });
    Ok(reader)
}

fn status_of(mut ended: io::PipeReader) -> io::Result<ExitStatus> {
    let mut raw = [0; 4];
    ended.read_exact(&mut raw)?;
    Ok(ExitStatus::from_raw(i32::from_le_bytes(raw)))
}

struct Tap {
    input: Input,
    stdout: ChildStdout,
    /// None once it is closed.
    stderr: Option<ChildStderr>,
    records: File,
    buffer: Vec<u8>,
}

impl Tap {
    /// Waits until there is something to do, or to look whether the cell reads standard input.
    fn wait(&self, ended: &io::PipeReader) -> io::Result<()> {
        let stdin = io::stdin();
        let mut fds = vec![self.stdout.as_fd(), ended.as_fd()];
        fds.extend(self.stderr.as_ref().map(AsFd::as_fd));
        fds.extend(self.input.is_open().then(|| stdin.as_fd()));
        let look = PollTimeout::try_from(stdin::LOOK).unwrap_or(PollTimeout::MAX);
        poll_for(&fds, if self.input.may_ask() { look } else { PollTimeout::NONE }).map(drop)
    }

    /// Passes on evcxr's commands and answers, and asks where the cell only waits.
    fn pass_stdin(&mut self) -> io::Result<()> {
        if self.input.is_open() && ready(io::stdin().as_fd())? {
            return self.input.pass();
        }
        if !ready(self.stdout.as_fd())? && self.input.is_wanted() {
            self.pass_line(&Line::Other(scanner::ASK.to_vec()))?;
        }
        Ok(())
    }

    /// Passes on what stands in the error pipe now.
    fn pass_stderr(&mut self) -> io::Result<()> {
        while let Some(stderr) = &mut self.stderr
            && ready(stderr.as_fd())?
        {
            let length = stderr.read(&mut self.buffer)?;
            if length == 0 {
                self.stderr = None;
            }
            Record::Stderr(self.buffer[..length].to_vec()).write(&mut self.records)?;
        }
        Ok(())
    }

    /// Reads standard output once, if there is something; false at its end.
    fn pass_stdout(&mut self, scanner: &mut Scanner) -> io::Result<bool> {
        if !ready(self.stdout.as_fd())? {
            return Ok(true);
        }
        let length = self.stdout.read(&mut self.buffer)?;
        for event in scanner.push(&self.buffer[..length]) {
            match event {
                Event::Text(text) => Record::Stdout(text).write(&mut self.records)?,
                Event::Display { mime, content } => {
                    // What was written to standard error came before the value that is shown.
                    self.pass_stderr()?;
                    Record::DisplayStart(mime).write(&mut self.records)?;
                    Record::DisplayData(content).write(&mut self.records)?;
                    Record::DisplayEnd.write(&mut self.records)?;
                }
                Event::Line(line) => self.pass_line(&line)?,
            }
        }
        Ok(length > 0)
    }

    fn pass_line(&mut self, line: &Line) -> io::Result<()> {
        self.pass_stderr()?;
        match line {
            Line::Panicked => Record::Panicked.write(&mut self.records)?,
            Line::Returned => Record::Returned.write(&mut self.records)?,
            Line::Complete => self.input.finished(),
            Line::Other(line) if line.starts_with(scanner::INPUT) => self.input.has_asked(),
            Line::Other(_) => {}
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(line.bytes())?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }
}

/// Whether a read would not block.
fn ready(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll_for(&[fd], PollTimeout::ZERO)
}

fn poll_for(fds: &[BorrowedFd<'_>], timeout: PollTimeout) -> io::Result<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut polled, timeout) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
