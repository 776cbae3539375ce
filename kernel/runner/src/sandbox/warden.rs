//! What neither Landlock nor a filter can decide, decided by the shim: who may be spoken to by a Unix socket, and whose
//! mode, owner, times and attributes may be changed.
//!
//! The kernel holds such a call and tells the shim (`SECCOMP_RET_USER_NOTIF`). The shim looks where the path leads, and
//! where that is the run's own, makes the call itself: what it has looked at cannot be exchanged meanwhile.

// Every call here hands numbers and buffers of this module's own to the kernel.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libc::{c_int, c_long, c_void};

use crate::processes;

/// The calls that are held. Of new ones that do the same, programs are told that there are none yet.
pub(super) const HELD: &[i64] = &[
    libc::SYS_connect,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// Calls that do what held ones do, and that nobody needs: the old ones for times, and those that are too new.
pub(super) const UNKNOWN: &[i64] = &[
    463, // setxattrat
    466, // removexattrat
    469, // file_setattr
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

const FCHMODAT2: i64 = 452;
/// Names that lead each process to its own folder in `/proc`, and where in it.
const ITS_OWN: [(&str, &str); 3] = [("/proc/self/", ""), ("/proc/thread-self/", ""), ("/dev/fd/", "fd/")];
/// The longest path.
const PATH: usize = 4096;
/// The longest value of an attribute.
const VALUE: usize = 65_536;

/// Whether this process may look into those that it has started, without which nothing can be decided for them: a default
/// container of Docker forbids it, and some settings of the kernel do.
pub(super) fn works() -> bool {
    use std::process::{Command, Stdio};

    let started =
        Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else { return false };
    let caller = Caller { pid: child.id() as i32, held: None };
    let works = caller.socket(0).is_ok() && File::open(caller.file("mem")).is_ok();
    let _ = child.kill();
    let _ = child.wait();
    works
}

/// Who decides.
pub(crate) struct Warden {
    listener: OwnedFd,
    /// What the run may write: there it may do as it likes.
    writes: Vec<PathBuf>,
}

/// The file on which a call works, or the code of the error.
type Opened = Result<OwnedFd, c_int>;

impl Warden {
    pub(crate) fn new(listener: OwnedFd, writes: Vec<PathBuf>) -> Self {
        Self { listener, writes }
    }

    /// Decides in a thread of its own until nothing of the run is left.
    pub(crate) fn serve(self) {
        let warden = Arc::new(self);
        std::thread::spawn(move || {
            while let Some(call) = warden.next() {
                // One that waits for a connection is not to keep the others waiting.
                if i64::from(call.data.nr) == libc::SYS_connect {
                    let own = Arc::clone(&warden);
                    if std::thread::Builder::new().spawn(move || own.answer(&call)).is_err() {
                        warden.reply(&call, Err(libc::EAGAIN));
                    }
                } else {
                    warden.answer(&call);
                }
            }
        });
    }

    fn next(&self) -> Option<libc::seccomp_notif> {
        let mut poll = libc::pollfd { fd: self.listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // Larger than any kernel's idea of it; it must be empty.
        let mut buffer = [0_u64; 64];
        loop {
            // SAFETY: one entry, which lives as long as the call.
            let ready = unsafe { libc::poll(&raw mut poll, 1, -1) };
            if ready < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return None;
            }
            if poll.revents & libc::POLLIN == 0 {
                if poll.revents != 0 {
                    return None;
                }
                continue;
            }
            buffer.fill(0);
            // SAFETY: the kernel writes a `seccomp_notif`, which the buffer is large enough for and aligned to.
            unsafe {
                let received = libc::ioctl(
                    self.listener.as_raw_fd(),
                    libc::SECCOMP_IOCTL_NOTIF_RECV,
                    buffer.as_mut_ptr(),
                );
                if received == 0 {
                    return Some(std::ptr::read(buffer.as_ptr().cast::<libc::seccomp_notif>()));
                }
            }
            // It was killed meanwhile.
        }
    }

    fn answer(&self, call: &libc::seccomp_notif) {
        self.reply(call, self.decide(call));
    }

    fn reply(&self, call: &libc::seccomp_notif, done: Result<(), c_int>) {
        let mut buffer = [0_u64; 64];
        let answer = libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error: done.err().map_or(0, |code| -code),
            flags: 0,
        };
        // SAFETY: the kernel reads a `seccomp_notif_resp` from the beginning of the buffer.
        unsafe {
            std::ptr::write(buffer.as_mut_ptr().cast::<libc::seccomp_notif_resp>(), answer);
            libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, buffer.as_ptr());
        }
    }

    fn decide(&self, call: &libc::seccomp_notif) -> Result<(), c_int> {
        let caller = Caller { pid: call.pid as i32, held: Some((self.listener.as_raw_fd(), call.id)) };
        let a = call.data.args;
        let fd = a[0] as c_int;
        let here = libc::AT_FDCWD;
        match i64::from(call.data.nr) {
            libc::SYS_connect => self.connect(&caller, fd, a[1], a[2] as usize),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chmod => mode(&self.own(caller.open(here, a[0], true))?, a[1]),
            libc::SYS_fchmod => mode(&self.own(caller.opened(fd))?, a[1]),
            libc::SYS_fchmodat => mode(&self.own(caller.open(fd, a[1], true))?, a[2]),
            FCHMODAT2 => mode(&self.own(caller.at(fd, a[1], a[3]))?, a[2]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chown => owner(&self.own(caller.open(here, a[0], true))?, a[1], a[2]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lchown => owner(&self.own(caller.open(here, a[0], false))?, a[1], a[2]),
            libc::SYS_fchown => owner(&self.own(caller.opened(fd))?, a[1], a[2]),
            libc::SYS_fchownat => owner(&self.own(caller.at(fd, a[1], a[4]))?, a[2], a[3]),
            libc::SYS_utimensat => {
                let file = if a[1] == 0 { caller.opened(fd) } else { caller.at(fd, a[1], a[3]) };
                times(&self.own(file)?, &caller, a[2])
            }
            libc::SYS_setxattr => attribute(&self.own(caller.open(here, a[0], true))?, &caller, &a),
            libc::SYS_lsetxattr => attribute(&self.own(caller.open(here, a[0], false))?, &caller, &a),
            libc::SYS_fsetxattr => attribute(&self.own(caller.opened(fd))?, &caller, &a),
            libc::SYS_removexattr => no_attribute(&self.own(caller.open(here, a[0], true))?, &caller, a[1]),
            libc::SYS_lremovexattr => no_attribute(&self.own(caller.open(here, a[0], false))?, &caller, a[1]),
            libc::SYS_fremovexattr => no_attribute(&self.own(caller.opened(fd))?, &caller, a[1]),
            _ => Err(libc::ENOSYS),
        }
    }

    /// The file, if it is the run's own.
    fn own(&self, file: Opened) -> Opened {
        let file = file?;
        let path = named(&file).read_link().map_err(|e| code(&e))?;
        if self.writes.iter().any(|writable| path.starts_with(writable)) || !path.is_absolute() {
            return Ok(file);
        }
        // What has no name in the file system is a pipe, a socket or memory: it has nobody else's rights to change.
        if path.to_str().is_some_and(|text| text.starts_with("/memfd:")) {
            Ok(file)
        } else {
            Err(libc::EPERM)
        }
    }

    /// Connects for the caller, where the other end is the run's own, or not of this machine's file system.
    fn connect(&self, caller: &Caller, fd: c_int, address: u64, length: usize) -> Result<(), c_int> {
        let mut bytes = caller.bytes(address, length.min(size_of::<libc::sockaddr_storage>()))?;
        if bytes.len() < 2 {
            return Err(libc::EINVAL);
        }
        let family = c_int::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let socket = caller.socket(fd)?;
        // Whatever it names is not exchanged before the call, for the bytes are a copy; a name must outlive it.
        let _named;
        if family == libc::AF_UNIX && bytes.len() > 2 {
            if bytes[2] == 0 {
                if !belongs(&bytes[3..]) {
                    return Err(libc::EPERM);
                }
            } else {
                let path: Vec<u8> = bytes[2..].iter().copied().take_while(|b| *b != 0).collect();
                let file = self
                    .own(caller.open_bytes(libc::AT_FDCWD, &path, true))
                    .map_err(|code| if code == libc::EPERM { refusal(&path) } else { code })?;
                bytes.truncate(2);
                bytes.extend(named(&file).as_os_str().as_bytes());
                bytes.push(0);
                _named = file;
            }
        }
        // SAFETY: the address is a copy of this function's own, of the length that is told.
        done(unsafe { libc::connect(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len() as u32) })
    }
}

/// How a connection is refused. NVIDIA's library goes on without its daemon where nobody seems to be there, and not where
/// it is denied.
fn refusal(path: &[u8]) -> c_int {
    let nvidia = path.windows(b"/nvidia-".len()).any(|part| part == b"/nvidia-");
    if nvidia { libc::ECONNREFUSED } else { libc::EACCES }
}

/// The process that made a call.
struct Caller {
    pid: i32,
    /// Where the kernel holds its call, and as which.
    held: Option<(RawFd, u64)>,
}

impl Caller {
    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// What was opened by its number, if it still is the caller's: one that has died leaves its number to others.
    fn of_it<T>(&self, opened: T) -> Result<T, c_int> {
        let Some((listener, id)) = self.held else { return Ok(opened) };
        // SAFETY: the kernel reads a number that lives as long as the call.
        done(unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) })?;
        Ok(opened)
    }

    fn memory(&self) -> Result<File, c_int> {
        self.of_it(File::open(self.file("mem")).map_err(|e| code(&e))?)
    }

    /// Bytes of its memory.
    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, c_int> {
        let memory = self.memory()?;
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, at).map_err(|_| libc::EFAULT)?;
        Ok(bytes)
    }

    /// A text of its memory, up to the zero behind it.
    fn text(&self, at: u64) -> Result<Vec<u8>, c_int> {
        let memory = self.memory()?;
        let mut bytes = vec![0; PATH];
        let mut read = 0;
        while read < PATH {
            // Not beyond the page: the next one may not be there.
            let page = 4096 - (at as usize + read) % 4096;
            let end = PATH.min(read + page);
            match memory.read_at(&mut bytes[read..end], at + read as u64) {
                Ok(more) if more > 0 => {
                    if let Some(zero) = bytes[read..read + more].iter().position(|b| *b == 0) {
                        bytes.truncate(read + zero);
                        return Ok(bytes);
                    }
                    read += more;
                }
                _ => return Err(libc::EFAULT),
            }
        }
        Err(libc::ENAMETOOLONG)
    }

    /// A file that it has open.
    fn opened(&self, fd: c_int) -> Opened {
        self.of_it(open(&self.file(&format!("fd/{fd}")), libc::O_PATH)?)
    }

    /// What a path at `fd` is, with the flags of the calls that end in `at`.
    fn at(&self, fd: c_int, path: u64, flags: u64) -> Opened {
        let flags = flags as c_int;
        let text = self.text(path)?;
        if text.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
            return self.opened(fd);
        }
        self.open_bytes(fd, &text, flags & libc::AT_SYMLINK_NOFOLLOW == 0)
    }

    fn open(&self, fd: c_int, path: u64, follow: bool) -> Opened {
        self.open_bytes(fd, &self.text(path)?, follow)
    }

    fn open_bytes(&self, fd: c_int, path: &[u8], follow: bool) -> Opened {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        let own = |(named, is): &(&str, &str)| {
            let rest = path.strip_prefix(named.as_bytes())?;
            Some(self.file(is).join(std::ffi::OsStr::from_bytes(rest)))
        };
        let own = ITS_OWN.iter().find_map(own);
        let path = own.unwrap_or_else(|| PathBuf::from(std::ffi::OsStr::from_bytes(path)));
        let base = match fd {
            libc::AT_FDCWD => self.file("cwd"),
            fd => self.file(&format!("fd/{fd}")),
        };
        let flags = libc::O_PATH | if follow { 0 } else { libc::O_NOFOLLOW };
        if path.is_absolute() {
            return self.of_it(open(&path, flags)?);
        }
        let base = self.of_it(open(&base, libc::O_PATH | libc::O_DIRECTORY)?)?;
        open_at(base.as_raw_fd(), &path, flags)
    }

    /// Its socket, as one of this process's own.
    fn socket(&self, fd: c_int) -> Opened {
        let status = std::fs::read_to_string(self.file("status")).map_err(|e| code(&e))?;
        let group = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<c_long>().ok());
        // SAFETY: numbers are passed; what is returned is a file of this process, or an error.
        unsafe {
            let process = libc::syscall(libc::SYS_pidfd_open, group.unwrap_or(0), 0) as RawFd;
            if process < 0 {
                return Err(libc::ESRCH);
            }
            let process = OwnedFd::from_raw_fd(process);
            let copy = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) as RawFd;
            if copy < 0 { Err(last()) } else { self.of_it(OwnedFd::from_raw_fd(copy)) }
        }
    }
}

