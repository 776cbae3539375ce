//! Making the policy of a slot: what of this machine a lab needs, and what is nobody else's business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab::{Lab, Limits};

use super::{Facts, PROC, Policy, Rule, tools};
use crate::{Paths, Variables};

/// Entries of a home, dot in front or not, that hold programs, packages and downloads, and no keys.
const NEEDED: [&str; 45] = [
    ".cargo",
    ".rustup",
    ".pyenv",
    ".conda",
    ".mamba",
    ".miniconda3",
    ".miniforge3",
    ".micromamba",
    ".virtualenvs",
    ".nvm",
    ".volta",
    ".bun",
    ".deno",
    ".asdf",
    ".rye",
    ".julia",
    ".juliaup",
    ".ghcup",
    ".stack",
    ".opam",
    ".sdkman",
    ".elan",
    ".nix-profile",
    ".local/bin",
    ".local/lib",
    ".local/share/uv",
    ".local/share/virtualenvs",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/R",
    ".cache/uv",
    ".cache/pip",
    ".cache/huggingface",
    ".cache/autoresearch",
    ".cache/torch",
    ".cache/triton",
    ".cache/fontconfig",
    ".cache/matplotlib",
    ".cache/kagglehub",
    ".cache/whisper",
    ".cache/clip",
    ".keras/datasets",
    ".nv",
    ".triton",
    ".nltk_data",
];

/// Keys that lie among them.
const KEYS: [&str; 9] = [
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens",
    ".local/share/uv/credentials",
    ".rye/credentials",
    ".stack/upload",
    ".julia/servers",
    ".conda/.anaconda",
];

/// Variables that point to what a lab needs: a path, or several with `:` between them.
const POINTERS: [&str; 30] = [
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "UV_CACHE_DIR",
    "UV_PYTHON_INSTALL_DIR",
    "UV_PROJECT_ENVIRONMENT",
    "UV_TOOL_DIR",
    "UV_FIND_LINKS",
    "PIP_CACHE_DIR",
    "PIP_FIND_LINKS",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "TORCH_HOME",
    "TRITON_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCH_EXTENSIONS_DIR",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_CACHE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PYENV_ROOT",
    "PATH",
];

/// Keys below what a variable points to.
const KEYS_BELOW: [(&str, &str); 4] = [
    ("CARGO_HOME", "credentials"),
    ("CARGO_HOME", "credentials.toml"),
    ("HF_HOME", "token"),
    ("HF_HOME", "stored_tokens"),
];

/// Programs whose own folder is needed wherever it is.
const PROGRAMS: [&str; 8] = ["python3", "python", "uv", "cargo", "rustc", "node", "julia", "nvcc"];

/// What of the system is nobody's business.
const HIDDEN: [&str; 15] = [
    "/tmp",
    "/var/tmp",
    "/dev",
    "/run/user",
    "/run/secrets",
    "/var/run/secrets",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/ssl/private",
    "/etc/krb5.keytab",
    "/etc/ssh",
    "/boot",
];

/// How many repositories deep git looks for objects of others.
const BORROWED: u32 = 5;

/// Devices that programs use, and that of GPUs.
const DEVICES: [&str; 12] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/dri",
    "/dev/kfd",
    "/dev/infiniband",
    "/dev/nvidia-caps",
];

/// Where a lab's runs happen: everything that a policy depends on beside the lab.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The researcher's checkout.
    pub root: &'a Path,
    /// The folders of the lab.
    pub paths: &'a Paths,
    /// The caller's environment.
    pub variables: &'a Variables,
    /// What this machine can enforce.
    pub facts: &'a Facts,
}

