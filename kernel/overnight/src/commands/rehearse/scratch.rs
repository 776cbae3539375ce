//! A copy of a lab to play with: its objects are the lab's own, read only; everything that is written is written
//! below the cache, and goes away with it.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Lab, Tag};
use ledger::Ledger;
use runner::gc::Freed;
use runner::processes::Process;
use runner::rehearsal::Setup;
use runner::{Paths, disk_usage};

use crate::failure::Failure;
use crate::session::{Session, cache_home, private_folder};

/// Which of the lab's own git settings hold in the copy: who commits, and how files are converted.
const SETTINGS: [&str; 5] = ["user.", "filter.", "lfs.", "core.autocrlf", "core.eol"];
/// Build folders up to this size, in bytes, are copied, so that the copy does not build everything anew.
const CACHES: u64 = 4 << 30;
/// The file in a rehearsal's folder that says whose it is.
const OWNER: &str = "owner";
/// How long a folder that cannot be removed is tried again.
const PATIENCE: Duration = Duration::from_secs(2);

/// A copy of a lab, removed when it is dropped, with whatever runs in it.
pub(super) struct Scratch {
    home: PathBuf,
    session: Session,
    paths: Paths,
    /// How many files were copied.
    pub(super) files: usize,
    /// How many bytes of build folders were.
    pub(super) caches: u64,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        runner::rehearsal::discard(&self.paths);
        remove(&self.paths.cache);
        remove(&self.home);
    }
}

impl Scratch {
    /// Copies what the researcher sees: HEAD, index and the tracked files as they are now. `tags` start where `tag`
    /// would start tonight.
    pub(super) fn make(
        session: &Session,
        ledger: &Ledger,
        lab: &Lab,
        tag: &Tag,
        tags: &[&Tag],
        setup: Setup,
    ) -> Result<Self, Failure> {
        sweep(false)?;
        let home = copies()?.join(std::process::id().to_string());
        private_folder(&home)?;
        let owner = serde_json::to_vec(&Process::current()).map_err(|e| Failure::new(e.to_string()))?;
        write(&home.join(OWNER), &owner)?;
        let name = ledger.root().file_name().unwrap_or("lab".as_ref());
        let root = home.join(name);
        let files = copy(ledger.root(), &root)?;
        if let Some(best) = ledger.best(tag)? {
            for tag in tags {
                let name = format!("refs/overnight/best/{tag}");
                git(&root, &["update-ref", &name, best.as_str()], &[])?;
            }
        }
        let session = Session { folder: root.clone(), ..session.clone() };
        let copied = Ledger::open(&root)?;
        let paths = session.paths(&copied)?;
        let mut scratch = Self { home, session, paths, files, caches: 0 };
        if setup != Setup::Due {
            runner::executor::link_inputs(ledger.root(), &root, lab)?;
            runner::rehearsal::call_setup_done(&scratch.paths, lab)?;
        }
        let real = scratch.session_of(ledger)?;
        scratch.caches = scratch.seed(&copied, lab, &real)?;
        Ok(scratch)
    }

    fn session_of(&self, ledger: &Ledger) -> Result<Paths, Failure> {
        self.session.paths(ledger)
    }

    /// The session of the copy.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Where the copy's runner keeps its files.
    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The copy's checkout.
    pub(super) fn root(&self) -> &Path {
        &self.session.folder
    }

    /// Copies the build folders of the lab's own first slot, where there are any.
    fn seed(&self, copied: &Ledger, lab: &Lab, real: &Paths) -> Result<u64, Failure> {
        let from = real.tree(0);
        let there = lab.caches.iter().map(|cache| cache.trim_end_matches('/'));
        let there: Vec<&str> = there.filter(|cache| from.join(cache).is_dir()).collect();
        let size: u64 = there.iter().map(|cache| disk_usage(&from.join(cache))).sum();
        if there.is_empty() || size > CACHES {
            return Ok(0);
        }
        let tree = self.paths.tree(0);
        copied.worktree(&tree, &copied.head()?, &[])?;
        for cache in there {
            let to = tree.join(cache);
            make_parent(&to)?;
            let copied = Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .args([&from.join(cache), &to])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            // The build makes it anew.
            if !copied.is_ok_and(|status| status.success()) {
                remove(&to);
            }
        }
        Ok(size)
    }
}

/// Removes what rehearsals that were killed have left behind, or says what it would free.
pub(in crate::commands) fn sweep(dry: bool) -> Result<Freed, Failure> {
    let mut freed = Freed { what: "copies of rehearsals that were killed", count: 0, bytes: 0 };
    for home in fs::read_dir(copies()?).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let owner = fs::read(home.join(OWNER)).ok();
        let owner = owner.and_then(|bytes| serde_json::from_slice::<Process>(&bytes).ok());
        if owner.is_some_and(Process::lives) {
            continue;
        }
        let labs = fs::read_dir(&home).into_iter().flatten().flatten().map(|entry| entry.path());
        let paths: Vec<Paths> = labs.filter_map(|lab| paths_of(&lab).ok()).collect();
        let folders = || paths.iter().map(|paths| &paths.cache).chain([&home]);
        freed.count += 1;
        freed.bytes += folders().map(|folder| disk_usage(folder)).sum::<u64>();
        if !dry {
            paths.iter().for_each(runner::rehearsal::discard);
            folders().for_each(|folder| remove(folder));
        }
    }
    Ok(freed)
}

/// Where the copies are.
fn copies() -> Result<PathBuf, Failure> {
    Ok(cache_home()?.join("rehearsals"))
}

