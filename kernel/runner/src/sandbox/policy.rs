//! What a run may do, as a value, and which paths that makes readable.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab::Limits;
use serde::{Deserialize, Serialize};

/// What holds a run to its policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The kernel's own Landlock.
    #[default]
    Landlock,
    /// A mount namespace made by bubblewrap.
    Bubblewrap,
    /// Nothing for files; seccomp alone.
    Seccomp,
}

/// Whether a path, with everything below it, may be read. Of several rules the deepest one decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// An absolute path without links.
    pub path: PathBuf,
    /// Whether it may be read.
    pub readable: bool,
}

/// The tracked files, and the links to inputs, that a run must leave as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The worktree's git index.
    pub index: PathBuf,
    /// What a candidate may change: paths or globs.
    pub editable: Vec<String>,
    /// Where links to inputs are, in the worktree.
    #[serde(default)]
    pub inputs: Vec<String>,
}

/// What a build or a run may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// What enforces it.
    pub way: Way,
    /// Folders whose entries with a dot in front are hidden, where no rule says otherwise.
    pub homes: Vec<PathBuf>,
    /// Whether the shim decides on calls that neither Landlock nor a filter can; not every container lets it.
    #[serde(default)]
    pub held: bool,
    /// What may be read; what no rule covers may.
    pub rules: Vec<Rule>,
    /// What may be written, with everything below it.
    pub writes: Vec<PathBuf>,
    /// Devices that may be read, written and controlled; with `/proc` among them, what a process owns there.
    pub devices: Vec<PathBuf>,
    /// Whether there is a network.
    pub network: bool,
    /// A folder for temporary files, removed after the run.
    pub scratch: PathBuf,
    /// The folders whose size counts against `limits.disk`.
    pub counted: Vec<PathBuf>,
    /// How much of the machine it may use.
    pub limits: Limits,
    /// What it must leave as it is; a build may touch lock files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
}

impl Policy {
    /// Whether a path may be read.
    pub fn reads(&self, path: &Path) -> bool {
        let mut at = path;
        loop {
            if let Some(rule) = self.rules.iter().find(|rule| rule.path == at) {
                return rule.readable;
            }
            let Some(parent) = at.parent() else { return true };
            if self.is_dotted(at, parent) {
                return false;
            }
            at = parent;
        }
    }

    /// Whether a path may be written.
    pub fn may_write(&self, path: &Path) -> bool {
        self.writes.iter().chain(&self.devices).any(|writable| path.starts_with(writable))
    }

    /// Lends it a folder for temporary files.
    pub(crate) fn lend(&mut self, scratch: &Path) {
        let path = scratch.canonicalize().unwrap_or_else(|_| scratch.to_owned());
        self.rules.push(Rule { path: path.clone(), readable: true });
        self.writes.push(path.clone());
        self.scratch = path;
    }

    fn is_dotted(&self, path: &Path, parent: &Path) -> bool {
        path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."))
            && self.homes.iter().any(|home| home == parent)
    }

    /// The paths that together are everything readable: Landlock can only allow, so that beside each hidden path the
    /// other entries of every folder above it are named, and such a folder cannot be listed. `list` gives the entries of a
    /// folder that are no links: what a link leads to is readable, or not, where it is.
    pub fn readable(&self, list: &dyn Fn(&Path) -> Vec<OsString>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        self.visit(Path::new("/"), self.reads(Path::new("/")), list, &mut found);
        found
    }

    fn visit(
        &self,
        path: &Path,
        readable: bool,
        list: &dyn Fn(&Path) -> Vec<OsString>,
        found: &mut Vec<PathBuf>,
    ) {
        let below = || self.rules.iter().filter(|rule| rule.path != path && rule.path.starts_with(path));
        let homes = || self.homes.iter().filter(|home| home.starts_with(path));
        let mixed = below().any(|rule| rule.readable != readable) || readable && homes().next().is_some();
        if !mixed {
            if readable {
                found.push(path.to_owned());
            }
            return;
        }
        let mut names = BTreeSet::new();
        for below in below().map(|rule| &rule.path).chain(homes()) {
            if let Some(name) = below.strip_prefix(path).ok().and_then(|rest| rest.iter().next()) {
                names.insert(name.to_owned());
            }
        }
        if readable {
            names.extend(list(path));
        }
        for name in names {
            let child = path.join(name);
            let readable = match self.rules.iter().find(|rule| rule.path == child) {
                Some(rule) => rule.readable,
                None => readable && !self.is_dotted(&child, path),
            };
            self.visit(&child, readable, list, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let rule = |path: &str, readable| Rule { path: path.into(), readable };
        Policy {
            homes: vec!["/home/ada".into()],
            rules: vec![
                rule("/tmp", false),
                rule("/etc/shadow", false),
                rule("/usr/lib/python3", true),
                rule("/home/ada/.cargo", true),
                rule("/home/ada/.cargo/credentials.toml", false),
                rule("/home/ada/.cache/overnight/lab/slots/1", true),
                rule("/home/ada/lab/.git/overnight", false),
            ],
            ..Policy::default()
        }
    }

    fn list(path: &Path) -> Vec<OsString> {
        let names: &[&str] = match path.to_str().unwrap_or_default() {
            "/" => &["bin", "etc", "home", "tmp", "usr"],
            "/etc" => &["passwd", "shadow", "ssl"],
            "/home" => &["ada", "bob"],
            "/home/ada" => &[".bashrc", ".cache", ".cargo", ".ssh", "data", "lab"],
            "/home/ada/.cargo" => &["bin", "credentials.toml", "registry"],
            "/home/ada/lab" => &[".git", "train.py"],
            "/home/ada/lab/.git" => &["HEAD", "objects", "overnight"],
            other => panic!("{other} need not be looked at"),
        };
        names.iter().map(OsString::from).collect()
    }

    #[test]
    fn everything_but_what_is_hidden_is_named() {
        let found: Vec<String> =
            policy().readable(&list).iter().map(|path| path.display().to_string()).collect();
        insta::assert_snapshot!(found.join("\n"), @r##"
        /bin
        /etc/passwd
        /etc/ssl
        /home/ada/.cache/overnight/lab/slots/1
        /home/ada/.cargo/bin
        /home/ada/.cargo/registry
        /home/ada/data
        /home/ada/lab/.git/HEAD
        /home/ada/lab/.git/objects
        /home/ada/lab/train.py
        /home/bob
        /usr
        "##);
    }

    #[test]
    fn the_deepest_rule_decides() {
        let policy = policy();
        let reads = |path: &str| policy.reads(Path::new(path));
        assert!(reads("/usr/lib/x") && reads("/home/ada/data/x") && reads("/home/bob/.ssh"));
        assert!(reads("/home/ada/.cargo/registry/x") && reads("/home/ada/.cache/overnight/lab/slots/1/tree"));
        for hidden in [
            "/tmp/x",
            "/etc/shadow",
            "/home/ada/.ssh/id",
            "/home/ada/.cargo/credentials.toml",
            "/home/ada/.cache/x",
        ] {
            assert!(!reads(hidden), "{hidden}");
        }
    }
}
