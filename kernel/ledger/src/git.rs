//! The `git` program, for what libgit2 cannot do: worktrees, and filters such as LFS.
//!
//! It sees no variable that would point it elsewhere, asks nothing, and runs none of the
//! researcher's hooks, file monitors or background maintenance.

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::LedgerError;

/// Variables that point git to another repository, index or object store.
const ELSEWHERE: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
];

/// Settings that keep a command to what it was asked for.
const SETTINGS: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "core.splitIndex=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// One call of `git`.
pub(crate) struct Git {
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Git {
    /// Runs in `folder`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), env: Vec::new() }
    }

    /// Uses this file in place of the repository's index.
    pub(crate) fn with_index(mut self, file: &Path) -> Self {
        self.env.push(("GIT_INDEX_FILE".into(), file.into()));
        self
    }

    /// Writes objects there in place of the repository's, which it reads where the folder names them.
    pub(crate) fn with_objects(mut self, folder: &Path) -> Self {
        self.env.push(("GIT_OBJECT_DIRECTORY".into(), folder.into()));
        self
    }

    /// Has this variable in its environment.
    pub(crate) fn with_mark(mut self, mark: Option<(String, String)>) -> Self {
        self.env.extend(mark.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The command without its arguments, with everything around it set.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.folder);
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }

    /// Runs it to its end and gives what it printed, without the last line feed.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, LedgerError> {
        self.run_with(arguments, &[])
    }

    /// The same, with `input` to read; it is to print little before it has read that.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<String, LedgerError> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let mut command = self.command();
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("GIT_TERMINAL_PROMPT", "0");
        let mut child = command.args(&arguments).spawn().map_err(LedgerError::NoGit)?;
        if let Some(mut stdin) = child.stdin.take() {
            // Where it has ended before, its status and its words tell why.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(LedgerError::NoGit)?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            return Ok(text.trim_end_matches('\n').to_owned());
        }
        let said =
            String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        let words: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        Err(LedgerError::Command {
            command: words.join(" "),
            output: format!("{} ({})", said.trim(), output.status),
        })
    }
}
