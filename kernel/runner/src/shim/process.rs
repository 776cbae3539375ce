//! Starting the command: its own session, tied to the shim's life, its output in one pipe.

use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getppid, setsid};

use super::Job;

/// Starts the job's command. Returns it and the end of the pipe that it prints into, which never blocks.
pub(super) fn start(job: &Job) -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // Fewer wake-ups where much is printed; a smaller pipe does as well.
    let _ = fcntl(reader.as_fd(), FcntlArg::F_SETPIPE_SZ(1 << 20));

    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &job.command])
        .current_dir(&job.folder)
        .env_clear()
        .envs(&job.environment)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let shim = nix::unistd::getpid();
    let prepare = move || -> io::Result<()> {
        setsid()?;
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The shim may have died before the line above.
        if getppid() == shim { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe system calls are made; nothing is allocated.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
    Ok((command.spawn()?, reader))
}