impl Ground<'_> {
    /// What builds and runs in a slot may do.
    pub fn policy(&self, slot: u32, lab: &Lab) -> Policy {
        let homes = self.homes();
        let mut rules = Rules::default();
        for path in HIDDEN {
            rules.set(Path::new(path), false);
        }
        for home in &homes {
            hide_targets(home, &mut rules);
        }
        self.show_needed(&homes, &mut rules);
        self.show_checkout(lab, &mut rules);

        let tree = self.paths.tree(slot);
        let tools = self.paths.tools(slot);
        for path in [&self.paths.state, &self.paths.runtime, &self.paths.cache] {
            rules.set(path, false);
        }
        if let Some(all) = self.paths.cache.parent().filter(|all| all.ends_with("overnight")) {
            rules.set(all, false);
        }
        let mut writes = vec![tree.clone(), tools.clone(), PathBuf::from("/dev/shm")];
        writes.extend(lab.writes.iter().map(|path| self.placed(path)));
        for path in lab.reads.iter().map(|path| self.placed(path)).chain(writes.iter().cloned()) {
            rules.set(&path, true);
        }
        let devices = devices();
        for device in &devices {
            rules.set(device, true);
        }
        let mut dotted = homes;
        dotted.push(resolved(self.root));
        Policy {
            way: self.facts.way(),
            held: self.facts.warden,
            homes: dotted,
            rules: rules.0.into_iter().map(|(path, readable)| Rule { path, readable }).collect(),
            writes: writes.iter().map(|path| resolved(path)).filter(|path| path.exists()).collect(),
            devices,
            network: lab.network,
            scratch: PathBuf::new(),
            counted: vec![tree, tools],
            limits: Limits { memory: Some(lab.limits.memory.unwrap_or_else(most_memory)), ..lab.limits },
            locked: None,
        }
    }

    /// The first of the lab's `writes` that would let a run change the history, and with it what it is judged by.
    pub fn too_much<'l>(&self, lab: &'l Lab) -> Option<&'l str> {
        let own =
            [self.paths.state.parent().unwrap_or(&self.paths.state), &self.paths.cache, &self.paths.runtime];
        let own = own.map(resolved);
        lab.writes.iter().map(String::as_str).find(|path| {
            let path = resolved(&self.placed(path));
            own.iter().any(|own| own.starts_with(&path) || path.starts_with(own))
        })
    }

    /// Adds what a sandboxed command finds in its environment.
    pub fn settle(&self, slot: u32, lab: &Lab, environment: &mut BTreeMap<String, String>) {
        for name in &lab.env {
            if let Some(value) = self.variables.get(name) {
                environment.insert(name.clone(), value.to_owned());
            }
        }
        tools::settle(environment, &self.paths.tools(slot), lab.network);
    }

    /// Makes the folder of a slot's tools.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_tools(&self, slot: u32) -> std::io::Result<()> {
        let folder = self.paths.tools(slot);
        std::fs::create_dir_all(&folder)?;
        let given = self.variables.get("UV_CACHE_DIR").map(PathBuf::from);
        let usual = self.variables.get("XDG_CACHE_HOME").map(PathBuf::from);
        let usual = usual.or_else(|| Some(self.home()?.join(".cache"))).map(|caches| caches.join("uv"));
        match given.or(usual) {
            Some(person) => tools::uv_cache(&person, &folder),
            None => Ok(()),
        }
    }

    /// A path as the program names it: absolute, in the home, or in the checkout.
    pub fn placed(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home().unwrap_or_else(|| self.root.to_owned()).join(rest),
            None => self.root.join(path),
        }
    }

    fn home(&self) -> Option<PathBuf> {
        self.variables.get("HOME").map(PathBuf::from)
    }

    /// The caller's homes: as told and as the system has it.
    fn own_homes(&self) -> Vec<PathBuf> {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
        self.home().into_iter().chain(user).map(|home| resolved(&home)).collect()
    }

    /// The homes of this machine: the caller's, root's, and all in `/home`.
    fn homes(&self) -> Vec<PathBuf> {
        let others = std::fs::read_dir("/home").into_iter().flatten().flatten().map(|entry| entry.path());
        let others = [PathBuf::from("/root")].into_iter().chain(others).map(|home| resolved(&home));
        let mut homes: Vec<PathBuf> = self.own_homes().into_iter().chain(others).collect();
        homes.sort();
        homes.dedup();
        homes
    }

    fn show_needed(&self, homes: &[PathBuf], rules: &mut Rules) {
        let own = self.own_homes();
        for home in &own {
            for path in NEEDED {
                rules.set(&home.join(path), true);
            }
        }
        for name in POINTERS {
            let all = self.variables.get(name).unwrap_or_default();
            for path in all.split(':').filter(|path| path.starts_with('/')) {
                let path = resolved(Path::new(path));
                // What names a whole home, or all there is, would show more than it means to.
                if path.parent().is_some() && !homes.iter().any(|home| home.starts_with(&path)) {
                    rules.set(&path, true);
                    if name == "PATH" {
                        self.show_prefix(&path, homes, rules);
                    }
                }
            }
        }
        if let Some(caches) = self.variables.get("XDG_CACHE_HOME") {
            for path in NEEDED.iter().filter_map(|path| path.strip_prefix(".cache/")) {
                rules.set(&Path::new(caches).join(path), true);
            }
        }
        for program in PROGRAMS {
            let found = self.variables.find(program).and_then(|path| path.canonicalize().ok());
            if let Some(folder) = found.as_deref().and_then(Path::parent) {
                self.show_prefix(folder, homes, rules);
            }
        }
        for home in &own {
            for path in KEYS {
                rules.set(&home.join(path), false);
            }
        }
        if let Some(caches) = self.variables.get("XDG_CACHE_HOME") {
            for path in KEYS.iter().filter_map(|path| path.strip_prefix(".cache/")) {
                rules.set(&Path::new(caches).join(path), false);
            }
        }
        for (name, below) in KEYS_BELOW {
            if let Some(folder) = self.variables.get(name) {
                rules.set(&Path::new(folder).join(below), false);
            }
        }
    }

    /// The installation that a folder of programs belongs to: `lib` stands beside `bin`.
    fn show_prefix(&self, bin: &Path, homes: &[PathBuf], rules: &mut Rules) {
        let prefix = bin.parent().filter(|prefix| bin.ends_with("bin") && prefix.join("lib").is_dir());
        let Some(prefix) = prefix else { return };
        let shared = prefix.ends_with(".local") || homes.iter().any(|home| home.starts_with(prefix));
        if prefix.parent().is_some() && !shared {
            rules.set(prefix, true);
        }
    }

    /// The checkout, whose dot-files are hidden as a home's are: `.env` holds keys more often than not.
    fn show_checkout(&self, lab: &Lab, rules: &mut Rules) {
        rules.set(self.root, true);
        for path in [".venv", ".git"] {
            rules.set(&self.root.join(path), true);
        }
        for input in &lab.inputs {
            let path = self.root.join(input.trim_end_matches('/'));
            rules.set(&path, true);
            if let Ok(python) = path.join("bin/python").canonicalize()
                && let Some(folder) = python.parent()
            {
                self.show_prefix(folder, &[], rules);
            }
        }
        if let Some(git) = self.paths.state.parent() {
            rules.set(git, true);
            for objects in borrowed(&git.join("objects"), BORROWED) {
                rules.set(&objects, true);
            }
            for config in ["config", "config.worktree"].map(|name| git.join(name)) {
                if holds_credential(&std::fs::read_to_string(&config).unwrap_or_default()) {
                    rules.set(&config, false);
                }
            }
        }
    }
}