/// Whether the abstract socket of this name is held by a process of the run.
fn belongs(name: &[u8]) -> bool {
    let listed = std::fs::read("/proc/net/unix").unwrap_or_default();
    let wanted: Vec<u8> =
        [b"@".as_slice(), name].concat().iter().map(|b| if *b == 0 { b'@' } else { *b }).collect();
    let inodes: Vec<String> = listed
        .split(|b| *b == b'\n')
        .filter(|line| line.ends_with(&wanted))
        .filter_map(|line| {
            std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(6).map(|i| format!("socket:[{i}]"))
        })
        .collect();
    let below = processes::descendants(nix::unistd::getpid().as_raw());
    !inodes.is_empty()
        && inodes.iter().all(|inode| {
            below.iter().any(|pid| {
                std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().any(|entry| {
                    entry.path().read_link().is_ok_and(|link| link.as_os_str() == inode.as_str())
                })
            })
        })
}

fn mode(file: &OwnedFd, mode: u64) -> Result<(), c_int> {
    let name = c_name(file);
    // SAFETY: the name lives as long as the call.
    done(unsafe { libc::chmod(name.as_ptr(), mode as libc::mode_t) })
}

fn owner(file: &OwnedFd, user: u64, group: u64) -> Result<(), c_int> {
    // SAFETY: the empty path lives for ever.
    done(unsafe {
        libc::fchownat(file.as_raw_fd(), c"".as_ptr(), user as u32, group as u32, libc::AT_EMPTY_PATH)
    })
}

