//! A tiny lab in a repository of its own: a shell script whose constants are a Python file's.

#![allow(clippy::unwrap_used, dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lab::status::LoopStatus;
use lab::{Entry, Event, Experiment, Seconds, Tag};
use runner::{Begin, Client, End, Paths, Request, Response, RunnerError, Serve, StartOptions, Variables};

/// A constant file: `loss` is A*A, so that lower values of A are better.
pub(crate) const TRAIN: &str = "A = 4  # one of: 1, 2, 3, 4, 5, 6, 7, 8\n\n\n\nB = 2  # one of: 1, 2, 3\n";

/// The command of the lab: reads the constants and prints the metric.
pub(crate) const RUN: &str = "sh run.sh";

const SCRIPT: &str = "\
a=$(sed -n 's/^A = \\([0-9]*\\).*/\\1/p' train.py)
b=$(sed -n 's/^B = \\([0-9]*\\).*/\\1/p' train.py)
echo \"step 1 | loss: 100\"
if [ -e hold ]; then while [ ! -e \"$GO\" ]; do sleep 0.02; done; fi
echo ---
echo \"loss: $((a * a + b))\"
";

pub(crate) struct TinyLab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) paths: Paths,
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl TinyLab {
    pub(crate) fn new(front: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lab");
        std::fs::create_dir(&root).unwrap();
        let program =
            format!("---\nrun: {RUN}\neditable: train.py\nmetric: loss\nbudget: 60s\n{front}---\nLower A.\n");
        std::fs::write(root.join("program.md"), program).unwrap();
        std::fs::write(root.join("train.py"), TRAIN).unwrap();
        std::fs::write(root.join("run.sh"), SCRIPT).unwrap();
        git(&root, &["init", "--quiet", "--initial-branch=trunk"]);
        git(&root, &["config", "user.name", "Ada"]);
        git(&root, &["config", "user.email", "ada@example.org"]);
        git(&root, &["add", "."]);
        git(&root, &["commit", "--quiet", "-m", "start"]);
        let state = ledger::Ledger::open(&root).unwrap().state_dir().to_owned();
        let paths = Paths {
            state,
            cache: folder.path().join("cache"),
            runtime: folder.path().join("run"),
            program: PathBuf::from(env!("CARGO_BIN_EXE_overnight-shim")),
        };
        Self { folder, paths }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root().join(path), text).unwrap();
    }

    pub(crate) fn options(experiments: u64) -> StartOptions {
        StartOptions { experiments: Some(experiments), seed: 3, ..StartOptions::default() }
    }

    pub(crate) fn variables(&self) -> Variables {
        let path = std::env::var("PATH").unwrap();
        Variables([("PATH".to_owned(), path)].into_iter().collect())
    }

    pub(crate) async fn serve(&self, begin: Begin) -> Result<End, RunnerError> {
        let serve = Serve { idle: Duration::from_secs(30), grace: Seconds(0.5) };
        serve.serve(&self.root(), self.paths.clone(), begin, self.variables()).await
    }

    pub(crate) fn spawn(&self, begin: Begin) -> tokio::task::JoinHandle<Result<End, RunnerError>> {
        let serve = Serve { idle: Duration::from_secs(30), grace: Seconds(0.5) };
        let (root, paths, variables) = (self.root(), self.paths.clone(), self.variables());
        tokio::spawn(async move { serve.serve(&root, paths, begin, variables).await })
    }

    pub(crate) fn experiments(&self) -> Vec<Experiment> {
        ledger::Ledger::open(&self.root()).unwrap().experiments(&Tag::default()).unwrap()
    }

    pub(crate) fn journal(&self) -> Vec<Entry> {
        runner::journal::read(&self.paths.journal()).unwrap().entries
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.journal().iter().any(|entry| wanted(&entry.event))
    }

    pub(crate) async fn client(&self) -> Client {
        let start = Instant::now();
        loop {
            if let Some(client) = Client::connect(&self.paths).await.unwrap() {
                return client;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no runner answers");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn ask(&self, request: Request) -> Result<Response, RunnerError> {
        self.client().await.request(&request).await
    }

    pub(crate) async fn status(&self) -> LoopStatus {
        match self.ask(Request::Status).await.unwrap() {
            Response::Status { status } => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for what must come; only a test that fails waits long.
    pub(crate) async fn until(&self, what: &str, ready: impl Fn(&LoopStatus) -> bool) -> LoopStatus {
        let start = Instant::now();
        loop {
            let status = self.status().await;
            if ready(&status) {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "waited too long for {what}: {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Each experiment in a line.
pub(crate) fn shown(experiments: &[Experiment]) -> String {
    experiments
        .iter()
        .map(|experiment| {
            let r = &experiment.record;
            let value = r.value.map_or("-".to_owned(), |value| value.to_string());
            format!("{} {} {value} {}: {}\n", r.number, r.status, r.proposer, r.hypothesis)
        })
        .collect()
}
