//! The prelude: polars, the lab's frames and charts as a shared library that cells are linked against.
//!
//! Its source is part of this program. It is built once for each toolchain, by cargo, in a folder that all
//! kernels of a user share:
//!
//! ```text
//! prelude/<key>/crate/       the crate, as it was written here
//!               target/      what cargo made of it: a shared library, and the crates below it
//!               lib/         the shared library, where cells find it
//!               outline/     its source and polars' without the bodies of functions, for rust-analyzer
//!               standard/    the standard library's
//!               overnight/   the crate that cells depend on, which re-exports the shared library
//!               seed/        an evcxr crate that depends on it, and its target folder, with which workers begin
//!               progress     how far the build is: "45/312"
//!               build.log    what cargo said
//!               failure      why the last build failed
//!               ready        the build is complete
//! ```

mod links;
mod others;
mod outline;

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use links::link_tree;

/// The crate.
const FILES: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("../../prelude/Cargo.toml")),
    ("src/lib.rs", include_str!("../../prelude/src/lib.rs")),
    ("src/chart.rs", include_str!("../../prelude/src/chart.rs")),
    ("src/display.rs", include_str!("../../prelude/src/display.rs")),
    ("src/error.rs", include_str!("../../prelude/src/error.rs")),
    ("src/frames.rs", include_str!("../../prelude/src/frames.rs")),
    ("src/input.rs", include_str!("../../prelude/src/input.rs")),
    ("src/interrupt.rs", include_str!("../../prelude/src/interrupt.rs")),
];
/// The versions of all that the crate needs.
const LOCK: &str = include_str!("../../prelude/Cargo.lock");
/// How the crate and what it needs are compiled.
const PROFILE: &str = include_str!("prelude/profile.toml");
/// The crate that cells see as `overnight`.
const FACADE: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("prelude/facade/Cargo.toml")),
    ("build.rs", include_str!("prelude/facade/build.rs")),
    ("src/lib.rs", include_str!("prelude/facade/lib.rs")),
];
/// The crate that evcxr makes of each cell, as evcxr writes it: what cargo builds for this one fits for those.
const SEED: [(&str, &str); 2] =
    [("Cargo.toml", include_str!("prelude/seed.toml")), ("src/lib.rs", "pub use overnight::prelude::*;\n")];
/// What cargo reads beside evcxr's crate.
const WORKER: &str = include_str!("prelude/worker.toml");
/// What makes a prelude of all these.
const MAKER: [&str; 2] = [include_str!("prelude.rs"), include_str!("prelude/outline.rs")];

/// What cargo calls the crate that it built.
const LIBRARY: &str =
    if cfg!(target_os = "macos") { "libovernight_prelude.dylib" } else { "libovernight_prelude.so" };

/// Where a prelude is, built or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prelude {
    folder: PathBuf,
    /// For which machine the toolchain compiles: `x86_64-unknown-linux-gnu`.
    host: String,
}

/// How far the prelude is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Cells can use it.
    Ready,
    /// Somebody builds it: so many steps of so many are done; no steps while it begins.
    Building {
        /// Steps that are done.
        done: u32,
        /// All steps.
        total: u32,
    },
    /// It is not there, and nobody builds it.
    Missing,
}

/// Why the prelude cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PreludeError {
    /// There is no Rust toolchain.
    #[error("Rust cells need the Rust toolchain, and `{program}` does not start: {source}")]
    NoToolchain {
        /// What was to be started.
        program: &'static str,
        /// Why it does not.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("the prelude of Rust cells cannot be built at {path}: {source}")]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The question could not be asked.
    #[error("the prelude of Rust cells cannot be looked for: {0}")]
    Task(String),
    /// cargo cannot say what the prelude is made of.
    #[error("the prelude of Rust cells has no outline: {0}")]
    Outline(String),
    /// cargo failed.
    #[error("the prelude of Rust cells does not build:\n{last}\nAll of it is in {log}")]
    Build {
        /// The last lines that cargo said.
        last: String,
        /// Where all of them are.
        log: PathBuf,
    },
}

