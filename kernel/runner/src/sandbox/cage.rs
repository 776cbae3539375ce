//! A policy made ready before the fork, and put on between fork and exec.

// What is handed to the kernel here are this module's own buffers; see each use.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::RulesetCreated;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::BpfProgram;

use super::warden::Warden;
use super::{PROC, Policy, Way, bubblewrap, landlock as files, seccomp};

/// What root keeps of its capabilities: those that are about the files and processes that it owns.
const KEPT: [libc::c_ulong; 8] = [0, 1, 3, 4, 5, 6, 7, 14];
/// What of `/proc` is the machine's: root may write there without any capability.
const MACHINE: [&CStr; 4] = [c"/proc/sys", c"/proc/sysrq-trigger", c"/proc/irq", c"/proc/bus"];
/// More than any kernel has.
const CAPABILITIES: libc::c_ulong = 64;

/// What the command is put into.
pub(crate) struct Cage {
    rules: Option<RulesetCreated>,
    filters: Vec<BpfProgram>,
    /// The filter of what the warden decides, and where its listener is sent to.
    held: Option<(BpfProgram, UnixStream)>,
    outer: Option<bubblewrap::Outer>,
    /// Whether what of `/proc` is the machine's must be shielded from root.
    shielded: bool,
    disk: u64,
    processes: u64,
}

impl Cage {
    /// Opens every path that a rule names, and compiles the filters. Returns the cage, and where its listener arrives.
    ///
    /// # Errors
    /// Where the kernel refuses what it said that it has.
    pub(crate) fn new(policy: &Policy) -> io::Result<(Self, Arrival)> {
        let mut filters = seccomp::filters(policy.network).map_err(io::Error::other)?;
        let rules = match policy.way {
            Way::Landlock => Some(files::rules(policy).map_err(io::Error::other)?),
            Way::Bubblewrap | Way::Seccomp => None,
        };
        let outer = match policy.way {
            // It makes namespaces, which the filters forbid, so that they are put on inside of it.
            Way::Bubblewrap => Some(bubblewrap::Outer::new(policy, &std::mem::take(&mut filters))?),
            Way::Landlock | Way::Seccomp => None,
        };
        // The limit on processes is one of the user's, who has others.
        let processes = u64::from(policy.limits.processes) + crate::processes::count();
        let (arrives, sent) = UnixStream::pair()?;
        let held = match policy.way {
            // Mounts that are read-only hold there what it would decide.
            Way::Bubblewrap => None,
            Way::Landlock | Way::Seccomp if !policy.held => None,
            Way::Landlock | Way::Seccomp => Some((seccomp::held().map_err(io::Error::other)?, sent)),
        };
        let shielded =
            nix::unistd::geteuid().is_root() && policy.devices.iter().any(|path| path == Path::new(PROC));
        let arrival = Arrival { channel: arrives, writes: policy.writes.clone() };
        Ok((Self { rules, filters, held, outer, shielded, disk: policy.limits.disk, processes }, arrival))
    }

    /// The command line that runs `command` by `sh`.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if let Some(outer) = &self.outer {
            words.extend_from_slice(&outer.words);
        }
        words.extend(["/bin/sh", "-c", command].map(Into::into));
        let mut all = words.into_iter();
        let mut line = Command::new(all.next().unwrap_or_default());
        line.args(all);
        if self.outer.is_some() {
            line.arg0("bwrap");
        }
        line
    }

    /// Puts it on, for this process and all that it starts. Only async-signal-safe calls are made.
    ///
    /// # Errors
    /// Where the kernel refuses: the command must not be run then.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        nix::sys::prctl::set_no_new_privs()?;
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let _ = setrlimit(Resource::RLIMIT_FSIZE, self.disk, self.disk);
        let _ = setrlimit(Resource::RLIMIT_NPROC, self.processes, self.processes);
        if let Some(outer) = &self.outer {
            return outer.keep_files();
        }
        if self.shielded {
            shield();
        }
        drop_capabilities();
        if let Some(rules) = self.rules.take() {
            rules.restrict_self().map_err(|_| io::Error::last_os_error())?;
        }
        for filter in &self.filters {
            seccompiler::apply_filter(filter).map_err(|_| io::Error::last_os_error())?;
        }
        match &self.held {
            Some((filter, channel)) => hold(filter, channel.as_raw_fd()),
            None => Ok(()),
        }
    }
}

/// Where the listener of a cage arrives once the command has begun.
pub(crate) struct Arrival {
    channel: UnixStream,
    writes: Vec<PathBuf>,
}

impl Arrival {
    /// The warden; `None` where this machine has none.
    pub(crate) fn warden(self) -> Option<Warden> {
        let mut space = [0_u64; 8];
        let mut byte = [0_u8; 1];
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        // SAFETY: all zeroes are a message without anything.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space) as _;
        // SAFETY: the message points to buffers of this function, of the lengths that it tells; a descriptor that comes with
        // it is this process's to own.
        unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
            if libc::recvmsg(self.channel.as_raw_fd(), &raw mut message, flags) < 1 {
                return None;
            }
            let first = libc::CMSG_FIRSTHDR(&raw const message);
            if first.is_null() || (*first).cmsg_type != libc::SCM_RIGHTS {
                return None;
            }
            let fd = std::ptr::read_unaligned(libc::CMSG_DATA(first).cast::<libc::c_int>());
            Some(Warden::new(OwnedFd::from_raw_fd(fd), self.writes))
        }
    }
}

/// Puts on the filter of what is held, and sends its listener. A machine that has one already, or none at all, goes without.
fn hold(filter: &BpfProgram, channel: RawFd) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the program and all that the message points to live as long as the calls; nothing is allocated.
    unsafe {
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let listener =
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
                as libc::c_int;
        if listener < 0 {
            return match io::Error::last_os_error() {
                e if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EINVAL)) => Ok(()),
                e => Err(e),
            };
        }
        let mut space = [0_u64; 8];
        let mut byte = [0_u8; 1];
        let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) as _;
        let first = libc::CMSG_FIRSTHDR(&raw const message);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<libc::c_int>() as u32) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(first).cast::<libc::c_int>(), listener);
        if libc::sendmsg(channel, &raw const message, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::close(listener);
    }
    Ok(())
}

/// Makes what of `/proc` is the machine's read-only for this process and all that it starts. A container whose root may
/// not do so has it read-only already.
fn shield() {
    let none = std::ptr::null();
    let mount = |path: &CStr, from: *const libc::c_char, flags| {
        // SAFETY: the path is a constant, and the kernel takes no pointer where there is none.
        unsafe { libc::mount(from, path.as_ptr(), none, flags, none.cast()) }
    };
    // SAFETY: a number is passed.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return;
    }
    // What the machine mounts later is still seen.
    mount(c"/", none, libc::MS_REC | libc::MS_SLAVE);
    for path in MACHINE {
        if mount(path, path.as_ptr(), libc::MS_BIND | libc::MS_REC) == 0 {
            mount(path, none, libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY);
        }
    }
}

/// Takes from root what is not about its own files: at the next exec they are gone. Others have none to lose.
fn drop_capabilities() {
    for capability in (0..CAPABILITIES).filter(|one| !KEPT.contains(one)) {
        // SAFETY: a number is passed; one that the kernel does not know, or may not be dropped, is no harm.
        unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
}
