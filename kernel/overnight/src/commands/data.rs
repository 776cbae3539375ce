//! The data of a checkout of karpathy/autoresearch: what its `prepare.py` downloads to the home folder, once, and every
//! run reads there.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use lab::Lab;
use runner::Variables;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::child;
use crate::env;
use crate::failure::{ExitCode, Failure};
use crate::session::Session;
use crate::sink::Sink;
use crate::terminal;

/// The file that downloads it.
const SCRIPT: &str = "prepare.py";
/// How that is run.
const COMMAND: [&str; 3] = ["uv", "run", SCRIPT];
/// Where it keeps what it makes, below the home folder.
const CACHE: [&str; 2] = [".cache", "autoresearch"];
/// The folders there.
const FOLDERS: [&str; 2] = ["data", "tokenizer"];
/// How many lines of its output an error repeats.
const TAIL: usize = 15;

/// Data that is not there yet.
#[derive(Debug)]
pub(super) struct Missing {
    /// The checkout.
    root: PathBuf,
    lab: Lab,
    /// Where the data is to be.
    folder: PathBuf,
}

/// Sees to it that what the lab of a session reads is there, as [`Missing::prepare`] does.
pub(super) async fn ensure(unasked: bool, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    match Missing::of(session)? {
        Some(missing) => missing.prepare(unasked, session, sink).await,
        None => Ok(()),
    }
}

impl Missing {
    /// What is missing to the lab of a session. A lab with front matter says by `setup:` what it needs.
    pub(super) fn of(session: &Session) -> Result<Option<Self>, Failure> {
        let ledger = session.ledger()?;
        let lab = session.lab(&ledger)?;
        let home = session.env.get("HOME").cloned().or_else(|| env::var("HOME"));
        let folder = home.and_then(|home| missing(ledger.root(), &lab, Path::new(&home)));
        Ok(folder.map(|folder| Self { root: ledger.root().to_owned(), lab, folder }))
    }

    /// What a person is told.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.what())
            .hint(format!(
                "`loop start --prepare` downloads it, or run `{}` in {} yourself",
                COMMAND.join(" "),
                self.root.display()
            ))
            .code(ExitCode::Lab)
    }

    fn what(&self) -> String {
        let empty: Vec<&str> = FOLDERS.into_iter().filter(|name| is_empty(&self.folder.join(name))).collect();
        format!("karpathy's data is not there: {} lacks {}", self.folder.display(), empty.join(" and "))
    }

    /// Runs `prepare.py` in the checkout and shows what it prints; a person in a terminal is asked first, unless
    /// `unasked`. It needs the network and writes below the home folder, so that it is in no sandbox.
    pub(super) async fn prepare(
        &self,
        unasked: bool,
        session: &Session,
        sink: &dyn Sink,
    ) -> Result<(), Failure> {
        let command = COMMAND.join(" ");
        let mut variables = env::all();
        variables.extend(session.env.clone());
        runner::executor::preflight(&self.lab, &Variables(variables))?;
        let question = format!(
            "{}. Run `{command}` now? It downloads about 1 GB of text, and 4 GB of packages where uv does not have \
             them yet. [y/N] ",
            self.what()
        );
        // A notebook has nobody to ask, and JSON is for programs.
        let asks = session.cell.is_none() && !session.json;
        if !unasked && !(asks && terminal::ask(&question).await) {
            return Err(self.failure());
        }
        sink.line(&format!("`{command}` in {}:", self.root.display()));
        let (ended, tail) = self.run(session, sink).await?;
        if !ended.success() {
            return Err(Failure::new(format!("`{command}` ended with {ended}:\n{tail}")).hint(format!(
                "nothing was started; mend that, or run it by hand in {}",
                self.root.display()
            )));
        }
        if FOLDERS.iter().any(|name| is_empty(&self.folder.join(name))) {
            return Err(Failure::new(format!("`{command}` has ended, and {}:\n{tail}", self.what()))
                .hint(format!("nothing was started; see what it does in {}", self.root.display())));
        }
        Ok(())
    }

    /// How the script ended, and the last lines that it printed.
    async fn run(
        &self,
        session: &Session,
        sink: &dyn Sink,
    ) -> Result<(std::process::ExitStatus, String), Failure> {
        let [program, arguments @ ..] = COMMAND;
        let failed = |error| Failure::io("run", Path::new(program), &error);
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).envs(&session.env);
        // Else Python keeps what it prints to itself until there is much of it.
        command.env("PYTHONUNBUFFERED", "1");
        let (mut child, _group) = child::start(&mut command).map_err(failed)?;
        let (tell, mut told) = mpsc::channel(64);
        tokio::spawn(lines(child.stdout.take(), tell.clone()));
        tokio::spawn(lines(child.stderr.take(), tell));
        let mut tail = VecDeque::new();
        while let Some(line) = told.recv().await {
            sink.line(&line);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        let ended = child.wait().await.map_err(failed)?;
        Ok((ended, Vec::from(tail).join("\n")))
    }
}

/// Passes lines on, until there are no more or nobody listens.
async fn lines(from: Option<impl AsyncRead + Unpin>, tell: mpsc::Sender<String>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = from.next_segment().await {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if tell.send(line).await.is_err() {
            return;
        }
    }
}

/// The folder of the data, where the lab at `root` is a checkout of karpathy/autoresearch and some of it is missing.
/// A fork that keeps its data elsewhere says so in its own `prepare.py`.
fn missing(root: &Path, lab: &Lab, home: &Path) -> Option<PathBuf> {
    if lab.declared {
        return None;
    }
    let script = std::fs::read_to_string(root.join(SCRIPT)).ok()?;
    let folder = home.join(CACHE.join("/"));
    let its = CACHE.iter().all(|name| script.contains(&format!("\"{name}\"")))
        || script.contains(&format!("~/{}", CACHE.join("/")));
    (its && FOLDERS.iter().any(|name| is_empty(&folder.join(name)))).then_some(folder)
}

/// Whether a folder is not there, or has nothing in it.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_karpathys_data_is_missed_and_only_while_it_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (root, home) = (folder.path().join("lab"), folder.path().join("home"));
        std::fs::create_dir_all(&root).unwrap();
        let lab = Lab::default();
        assert_eq!(missing(&root, &lab, &home), None, "no prepare.py");
        std::fs::write(root.join(SCRIPT), "DATA = 'data'\n").unwrap();
        assert_eq!(missing(&root, &lab, &home), None, "one that keeps its data elsewhere");
        let cache = "CACHE_DIR = os.path.join(os.path.expanduser(\"~\"), \".cache\", \"autoresearch\")\n";
        std::fs::write(root.join(SCRIPT), cache).unwrap();
        let there = home.join(".cache/autoresearch");
        assert_eq!(missing(&root, &lab, &home), Some(there.clone()));
        assert_eq!(
            missing(&root, &Lab { declared: true, ..Lab::default() }, &home),
            None,
            "it has front matter"
        );
        for (file, left) in [("data/shard_00000.parquet", true), ("tokenizer/tokenizer.pkl", false)] {
            let file = there.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            assert!(missing(&root, &lab, &home).is_some(), "an empty folder is no data");
            std::fs::write(file, "x").unwrap();
            assert_eq!(missing(&root, &lab, &home).is_some(), left);
        }
    }
}
