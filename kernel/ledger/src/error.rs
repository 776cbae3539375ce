//! What can go wrong with a ledger, each with what to do about it.

use std::path::PathBuf;

use lab::{ExperimentId, Tag};

/// What went wrong: what, where and, by [`LedgerError::hint`], what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// No git repository here or above.
    #[error("{0} is not in a git repository")]
    NoRepository(PathBuf),
    /// A repository without a working tree.
    #[error("{0} is a bare repository, without a working tree")]
    Bare(PathBuf),
    /// A repository without a commit.
    #[error("the git repository {0} has no commit yet")]
    NoCommitYet(PathBuf),
    /// A repository whose owner is another user.
    #[error("the git repository {0} belongs to another user")]
    NotYours(PathBuf),
    /// A repository in a format that libgit2 cannot read.
    #[error("the git repository {path} is in a format that Overnight cannot read: {format}")]
    Format {
        /// The repository.
        path: PathBuf,
        /// The format, such as `reftable`.
        format: String,
    },
    /// The ledger was written by a newer version.
    #[error("the ledger of `{tag}` has schema {found}; this version reads up to {known}", known = crate::SCHEMA)]
    Newer {
        /// Which ledger.
        tag: Tag,
        /// Its schema.
        found: u64,
    },
    /// A commit that the repository does not have.
    #[error("the repository has no commit `{0}`")]
    UnknownCommit(String),
    /// An experiment that the ledger does not have.
    #[error("the ledger of `{tag}` has no experiment {id}")]
    UnknownExperiment {
        /// Which ledger.
        tag: Tag,
        /// Which experiment.
        id: ExperimentId,
    },
    /// Another experiment has the number.
    #[error("number {number} of `{tag}` is taken by experiment {by}")]
    NumberTaken {
        /// Which ledger.
        tag: Tag,
        /// The number.
        number: u64,
        /// Who has it.
        by: ExperimentId,
    },
    /// Something in the ledger, or to be written to it, is not what it should be.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// What, with its path.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path that a candidate cannot have.
    #[error("a candidate cannot have the path `{path}`: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Others moved the ref, or held its lock, for as long as we tried.
    #[error("could not move {name} in {seconds:.0} seconds: {reason}")]
    Busy {
        /// The ref.
        name: String,
        /// The file that locks it.
        lock: PathBuf,
        /// How long was tried.
        seconds: f64,
        /// What git said last.
        reason: String,
    },
    /// The disk is full.
    #[error("no space left to write to {path}: {reason}")]
    Full {
        /// Where.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It may not be written.
    #[error("cannot write to {path}: {reason}")]
    ReadOnly {
        /// Where.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The program `git` is missing.
    #[error("cannot run `git`: {0}")]
    NoGit(std::io::Error),
    /// A `git` command failed.
    #[error("`git {command}` failed: {output}")]
    Command {
        /// Its arguments.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Two clones gave the same number to different experiments: one is a copy of the other.
    #[error("both ledgers have an experiment {number} of the clone {writer}, and they are not the same")]
    Copied {
        /// The clone's id.
        writer: String,
        /// The number.
        number: u64,
    },
    /// There is no such remote.
    #[error("{}", no_remote(.named.as_deref()))]
    NoRemote {
        /// What was asked for.
        named: Option<String>,
        /// The remotes that there are.
        known: Vec<String>,
    },
    /// There is nothing of that line of research.
    #[error("{} has no ledger `{tag}`", .remote.as_deref().unwrap_or("this repository"))]
    NoLedger {
        /// The line of research.
        tag: Tag,
        /// The remote; `None` for this repository.
        remote: Option<String>,
    },
    /// Talking to a remote failed.
    #[error("{remote} cannot be reached, or refused: {said}")]
    Remote {
        /// The remote.
        remote: String,
        /// What git said.
        said: String,
    },
    /// Others were faster each time.
    #[error("{remote} moved each of the {tries} times that something was sent")]
    Moving {
        /// The remote.
        remote: String,
        /// How often it was tried.
        tries: u32,
    },
    /// Somebody ended it.
    #[error("interrupted")]
    Interrupted,
    /// `results.tsv` is not one.
    #[error("this is not a results.tsv: {0}")]
    Tsv(String),
    /// Anything else that git says.
    #[error("git: {}", .0.message())]
    Git(#[from] git2::Error),
}

impl LedgerError {
    /// What to do about it, in a sentence or two.
    pub fn hint(&self) -> String {
        match self {
            Self::NoRepository(path) => {
                format!("A lab is a git repository. To make one: cd {}; git init; git add .; git commit -m start", path.display())
            }
            Self::Bare(_) => "Open a clone that has a working tree: git clone it somewhere.".to_owned(),
            Self::NoCommitYet(_) => "Commit what you have: git add . && git commit -m start".to_owned(),
            Self::NotYours(path) => {
                format!("If you trust it: git config --global --add safe.directory {}", path.display())
            }
            Self::Format { format, .. } => format_hint(format),
            Self::Newer { .. } => "Update Overnight.".to_owned(),
            Self::UnknownCommit(_) => "`git fetch` it, or name another.".to_owned(),
            Self::UnknownExperiment { .. } => "See `experiments` for those that are there.".to_owned(),
            Self::NumberTaken { .. } => {
                "Two runners wrote to one clone, or a clone was copied with its .git/overnight: remove \
                 .git/overnight/writer in the copy."
                    .to_owned()
            }
            Self::Malformed { .. } => {
                "`git fsck` tells whether the repository is whole. An older ledger commit may have it: git log \
                 --first-parent on the ledger's ref."
                    .to_owned()
            }
            Self::Path { .. } => "Use a path relative to the repository's root, with `/`.".to_owned(),
            Self::Busy { lock, .. } => {
                format!("If no git command is running, remove {}", lock.display())
            }
            Self::Full { .. } => "Make room and resume; nothing that was recorded is lost.".to_owned(),
            Self::ReadOnly { path, .. } => {
                format!("Check its owner and permissions, and whether its file system is mounted read-only: ls -ld {}", path.display())
            }
            Self::NoGit(_) => "Install git 2.20 or newer and see that it is on the PATH.".to_owned(),
            Self::Command { .. } => "The same command in a terminal may tell more.".to_owned(),
            Self::File { path, .. } => format!("Check that {} can be read and written.", path.display()),
            Self::Copied { .. } => {
                "One of the two clones is a copy of the other with its .git/overnight, and both went on. To read \
                 theirs beside yours, merge it as another line of research: `--tag THEIRS --into NAME`. From now on \
                 a copy gets a name of its own."
                    .to_owned()
            }
            Self::NoRemote { known, named } if known.is_empty() && named.is_none() => {
                "Add one: git remote add origin URL. Or name an address or a folder.".to_owned()
            }
            Self::NoRemote { known, .. } if known.is_empty() => "Name an address or a folder.".to_owned(),
            Self::NoRemote { known, .. } => format!("There are: {}. Or name an address or a folder.", known.join(", ")),
            Self::NoLedger { remote: Some(_), .. } => "Whoever has it sends it there by `overnight share`.".to_owned(),
            Self::NoLedger { .. } => "`overnight loop start` begins one.".to_owned(),
            Self::Remote { .. } => {
                "Git itself has to reach it: try `git ls-remote` with the same remote in a terminal.".to_owned()
            }
            Self::Moving { .. } => "Try again in a moment; what was merged meanwhile stays.".to_owned(),
            Self::Interrupted => "Nothing is half sent: git moves a ref once everything is there.".to_owned(),
            Self::Tsv(_) => {
                "Its first line is `commit`, a metric, `memory_gb`, `status`, `description`, with tabs between.".to_owned()
            }
            Self::Git(_) => "`git fsck` tells whether the repository is whole.".to_owned(),
        }
    }
}

fn no_remote(named: Option<&str>) -> String {
    match named {
        Some(named) => format!("`{named}` is neither a remote of this repository nor the address of one"),
        None => "it is not clear which remote is meant".to_owned(),
    }
}

/// What to do about a format that libgit2 does not read.
fn format_hint(format: &str) -> String {
    match format {
        "reftable" => "Convert it: git refs migrate --ref-format=files (git 2.46 or newer).".to_owned(),
        "sha256" => "Use a repository with SHA-1 object names: git init --object-format=sha1.".to_owned(),
        _ => "Clone it anew with git's default settings: git clone.".to_owned(),
    }
}

/// Turns git's error on writing below `path` into one that says so.
pub(crate) fn on_write(error: git2::Error, path: &std::path::Path) -> LedgerError {
    let message = error.message();
    let (path, reason) = (path.to_owned(), message.to_owned());
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["No space left", "quota exceeded"]) {
        LedgerError::Full { path, reason }
    } else if has(&["Permission denied", "Read-only file system", "Operation not permitted"]) {
        LedgerError::ReadOnly { path, reason }
    } else {
        LedgerError::Git(error)
    }
}

/// Turns a system error on `path` into one that says so.
pub(crate) fn on_file(source: std::io::Error, path: &std::path::Path) -> LedgerError {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let path = path.to_owned();
    match source.kind() {
        StorageFull | QuotaExceeded => LedgerError::Full { path, reason: source.to_string() },
        PermissionDenied | ReadOnlyFilesystem => LedgerError::ReadOnly { path, reason: source.to_string() },
        _ => LedgerError::File { path, source },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use git2::{Error, ErrorClass, ErrorCode};

    use super::*;

    #[test]
    fn a_full_disk_is_told_with_its_path() {
        let said = "failed to write chunk of file: No space left on device";
        let error =
            on_write(Error::new(ErrorCode::GenericError, ErrorClass::Os, said), Path::new("/r/.git/objects"));
        insta::assert_snapshot!(error, @"no space left to write to /r/.git/objects: failed to write chunk of file: No space left on device");
        insta::assert_snapshot!(error.hint(), @"Make room and resume; nothing that was recorded is lost.");
    }

    #[test]
    fn a_folder_that_may_not_be_written_is_told_with_its_path() {
        let said = "failed to create temporary file '/r/.git/objects/tmp': Permission denied";
        let error =
            on_write(Error::new(ErrorCode::GenericError, ErrorClass::Os, said), Path::new("/r/.git/objects"));
        assert!(matches!(error, LedgerError::ReadOnly { .. }));
        let error = on_file(std::io::ErrorKind::StorageFull.into(), Path::new("/r/.git/overnight"));
        assert!(matches!(error, LedgerError::Full { .. }));
    }
}