fn times(file: &OwnedFd, caller: &Caller, at: u64) -> Result<(), c_int> {
    let bytes = if at == 0 { None } else { Some(caller.bytes(at, 2 * size_of::<libc::timespec>())?) };
    let times = bytes.map(|bytes| {
        let number = |k: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[8 * k..8 * k + 8]);
            i64::from_ne_bytes(number)
        };
        [(0, 1), (2, 3)].map(|(s, n)| libc::timespec { tv_sec: number(s), tv_nsec: number(n) })
    });
    let pointer = times.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    // SAFETY: the empty path and the two times live as long as the call.
    let set = unsafe { libc::utimensat(file.as_raw_fd(), c"".as_ptr(), pointer, libc::AT_EMPTY_PATH) };
    if set == 0 || last() != libc::EINVAL {
        return done(set);
    }
    // Kernels before 5.8 do not know the empty path here; they follow the name.
    let name = c_name(file);
    // SAFETY: as above.
    done(unsafe { libc::utimensat(libc::AT_FDCWD, name.as_ptr(), pointer, 0) })
}

/// The name of an attribute: users' own alone, for others are the system's.
fn attribute_name(caller: &Caller, at: u64) -> Result<CString, c_int> {
    let name = caller.text(at)?;
    if !name.starts_with(b"user.") {
        return Err(libc::EPERM);
    }
    CString::new(name).map_err(|_| libc::EINVAL)
}