impl Prelude {
    /// The prelude for the toolchain at hand; `cache` is the folder that holds preludes and workers.
    pub fn find(cache: &Path) -> Result<Self, PreludeError> {
        let mut key = Sha256::new();
        let files = FILES.iter().chain(&FACADE).chain(&SEED).flat_map(|(name, text)| [*name, *text]);
        for text in files.chain([LOCK, PROFILE, WORKER]).chain(MAKER) {
            key.update(text);
            key.update([0]);
        }
        let version = rustc("-vV")?;
        key.update(&version);
        let key = hex::encode(&key.finalize()[..8]);
        let parent = cache.join("prelude");
        let failed = |source| PreludeError::Folder { path: parent.clone(), source };
        // By its true path, which cargo remembers, also where a link leads to it.
        let parent = fs::create_dir_all(&parent).and_then(|()| parent.canonicalize()).map_err(failed)?;
        Ok(Self { folder: parent.join(key), host: host(&version).to_owned() })
    }

    /// Where the crate is that cells depend on.
    pub fn crate_folder(&self) -> PathBuf {
        self.folder.join("overnight")
    }

    /// How far it is.
    pub fn state(&self) -> State {
        if self.folder.join("ready").exists() {
            return State::Ready;
        }
        let building = File::open(self.lock_path())
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)));
        if !building {
            return State::Missing;
        }
        let progress = fs::read_to_string(self.folder.join("progress")).unwrap_or_default();
        let (done, total) = steps(&progress).unwrap_or_default();
        State::Building { done, total }
    }

    /// Builds it, unless it is there; one process at a time does, the others wait for it.
    pub fn build(&self, progress: &mut dyn FnMut(u32, u32)) -> Result<(), PreludeError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PreludeError::Folder { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let lock = File::create(self.lock_path()).map_err(failed(&self.folder))?;
        lock.lock().map_err(failed(&self.folder))?;
        if self.state() == State::Ready {
            return Ok(());
        }
        let write = |name: &Path, text: &str| {
            let path = self.folder.join(name);
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder.and_then(|()| fs::write(&path, text)).map_err(failed(&path))
        };
        let _ = fs::remove_file(self.failure());
        for (folder, files) in [("crate", &FILES[..]), ("overnight", &FACADE), ("seed", &SEED)] {
            for (name, text) in files {
                write(&Path::new(folder).join(name), text)?;
            }
        }
        write(Path::new("crate/Cargo.lock"), LOCK)?;
        write(Path::new("crate/.cargo/config.toml"), PROFILE)?;
        write(Path::new("seed/.cargo/config.toml"), WORKER)?;
        self.inherit();
        let (source, outline) = (self.folder.join("crate"), self.folder.join("outline"));
        let built = self
            .cargo(&source, "../target", &["--locked"], progress)
            .and_then(|()| self.link_library())
            .and_then(|()| outline::write(&source, &outline))
            .and_then(|()| self.outline_standard())
            .and_then(|()| self.cargo(&self.folder.join("seed"), "target", &["--offline"], &mut |_, _| ()));
        if let Err(error) = built {
            write(Path::new("failure"), &error.to_string())?;
            return Err(error);
        }
        write(Path::new("ready"), "")?;
        others::prune(&self.folder);
        Ok(())
    }

    /// Keeps it from being removed until what is returned is dropped.
    pub(crate) fn hold(&self) -> io::Result<File> {
        others::hold(&self.folder)
    }

    /// The standard library's source for rust-analyzer; nothing where the toolchain came without.
    pub(crate) fn standard(&self) -> Option<PathBuf> {
        Some(self.folder.join("standard")).filter(|folder| folder.exists())
    }

    fn link_library(&self) -> Result<(), PreludeError> {
        let built = self.folder.join("target").join(&self.host).join("debug").join(LIBRARY);
        let library = self.folder.join("lib");
        let failed = |source| PreludeError::Folder { path: library.clone(), source };
        fs::create_dir_all(&library).map_err(failed)?;
        let _ = fs::remove_file(library.join(LIBRARY));
        fs::hard_link(&built, library.join(LIBRARY)).map_err(failed)
    }

    fn outline_standard(&self) -> Result<(), PreludeError> {
        let library =
            PathBuf::from(rustc("--print=sysroot")?.trim_end()).join("lib/rustlib/src/rust/library");
        if library.exists() {
            return outline::write_standard(&library, &self.folder.join("standard"));
        }
        tracing::info!(library = %library.display(), "the toolchain has no `rust-src`");
        Ok(())
    }

    /// The file that says why the last build failed.
    pub(crate) fn failure(&self) -> PathBuf {
        self.folder.join("failure")
    }

    /// Begins with what another version has built, of which cargo takes what fits: polars, as a rule.
    fn inherit(&self) {
        let target = self.folder.join("target");
        if target.exists() {
            return;
        }
        if let Some(other) = others::newest(&self.folder)
            && let Err(error) = link_tree(&other.join("target"), &target)
        {
            tracing::debug!(%error, "nothing is inherited");
            let _ = fs::remove_dir_all(&target);
        }
    }

    /// Lets a worker begin with what was built: `to` is evcxr's folder.
    pub(crate) fn seed(&self, to: &Path) -> io::Result<()> {
        let seed = self.folder.join("seed");
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent.join(".cargo"))?;
            fs::write(parent.join(".cargo/config.toml"), WORKER)?;
        }
        link_tree(&seed.join("target"), &to.join("target"))
    }

    /// Builds the crate in a folder as evcxr would, so that nothing is built again for the cells.
    fn cargo(
        &self,
        folder: &Path,
        target: &str,
        flags: &[&str],
        progress: &mut dyn FnMut(u32, u32),
    ) -> Result<(), PreludeError> {
        let log = self.folder.join("build.log");
        let failed = |source| PreludeError::Folder { path: self.folder.clone(), source };
        let mut child = Command::new("cargo")
            .arg("build")
            .args(flags)
            .arg("--target")
            .arg(&self.host)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_BUILD_BUILD_DIR", target)
            .env("RUSTFLAGS", "-Cprefer-dynamic")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "80")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| PreludeError::NoToolchain { program: "cargo", source })?;
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let mut line = Vec::new();
            for byte in BufReader::new(stderr).bytes() {
                let byte = byte.map_err(failed)?;
                if byte != b'\r' && byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                match building(&text) {
                    Some((done, total)) => {
                        progress(done, total);
                        // Only a picture: that it cannot be written harms nothing.
                        let _ = fs::write(self.folder.join("progress"), format!("{done}/{total}"));
                    }
                    None if text.trim().is_empty() => {}
                    None => said.push(text),
                }
            }
        }
        let status = child.wait().map_err(failed)?;
        fs::write(&log, said.join("\n")).map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let last = said[said.len().saturating_sub(12)..].join("\n");
        Err(PreludeError::Build { last, log })
    }

    fn lock_path(&self) -> PathBuf {
        self.folder.join("build.lock")
    }
}

