//! What the sandbox denied to a run that failed, read from what the run printed.

use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::Policy;

/// How much of the end of a log is read for it, in bytes.
const READ: usize = 64 << 10;

/// What programs say where a file is denied.
const FILES: [&str; 7] = [
    "permission denied",
    "errno 13",
    "os error 13",
    "eacces",
    "read-only file system",
    "operation not permitted",
    "invalid cross-device link",
];

/// What programs say where there is no network.
const NETWORK: [&str; 24] = [
    "temporary failure in name resolution",
    "could not resolve host",
    "couldn't resolve host",
    "name or service not known",
    "failed to lookup address",
    "dns error",
    "network is unreachable",
    "network connectivity is disabled",
    "network was disabled",
    "getaddrinfo",
    "failed to establish a new connection",
    "maxretryerror",
    "error sending request for url",
    "offlinemodeisenabled",
    "offline mode is enabled",
    "cannot reach",
    "hf_hub_offline",
    "localentrynotfounderror",
    "couldn't connect to 'https://huggingface.co'",
    "without the --offline flag",
    "net.offline",
    "connecterror",
    "couldn't connect to server",
    "no matching distribution found",
];

/// What programs say where they would have written.
const WRITING: [&str; 12] = [
    "create", "creat", "write", "writing", "mkdir", "makedirs", "touch", "remove", "unlink", "rename",
    "lock", "save",
];

/// An absolute path, or one in the home.
static PATHS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:^|[\s=(:'"`])(~?/[^\s:,;()'"`]+)"#).ok());

/// What Python says last of a file: its name, as it was opened.
static OPENED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[Errno \d+\][^:]*: '([^'/~][^']*)'").ok());

/// What is known of a run that failed.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it may do.
    pub policy: &'a Policy,
    /// The folder that it ran in.
    pub folder: &'a Path,
    /// The home, for a path that reads better from there.
    pub home: Option<&'a Path>,
}

impl Seen<'_> {
    /// What was denied and which setting grants it; `None` where the log tells of nothing that the sandbox denies.
    pub fn denied(&self, log: &str) -> Option<String> {
        let mut start = log.len().saturating_sub(READ);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        let lines: Vec<&str> = log[start..].lines().collect();
        // What was said last is most often what it died of.
        (0..lines.len()).rev().find_map(|at| self.file(&lines, at)).or_else(|| self.network(&lines))
    }

    fn network(&self, lines: &[&str]) -> Option<String> {
        if self.policy.network {
            return None;
        }
        let said = |line: &&str| {
            let lower = line.to_lowercase();
            let socket = lower.contains("socket") && FILES.iter().any(|word| lower.contains(word));
            socket || NETWORK.iter().any(|word| lower.contains(word))
        };
        let traced = lines.windows(lines.len().clamp(1, 8)).any(|lines| {
            let socket = lines.iter().any(|line| line.contains("socket"));
            socket
                && lines.iter().any(|line| {
                    line.contains("PermissionError: [Errno 13] Permission denied") && !line.contains('\'')
                })
        });
        (traced || lines.iter().any(said)).then(|| {
            "the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md".to_owned()
        })
    }

    fn file(&self, lines: &[&str], at: usize) -> Option<String> {
        let lower = lines[at].to_lowercase();
        if !FILES.iter().any(|word| lower.contains(word)) {
            return None;
        }
        // Where a cause stands on a line of its own, the path is on one of those before it.
        let near = (0..4)
            .filter_map(|back| at.checked_sub(back))
            .take_while(|line| *line == at || !lines[*line].is_empty());
        near.map(|line| lines[line]).find_map(|line| {
            // The words of the cause, and of what it is the cause of.
            let words = format!("{} {lower}", line.to_lowercase());
            let writing = WRITING.iter().any(|word| words.contains(word));
            paths(line).into_iter().find_map(|path| self.path(&path, writing))
        })
    }

    fn path(&self, path: &str, writing: bool) -> Option<String> {
        let path = match (path.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => plain(&self.folder.join(path)),
        };
        let path = resolved(&path);
        let (reads, writes) = (self.policy.reads(&path), self.policy.may_write(&path));
        if writes || path.parent().is_none() {
            return None;
        }
        // What is not there yet, in a folder that is, could only be made.
        let making = path.symlink_metadata().is_err() && path.parent().is_some_and(Path::exists);
        let (what, setting, granted) = if reads || writing || making {
            let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
            ("writing to", "writes", folder.filter(|folder| folder.parent().is_some()).unwrap_or(&path))
        } else {
            ("reading", "reads", path.as_path())
        };
        if setting == "writes" && path.components().any(|part| part.as_os_str() == ".git") {
            return Some(format!(
                "the sandbox denied writing to {}: git is not a run's to change",
                path.display()
            ));
        }
        Some(format!(
            "the sandbox denied {what} {}: add `{setting}: [{}]` to program.md",
            path.display(),
            self.short(granted)
        ))
    }

    fn short(&self, path: &Path) -> String {
        let below = self.home.and_then(|home| path.strip_prefix(home).ok());
        match below.filter(|below| !below.as_os_str().is_empty()) {
            Some(below) => format!("~/{}", below.display()),
            None => path.display().to_string(),
        }
    }
}