/// Where a repository finds objects of others, and they of others again.
fn borrowed(objects: &Path, depth: u32) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let direct: Vec<PathBuf> = lines.map(|line| objects.join(line)).collect();
    if depth == 0 {
        return direct;
    }
    let further: Vec<PathBuf> = direct.iter().flat_map(|path| borrowed(path, depth - 1)).collect();
    [direct, further].concat()
}

/// Rules by path; a later one takes the place of an earlier one on the same path.
#[derive(Default)]
struct Rules(BTreeMap<PathBuf, bool>);

impl Rules {
    /// What is not there needs no rule: it is nobody's, and Landlock could not name it.
    fn set(&mut self, path: &Path, readable: bool) {
        if let Ok(path) = path.canonicalize() {
            self.0.insert(path, readable);
        }
    }
}

/// Hides what the hidden entries of a home are links to, as in a folder of dot-files kept in git.
fn hide_targets(home: &Path, rules: &mut Rules) {
    let Ok(entries) = std::fs::read_dir(home) else { return };
    for entry in entries.flatten() {
        let dotted = entry.file_name().as_encoded_bytes().starts_with(b".");
        let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if let (true, true, Ok(target)) = (dotted, link, entry.path().canonicalize())
            && !home.starts_with(&target)
            && target.components().count() > 2
        {
            rules.set(&target, false);
        }
    }
}

/// Whether a git configuration holds a password or a token.
pub(super) fn holds_credential(config: &str) -> bool {
    config.lines().map(str::trim).any(|line| {
        let lower = line.to_ascii_lowercase();
        let userinfo = line.split("://").skip(1).any(|rest| {
            let authority = rest.split(['/', '"', ' ']).next().unwrap_or_default();
            authority.split_once('@').is_some_and(|(user, _)| user.contains(':') || user.len() > 20)
        });
        userinfo || lower.starts_with("extraheader") || lower.starts_with("password")
    })
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The devices that are there.
fn devices() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let before = found.len();
    found.extend(
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"nvidia")).map(|e| e.path()),
    );
    if found.len() > before {
        // CUDA gives its threads names, and does not begin where it cannot.
        found.push(PROC.into());
    }
    found.sort();
    found.dedup();
    found
}

/// Nine tenths of what the machine, or the group of processes that this one is in, has.
fn most_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let machine = machine.map_or(u64::MAX, |kilobytes| kilobytes * 1024);
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok());
    machine.min(group.unwrap_or(u64::MAX)) / 10 * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_git_configuration() {
        for yes in [
            "[remote \"origin\"]\n\turl = https://ada:secret@example.org/lab.git\n",
            "[remote \"origin\"]\n\turl = https://ghp_0123456789abcdefghijklmnop@github.com/ada/lab\n",
            "[http \"https://example.org/\"]\n\textraheader = AUTHORIZATION: basic abc\n",
        ] {
            assert!(holds_credential(yes), "{yes}");
        }
        for no in [
            "[remote \"origin\"]\n\turl = https://github.com/ada/lab\n",
            "[remote \"origin\"]\n\turl = ssh://git@example.org/lab.git\n",
            "[remote \"origin\"]\n\turl = git@github.com:ada/lab.git\n",
            "[user]\n\temail = ada@example.org\n",
        ] {
            assert!(!holds_credential(no), "{no}");
        }
    }
}