/// What the compiler says of itself. `-vV`: its version, and for which machine it compiles.
fn rustc(question: &str) -> Result<String, PreludeError> {
    let output = Command::new("rustc")
        .arg(question)
        .output()
        .map_err(|source| PreludeError::NoToolchain { program: "rustc", source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn host(version: &str) -> &str {
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default()
}

/// The steps in cargo's own line of progress: `Building [====>    ] 45/312: polars-core`.
fn building(line: &str) -> Option<(u32, u32)> {
    let (_, rest) = line.split_once("Building [")?.1.split_once(']')?;
    steps(rest.split(':').next()?)
}

fn steps(text: &str) -> Option<(u32, u32)> {
    let (done, total) = text.trim().split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cargos_progress_is_read() {
        assert_eq!(building("    Building [===>       ] 45/312: polars-core, syn"), Some((45, 312)));
        assert_eq!(building("   Compiling polars-core v0.55.2"), None);
        assert_eq!(building("    Building [===>       ] soon"), None);
    }

    #[test]
    fn every_file_of_the_crate_is_carried() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prelude/src");
        let mut there: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("src/{}", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        there.sort();
        let mut carried: Vec<_> = FILES
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .filter(|name| name.starts_with("src/"))
            .collect();
        carried.sort();
        assert_eq!(carried, there);
    }
}