fn paths(line: &str) -> Vec<String> {
    // Of a traceback: the code, and not what it was about.
    if line.trim_start().starts_with("File \"") {
        return Vec::new();
    }
    let found = [&PATHS, &OPENED].into_iter().filter_map(|pattern| pattern.as_ref());
    let found = found.flat_map(|pattern| pattern.captures_iter(line)).filter_map(|found| found.get(1));
    found.map(|path| path.as_str().to_owned()).collect()
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Where a path leads, as far as it is there: a link out of the worktree is denied where it leads to.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        if let Ok(found) = there.canonicalize() {
            return rest.iter().rev().fold(found, |path, part| path.join(part));
        }
        let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return path.to_owned() };
        rest.push(name);
        there = parent;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::Rule;
    use super::*;

    #[test]
    fn messages_of_real_programs() {
        let rule = |path: &str, readable| Rule { path: path.into(), readable };
        let policy = Policy {
            homes: vec!["/home/_me".into()],
            rules: vec![
                rule("/tmp", false),
                rule("/home/_me/.cache/uv", true),
                rule("/home/_me/.cache/huggingface", true),
            ],
            writes: vec!["/slots/0/tree".into()],
            ..Policy::default()
        };
        let seen =
            Seen { policy: &policy, folder: Path::new("/slots/0/tree"), home: Some(Path::new("/home/_me")) };
        let logs = [
            "Traceback (most recent call last):\n  File \"train.py\", line 3, in <module>\n    open('/home/_me/.netrc')\nPermissionError: [Errno 13] Permission denied: '/home/_me/.netrc'",
            "Traceback (most recent call last):\n  File \"/slots/0/tree/train.py\", line 1, in <module>\nPermissionError: [Errno 13] Permission denied: '/data/out/model.pt'",
            "PermissionError: [Errno 13] Permission denied: '../../shared/x'",
            "cat: /tmp/nowhere/corpus.txt: Permission denied",
            "sh: 1: cannot create /data/log: Permission denied",
            "mkdir: cannot create directory '/data/out': Permission denied",
            "RuntimeError: [enforce fail at inline_container.cc:595] . unexpected pos 64\nRuntimeError: File /data/m.pt cannot be opened: Permission denied",
            "thread 'main' panicked at src/main.rs:4:10:\ncalled `Result::unwrap()` on an `Err` value: Custom { kind: PermissionDenied, error: \"failed to open `/tmp/nowhere/x`: Permission denied (os error 13)\" }",
            "error: Failed to initialize cache at `/home/_me/.cache/uv`\n  Caused by: failed to open file `/home/_me/.cache/uv/CACHEDIR.TAG`: Permission denied (os error 13)",
            "PermissionError: [Errno 13] Permission denied: '/home/_me/.cache/huggingface/datasets/x.lock'",
            "OSError: [Errno 30] Read-only file system: '/opt/x'",
            "PermissionError: [Errno 1] Operation not permitted: '/home/_me/lab/train.py'",
            "curl: (6) Could not resolve host: example.org",
            "curl: (7) Couldn't connect to server",
            "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
            "  File \"/usr/lib/python3.11/socket.py\", line 232, in __init__\n    _socket.socket.__init__(self, family, type, proto, fileno)\nPermissionError: [Errno 13] Permission denied",
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded (Caused by NameResolutionError(\": Failed to resolve 'huggingface.co' ([Errno -3] Temporary failure in name resolution)\"))",
            "huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach https://huggingface.co/api/models/gpt2: offline mode is enabled. To disable it, please unset the `HF_HUB_OFFLINE` environment variable.",
            "error: failed to select a version for the requirement `serde`\nAs a reminder, you're using offline mode (--offline) which can sometimes cause surprising resolution failures, if this error is too confusing you may wish to retry without the --offline flag.",
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because numpy was not found in the cache and your project depends on numpy, we can conclude that your project's requirements are unsatisfiable.\n      hint: Packages were unavailable because the network was disabled. When the network is disabled, registry packages may only be read from the cache.",
            "ValueError: shapes (3, 4) and (5, 6) not aligned",
            "PermissionError: [Errno 13] Permission denied: 'own.txt'",
        ];
        let mut said = String::new();
        for log in logs {
            let first = log.lines().last().unwrap_or_default();
            let first: String = first.chars().take(60).collect();
            let _ = writeln!(
                said,
                "{}\n  {}",
                first.trim_end(),
                seen.denied(log).unwrap_or_else(|| "-".to_owned())
            );
        }
        insta::assert_snapshot!(said, @r##"
        PermissionError: [Errno 13] Permission denied: '/home/_me/.n
          the sandbox denied reading /home/_me/.netrc: add `reads: [~/.netrc]` to program.md
        PermissionError: [Errno 13] Permission denied: '/data/out/mo
          the sandbox denied writing to /data/out/model.pt: add `writes: [/data/out]` to program.md
        PermissionError: [Errno 13] Permission denied: '../../shared
          the sandbox denied writing to /slots/shared/x: add `writes: [/slots/shared]` to program.md
        cat: /tmp/nowhere/corpus.txt: Permission denied
          the sandbox denied reading /tmp/nowhere/corpus.txt: add `reads: [/tmp/nowhere/corpus.txt]` to program.md
        sh: 1: cannot create /data/log: Permission denied
          the sandbox denied writing to /data/log: add `writes: [/data]` to program.md
        mkdir: cannot create directory '/data/out': Permission denie
          the sandbox denied writing to /data/out: add `writes: [/data]` to program.md
        RuntimeError: File /data/m.pt cannot be opened: Permission d
          the sandbox denied writing to /data/m.pt: add `writes: [/data]` to program.md
        called `Result::unwrap()` on an `Err` value: Custom { kind:
          the sandbox denied reading /tmp/nowhere/x: add `reads: [/tmp/nowhere/x]` to program.md
          Caused by: failed to open file `/home/_me/.cache/uv/CACHED
          the sandbox denied writing to /home/_me/.cache/uv/CACHEDIR.TAG: add `writes: [~/.cache/uv]` to program.md
        PermissionError: [Errno 13] Permission denied: '/home/_me/.c
          the sandbox denied writing to /home/_me/.cache/huggingface/datasets/x.lock: add `writes: [~/.cache/huggingface/datasets]` to program.md
        OSError: [Errno 30] Read-only file system: '/opt/x'
          the sandbox denied writing to /opt/x: add `writes: [/opt]` to program.md
        PermissionError: [Errno 1] Operation not permitted: '/home/_
          the sandbox denied writing to /home/_me/lab/train.py: add `writes: [~/lab]` to program.md
        curl: (6) Could not resolve host: example.org
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        curl: (7) Couldn't connect to server
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        urllib.error.URLError: <urlopen error [Errno -3] Temporary f
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        PermissionError: [Errno 13] Permission denied
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        requests.exceptions.ConnectionError: HTTPSConnectionPool(hos
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach ht
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        As a reminder, you're using offline mode (--offline) which c
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
              hint: Packages were unavailable because the network wa
          the sandbox has no network: have `setup:` fetch what it needs, or add `network: true` to program.md
        ValueError: shapes (3, 4) and (5, 6) not aligned
          -
        PermissionError: [Errno 13] Permission denied: 'own.txt'
          -
        "##);
    }
}