fn attribute(file: &OwnedFd, caller: &Caller, args: &[u64; 6]) -> Result<(), c_int> {
    let name = attribute_name(caller, args[1])?;
    let length = args[3] as usize;
    if length > VALUE {
        return Err(libc::E2BIG);
    }
    let value = caller.bytes(args[2], length)?;
    let path = c_name(file);
    // SAFETY: names and value live as long as the call, and the length is the value's.
    done(unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast::<c_void>(),
            length,
            args[4] as c_int,
        )
    })
}

fn no_attribute(file: &OwnedFd, caller: &Caller, name: u64) -> Result<(), c_int> {
    let (path, name) = (c_name(file), attribute_name(caller, name)?);
    // SAFETY: both names live as long as the call.
    done(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })
}

/// How a file of this process is called.
fn named(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn c_name(file: &OwnedFd) -> CString {
    CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default()
}

fn open(path: &Path, flags: c_int) -> Opened {
    open_at(libc::AT_FDCWD, path, flags)
}

fn open_at(base: RawFd, path: &Path, flags: c_int) -> Opened {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::ENOENT)?;
    // SAFETY: the path lives as long as the call; what is returned is a file of this process, or an error.
    unsafe {
        let fd = libc::openat(base, path.as_ptr(), flags | libc::O_CLOEXEC);
        if fd < 0 { Err(last()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn done(returned: c_int) -> Result<(), c_int> {
    if returned < 0 { Err(last()) } else { Ok(()) }
}

fn last() -> c_int {
    code(&io::Error::last_os_error())
}

fn code(error: &io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EPERM)
}
