//! Starting the command: its own session, tied to the shim's life, its output in one pipe.

use std::io::{self, PipeReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getppid, setsid};

use super::Job;
use super::group::Group;
use crate::sandbox::{Arrival, Cage};

/// Starts the job's command, in its sandbox and its group. Returns it and the end of the pipe that it prints into, which
/// never blocks.
pub(super) fn start(job: &Job, group: Option<&Group>) -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // Fewer wake-ups where much is printed; a smaller pipe does as well.
    let _ = fcntl(reader.as_fd(), FcntlArg::F_SETPIPE_SZ(1 << 20));

    let (mut cage, arrival) = job.sandbox.as_ref().map(Cage::new).transpose()?.unzip();
    let mut command = match &cage {
        Some(cage) => cage.command(&job.command),
        None => plain(&job.command),
    };
    command
        .current_dir(&job.folder)
        .env_clear()
        .envs(&job.environment)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let shim = nix::unistd::getpid();
    let members = group.map(Group::members).transpose()?;
    let prepare = move || -> io::Result<()> {
        setsid()?;
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The shim may have died before the line above.
        if getppid() != shim {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(members) = &members {
            (&*members).write_all(b"0")?;
        }
        cage.as_mut().map_or(Ok(()), Cage::enter)
    };
    // SAFETY: between fork and exec only async-signal-safe system calls are made; nothing is allocated.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
    let child = command.spawn()?;
    if let Some(warden) = arrival.and_then(Arrival::warden) {
        warden.serve();
    }
    Ok((child, reader))
}

/// Goes before the run where the machine allows it: what forks without end must not keep its shim from ending it.
pub(super) fn hurry() {
    // SAFETY: numbers are passed.
    #[allow(unsafe_code)]
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, -10);
    }
}

fn plain(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    command
}
