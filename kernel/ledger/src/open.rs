//! Finds a lab's repository, or says why it cannot be used.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use git2::{Config, ErrorCode, Oid, Repository};
use lab::{CommitId, Tag};

use crate::{LedgerError, error::on_file, git::Git, known::Cached};

/// Longest writer id that is believed, in bytes.
const WRITER_BYTES: usize = 64;

/// The ledgers of one repository. Cheap to open; `Send`, one per thread.
///
/// It remembers what it has read, so a handle that is kept reads only what is new.
pub struct Ledger {
    pub(crate) repo: Repository,
    root: PathBuf,
    state: PathBuf,
    /// The id of this clone, once it was asked for.
    pub(crate) writer: OnceCell<String>,
    /// A variable, and its value, in the environment of every program that is run.
    mark: Option<(String, String)>,
    /// What was read of each ledger so far.
    pub(crate) cache: RefCell<HashMap<Tag, Cached>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the repository that `inside` is in, looking upwards.
    ///
    /// # Errors
    /// Where there is none, it is bare, has no commit yet, belongs to another user, or has a format
    /// that libgit2 cannot read (reftable, SHA-256): each with a hint.
    pub fn open(inside: &Path) -> Result<Self, LedgerError> {
        let repo = Repository::discover_path(inside, std::iter::empty::<PathBuf>())
            .map_err(|_| LedgerError::NoRepository(inside.to_owned()))
            .and_then(|found| open_readable(&found))?;
        let Some(root) = repo.workdir().filter(|_| !repo.is_bare()) else {
            return Err(LedgerError::Bare(repo.path().to_owned()));
        };
        let root = fs::canonicalize(root).map_err(|e| on_file(e, root))?;
        match repo.head().map(|head| head.peel_to_commit().is_ok()) {
            Ok(true) => {}
            Ok(false) => return Err(LedgerError::NoCommitYet(root)),
            Err(e) if matches!(e.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Err(LedgerError::NoCommitYet(root));
            }
            Err(e) => return Err(e.into()),
        }
        let state = repo.commondir().join("overnight");
        make_private(&state)?;
        let (writer, cache) = Default::default();
        Ok(Self { repo, root, state, mark: None, writer, cache })
    }

    /// Lets go of packs that are no more, and keeps what was read: git's library holds a pack that was once open, and with
    /// it its room on the disk, as long as the repository is open.
    ///
    /// # Errors
    /// As [`open`](Self::open); it can be used as before then.
    pub fn reopen(&mut self) -> Result<(), LedgerError> {
        self.repo = open_readable(self.repo.path())?;
        Ok(())
    }

    /// The same with the repository of a handle on this lab that has just been opened.
    pub fn renew(&mut self, fresh: Self) {
        self.repo = fresh.repo;
    }

    /// Has every program that it runs know the variable `name`, so that they can be found and ended.
    #[must_use]
    pub fn marked(mut self, name: &str, value: &str) -> Self {
        self.mark = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// The root of the researcher's working tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where Overnight keeps its state: `overnight/` in the git common directory, made with mode 0700.
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The researcher's name, as git knows it, or `researcher`.
    pub fn author(&self) -> String {
        let name = self
            .repo
            .config()
            .and_then(|mut config| config.snapshot())
            .and_then(|c| c.get_string("user.name"));
        name.ok()
            .map(|n| n.trim().to_owned())
            .filter(|n| !n.is_empty())
            .unwrap_or_else(|| "researcher".to_owned())
    }

    /// The commit that the researcher's HEAD is at.
    pub fn head(&self) -> Result<CommitId, LedgerError> {
        Ok(commit_id(self.repo.head()?.peel_to_commit()?.id()))
    }

    /// The commit that `name` means to git: a branch, a tag, `HEAD~1`, the beginning of a commit's name.
    pub fn resolve(&self, name: &str) -> Result<CommitId, LedgerError> {
        let unknown = |_| LedgerError::UnknownCommit(name.to_owned());
        let commit =
            self.repo.revparse_single(name).and_then(|object| object.peel_to_commit()).map_err(unknown)?;
        Ok(commit_id(commit.id()))
    }

    /// Whether `ancestor` is `commit` or among those before it.
    pub fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, LedgerError> {
        let (ancestor, commit) = (self.commit(ancestor)?.id(), self.commit(commit)?.id());
        Ok(ancestor == commit || self.repo.graph_descendant_of(commit, ancestor)?)
    }

    /// The commit of that name.
    pub(crate) fn commit(&self, id: &CommitId) -> Result<git2::Commit<'_>, LedgerError> {
        let unknown = |_| LedgerError::UnknownCommit(id.as_str().to_owned());
        let oid = Oid::from_str(id.as_str()).map_err(unknown)?;
        self.repo.find_commit(oid).map_err(unknown)
    }

    /// The `git` program, in the researcher's checkout.
    pub(crate) fn git(&self) -> Git {
        self.git_in(&self.root)
    }

    /// The `git` program, in a worktree.
    pub(crate) fn git_in(&self, folder: &Path) -> Git {
        Git::in_folder(folder).with_mark(self.mark.clone())
    }