fn paths_of(lab: &Path) -> Result<Paths, Failure> {
    Session::new(lab.to_owned(), false).paths(&Ledger::open(lab)?)
}

/// Makes `to` a repository whose history and checkout are those of `from`. Returns how many files it has.
fn copy(from: &Path, to: &Path) -> Result<usize, Failure> {
    fs::create_dir_all(to).map_err(|error| Failure::io("make", to, &error))?;
    let told = |arguments: &[&str]| -> Result<String, Failure> {
        let answer = git(from, arguments, &[])?;
        Ok(String::from_utf8_lossy(&answer).trim_end_matches('\n').to_owned())
    };
    let format = told(&["rev-parse", "--show-object-format"]).unwrap_or_else(|_| "sha1".to_owned());
    git(to, &["init", "--quiet", "--template=", &format!("--object-format={format}")], &[])?;
    let own = to.join(".git");
    let theirs = |name: &str| -> Result<PathBuf, Failure> {
        Ok(from.join(told(&["rev-parse", "--path-format=absolute", "--git-path", name])?))
    };
    let objects = theirs("objects")?;
    let alternates = own.join("objects/info/alternates");
    make_parent(&alternates)?;
    write(&alternates, &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
    for name in ["shallow", "info/attributes", "info/exclude"] {
        let (there, here) = (theirs(name)?, own.join(name));
        if there.is_file() {
            make_parent(&here)?;
            fs::copy(&there, &here).map_err(|error| Failure::io("copy", &there, &error))?;
        }
    }
    for setting in git(from, &["config", "--local", "--list", "-z"], &[])?.split(|b| *b == 0) {
        let setting = String::from_utf8_lossy(setting);
        if let Some((name, value)) = setting.split_once('\n')
            && SETTINGS.iter().any(|wanted| name.starts_with(wanted))
        {
            git(to, &["config", "--add", name, value], &[])?;
        }
    }
    let head = told(&["rev-parse", "HEAD"])?;
    let branch =
        told(&["symbolic-ref", "--quiet", "HEAD"]).unwrap_or_else(|_| "refs/heads/rehearsal".to_owned());
    git(to, &["symbolic-ref", "HEAD", &branch], &[])?;
    git(to, &["update-ref", &branch, &head], &[])?;
    let entries = git(from, &["ls-files", "--stage", "-z"], &[])?;
    git(to, &["update-index", "-z", "--index-info"], &entries)?;
    let absent: Vec<u8> = git(from, &["ls-files", "-t", "-z"], &[])?
        .split(|b| *b == 0)
        .filter_map(|line| line.strip_prefix(b"S "))
        .flat_map(|path| [path, b"\0".as_slice()].concat())
        .collect();
    if !absent.is_empty() {
        git(to, &["update-index", "-z", "--skip-worktree", "--stdin"], &absent)?;
    }
    let mut files = 0;
    for path in git(from, &["ls-files", "-z"], &[])?.split(|b| *b == 0).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
        files += usize::from(copy_file(&from.join(&path), &to.join(&path))?);
    }
    Ok(files)
}

/// A commit that has the files of `commit` and follows it.
pub(super) fn again(root: &Path, commit: &lab::CommitId) -> Result<String, Failure> {
    let author = ["-c", "user.name=Overnight", "-c", "user.email=overnight@localhost"];
    let tree = format!("{commit}^{{tree}}");
    let make = ["commit-tree", tree.as_str(), "-p", commit.as_str(), "-m", "The baseline beside others"];
    let made = git(root, &[author.as_slice(), make.as_slice()].concat(), &[])?;
    Ok(String::from_utf8_lossy(&made).trim().to_owned())
}

/// Copies a file or a link; what is not there, and a submodule's folder, is left out.
fn copy_file(from: &Path, to: &Path) -> Result<bool, Failure> {
    let Ok(kind) = fs::symlink_metadata(from) else { return Ok(false) };
    if kind.is_dir() {
        return Ok(false);
    }
    make_parent(to)?;
    let copied = if kind.is_symlink() {
        fs::read_link(from).and_then(|target| symlink(target, to))
    } else {
        fs::copy(from, to).map(drop)
    };
    copied.map_err(|error| Failure::io("copy", from, &error))?;
    Ok(true)
}

/// Runs git in a folder, with `input`, and gives what it printed.
fn git(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::new(format!("git {}: {why}", arguments.join(" ")));
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (stdin, input) = (child.stdin.take(), input.to_owned());
    // Beside what it prints: neither of two full pipes may wait for the other.
    let writer = std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&input)));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let _ = writer.join();
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn make_parent(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| Failure::io("write", path, &error))
}

/// Removes a folder, also one in which a run has left folders that may not be written, or into which a process that is
/// being killed writes once more.
fn remove(path: &Path) {
    let begun = Instant::now();
    while path.exists() && fs::remove_dir_all(path).is_err() && begun.elapsed() < PATIENCE {
        open(path);
        thread::sleep(Duration::from_millis(5));
    }
}

fn open(folder: &Path) {
    let Ok(kind) = fs::symlink_metadata(folder) else { return };
    if kind.is_dir() {
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
        fs::read_dir(folder).into_iter().flatten().flatten().for_each(|entry| open(&entry.path()));
    }
}

/// The bytes of the files in a folder. No link is followed.
pub(super) fn length(path: &Path) -> u64 {
    let Ok(kind) = fs::symlink_metadata(path) else { return 0 };
    if !kind.is_dir() {
        return kind.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| length(&entry.path())).sum()
}
