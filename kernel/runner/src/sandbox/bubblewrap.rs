//! A mount namespace in place of Landlock, where the kernel has none and `bwrap` works.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use seccompiler::BpfProgram;

use super::Policy;

/// What every use of it begins with.
const BASE: [&str; 11] = [
    "--die-with-parent",
    "--ro-bind",
    "/",
    "/",
    "--unshare-pid",
    "--unshare-ipc",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--cap-drop",
];

/// `bwrap` with its options, up to the command.
pub(super) struct Outer {
    pub(super) words: Vec<OsString>,
    /// The filters, which it reads from these files.
    files: Vec<OwnedFd>,
}

impl Outer {
    pub(super) fn new(policy: &Policy, filters: &[BpfProgram]) -> io::Result<Self> {
        let mut words = vec![OsString::from("bwrap")];
        words.extend(arguments(policy, &entries, &Path::is_dir));
        let mut files = Vec::new();
        for filter in filters {
            let file = written(filter)?;
            words.extend(["--add-seccomp-fd".into(), file.as_raw_fd().to_string().into()]);
            files.push(file.into());
        }
        words.push("--".into());
        Ok(Self { words, files })
    }

    /// Lets the files be there after exec.
    pub(super) fn keep_files(&self) -> io::Result<()> {
        for file in &self.files {
            fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    }
}

/// A filter as the kernel has it, in a file without a name.
fn written(filter: &BpfProgram) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    for op in filter {
        file.write_all(&op.code.to_ne_bytes())?;
        file.write_all(&[op.jt, op.jf])?;
        file.write_all(&op.k.to_ne_bytes())?;
    }
    file.rewind()?;
    Ok(file)
}

fn entries(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name()).collect()
}

/// The options for a policy: what lies deeper is mounted later, over what lies above it.
fn arguments(
    policy: &Policy,
    entries: &dyn Fn(&Path) -> Vec<OsString>,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = BASE.iter().map(OsString::from).collect();
    words.push("ALL".into());
    if !policy.network {
        words.push("--unshare-net".into());
    }
    let mut rules: Vec<(std::path::PathBuf, bool)> =
        policy.rules.iter().map(|rule| (rule.path.clone(), rule.readable)).collect();
    for home in &policy.homes {
        for name in entries(home) {
            let path = home.join(&name);
            let dotted = name.as_encoded_bytes().starts_with(b".");
            if dotted && !rules.iter().any(|(known, _)| *known == path) {
                rules.push((path, false));
            }
        }
    }
    rules.sort();
    let mut add = |parts: &[&OsStr]| words.extend(parts.iter().map(|part| (*part).to_owned()));
    let word = OsStr::new;
    for (path, readable) in rules.iter().filter(|(path, _)| !path.starts_with("/dev")) {
        let at = path.as_os_str();
        match (readable, is_folder(path)) {
            (true, _) => add(&[word("--ro-bind-try"), at, at]),
            (false, true) => add(&[word("--tmpfs"), at]),
            (false, false) => add(&[word("--ro-bind-try"), word("/dev/null"), at]),
        }
    }
    for path in policy.writes.iter().filter(|path| !path.starts_with("/dev")) {
        add(&[word("--bind-try"), path.as_os_str(), path.as_os_str()]);
    }
    for path in &policy.devices {
        add(&[word("--dev-bind-try"), path.as_os_str(), path.as_os_str()]);
    }
    words
}

/// Whether it is there and can do here what is asked of it.
pub(super) fn works() -> bool {
    let ended = Command::new("bwrap")
        .args(BASE)
        .args(["ALL", "--unshare-net", "--tmpfs", "/tmp", "--", "/bin/sh", "-c", ":"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ended.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    #[test]
    fn what_lies_deeper_is_mounted_later() {
        let rule = |path: &str, readable| Rule { path: path.into(), readable };
        let policy = Policy {
            homes: vec!["/home/ada".into()],
            rules: vec![
                rule("/tmp", false),
                rule("/etc/shadow", false),
                rule("/home/ada/.cargo", true),
                rule("/home/ada/.cache/overnight/slots/0", true),
            ],
            writes: vec!["/home/ada/.cache/overnight/slots/0/tree".into(), "/dev/shm".into()],
            devices: vec!["/dev/nvidia0".into()],
            ..Policy::default()
        };
        let entries = |_: &Path| [".cache", ".cargo", ".ssh", "lab"].map(OsString::from).to_vec();
        let words = arguments(&policy, &entries, &|path| path != Path::new("/etc/shadow"));
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        insta::assert_snapshot!(words.join(" ").replace(" --", "\n--"), @r##"
        --die-with-parent
        --ro-bind / /
        --unshare-pid
        --unshare-ipc
        --proc /proc
        --dev /dev
        --cap-drop ALL
        --unshare-net
        --ro-bind-try /dev/null /etc/shadow
        --tmpfs /home/ada/.cache
        --ro-bind-try /home/ada/.cache/overnight/slots/0 /home/ada/.cache/overnight/slots/0
        --ro-bind-try /home/ada/.cargo /home/ada/.cargo
        --tmpfs /home/ada/.ssh
        --tmpfs /tmp
        --bind-try /home/ada/.cache/overnight/slots/0/tree /home/ada/.cache/overnight/slots/0/tree
        --dev-bind-try /dev/nvidia0 /dev/nvidia0
        "##);
    }
}