    /// Turns git's error on writing an object or a ref into one that names the folder.
    pub(crate) fn on_write(&self, error: git2::Error) -> LedgerError {
        crate::error::on_write(error, self.repo.commondir())
    }
}

/// Checks that a writer's id can be the name of a folder in a tree.
pub(crate) fn check_writer(id: &str) -> Result<(), LedgerError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if id.is_empty() || id.len() > WRITER_BYTES || !id.chars().all(plain) {
        let reason = format!("`{id}` is not 1 to {WRITER_BYTES} letters, digits, `-` and `_`");
        return Err(LedgerError::Malformed { what: "the writer's id".to_owned(), reason });
    }
    Ok(())
}

/// Our name for a commit.
pub(crate) fn commit_id(oid: Oid) -> CommitId {
    CommitId::new(oid.to_string())
}

/// Opens the repository whose git directory is `found`, if libgit2 can read its format.
fn open_readable(found: &Path) -> Result<Repository, LedgerError> {
    if let Some(format) = foreign_format(found) {
        return Err(LedgerError::Format { path: found.to_owned(), format });
    }
    Repository::open(found).map_err(|e| match e.code() {
        ErrorCode::Owner => LedgerError::NotYours(found.to_owned()),
        ErrorCode::NotFound => LedgerError::NoRepository(found.to_owned()),
        _ if e.message().contains("unsupported") => {
            LedgerError::Format { path: found.to_owned(), format: e.message().to_owned() }
        }
        _ => e.into(),
    })
}

/// The format of a repository that libgit2 is known not to read, from its config.
fn foreign_format(git_dir: &Path) -> Option<String> {
    let common = fs::read_to_string(git_dir.join("commondir"))
        .map_or_else(|_| git_dir.to_owned(), |text| git_dir.join(text.trim_end()));
    let config = Config::open(&common.join("config")).and_then(|mut config| config.snapshot()).ok()?;
    let refs = config
        .get_string("extensions.refstorage")
        .ok()
        .filter(|format| !format.eq_ignore_ascii_case("files"));
    let objects = config
        .get_string("extensions.objectformat")
        .ok()
        .filter(|format| !format.eq_ignore_ascii_case("sha1"));
    refs.or(objects).map(|format| format.to_ascii_lowercase())
}

/// Makes a folder that only its owner can look into.
fn make_private(path: &Path) -> Result<(), LedgerError> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if !path.is_dir() => Err(on_file(e, path)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::{Lab, git};

    fn error(path: &Path) -> LedgerError {
        Ledger::open(path).unwrap_err()
    }

    #[test]
    fn a_repository_is_found_from_a_folder_in_it() {
        let lab = Lab::new();
        lab.write("notebooks/a.ipynb", "{}");
        let ledger = Ledger::open(&lab.root().join("notebooks")).unwrap();
        assert_eq!(ledger.root(), fs::canonicalize(lab.root()).unwrap());
        assert_eq!(ledger.author(), "Ada");
        let mode = fs::metadata(ledger.state_dir()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(ledger.resolve("main").unwrap(), ledger.head().unwrap());
        assert_eq!(
            ledger.resolve("HEAD~7").unwrap_err().to_string(),
            "the repository has no commit `HEAD~7`"
        );
    }

    #[test]
    fn a_linked_worktree_shares_the_state_of_its_repository() {
        let lab = Lab::new();
        let linked = lab.beside("linked");
        lab.git(&format!("worktree add -q {}", linked.display()));
        let ledger = Ledger::open(&linked).unwrap();
        assert_eq!(
            fs::canonicalize(ledger.state_dir()).unwrap(),
            fs::canonicalize(lab.root().join(".git/overnight")).unwrap()
        );
        assert_eq!(ledger.writer().unwrap(), lab.ledger().writer().unwrap());
    }

    #[test]
    fn what_cannot_be_a_lab_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(matches!(error(path), LedgerError::NoRepository(_)));
        assert!(error(path).hint().contains("git init"));

        git(path, "init -q --bare bare");
        assert!(matches!(error(&path.join("bare")), LedgerError::Bare(_)));

        git(path, "init -q empty");
        let error_of_empty = error(&path.join("empty"));
        assert!(matches!(error_of_empty, LedgerError::NoCommitYet(_)));
        assert_eq!(error_of_empty.hint(), "Commit what you have: git add . && git commit -m start");
    }

    #[test]
    fn formats_that_libgit2_cannot_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, "init -q --object-format=sha256 sha256");
        git(path, "init -q --ref-format=reftable reftable");
        for format in ["sha256", "reftable"] {
            let error = error(&path.join(format));
            assert!(error.to_string().ends_with(&format!("cannot read: {format}")), "{error}");
        }
        assert!(error(&path.join("reftable")).hint().contains("git refs migrate"));

        git(path, "init -q other");
        git(&path.join("other"), "config core.repositoryformatversion 1");
        git(&path.join("other"), "config extensions.unheardof true");
        let error = error(&path.join("other"));
        assert!(
            matches!(&error, LedgerError::Format { format, .. } if format.contains("unheardof")),
            "{error}"
        );
    }
}
