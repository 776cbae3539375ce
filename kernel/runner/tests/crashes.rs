//! A runner that is killed: whoever comes next loses nothing and counts nothing twice.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{TinyLab, git, shown};
use lab::{Event, Status};
use runner::StartOptions;
use runner::processes::MARK;

fn runner(lab: &TinyLab, options: Option<&StartOptions>) -> Child {
    let mut command = Command::new(&lab.paths.program);
    command.arg("serve").arg(lab.root()).args([&lab.paths.state, &lab.paths.cache, &lab.paths.runtime]);
    if let Some(options) = options {
        command.arg(serde_json::to_string(options).unwrap());
    }
    command.stdin(Stdio::null()).spawn().unwrap()
}

/// Processes of any run of this lab's journal.
fn left(lab: &TinyLab) -> usize {
    let runs: HashSet<Vec<u8>> = lab
        .journal()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::RunStarted { run, .. } | Event::BuildStarted { run, .. } => {
                Some(format!("{MARK}={run}").into_bytes())
            }
            _ => None,
        })
        .collect();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("environ")).ok())
        .filter(|environment| environment.split(|b| *b == 0).any(|pair| runs.contains(pair)))
        .count()
}

fn check(lab: &TinyLab, count: usize) {
    let experiments = lab.experiments();
    let numbers: Vec<u64> = experiments.iter().map(|e| e.record.number).collect();
    assert_eq!(numbers, (0..count as u64).collect::<Vec<_>>(), "{}", shown(&experiments));
    let mut best = f64::INFINITY;
    for experiment in &experiments {
        let value = experiment.record.value.unwrap();
        assert_eq!(experiment.record.status == Status::Keep, value < best, "{}", shown(&experiments));
        best = best.min(value);
    }
    let journal = lab.journal();
    let recorded = |entry: &&lab::Entry| matches!(entry.event, Event::Recorded { .. });
    let of: HashSet<_> =
        journal.iter().filter(recorded).filter_map(|entry| entry.event.experiment()).collect();
    assert_eq!(of.len(), count);
    assert_eq!(journal.iter().filter(|entry| matches!(entry.event, Event::LoopStarted { .. })).count(), 1);
    assert_eq!(left(lab), 0, "processes are left behind");
    git(&lab.root(), &["fsck", "--strict"]);
    assert_eq!(git(&lab.root(), &["status", "--porcelain"]), "");
}

/// Killed again and again, each time a little later: somewhere in a proposal, a build, a run, an append.
#[test]
fn killed_at_any_moment() {
    let lab = TinyLab::new("build: sleep 0.05\n");
    let options = TinyLab::options(5);
    let mut wait = Duration::from_millis(20);
    let code = loop {
        let mut runner = runner(&lab, Some(&options));
        let end = std::time::Instant::now() + wait;
        let status = loop {
            if let Some(status) = runner.try_wait().unwrap() {
                break Some(status);
            }
            if std::time::Instant::now() >= end {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Some(status) = status {
            break status.code();
        }
        runner.kill().unwrap();
        runner.wait().unwrap();
        // Ever longer, so that it ends on however slow a machine.
        wait = wait.mul_f64(1.25);
    };
    assert_eq!(code, Some(0));
    check(&lab, 5);
}

/// The run of a runner that was killed is adopted, and not begun again.
#[test]
fn a_run_outlives_its_runner() {
    let lab = TinyLab::new("");
    let go = lab.folder.path().join("go");
    let script = std::fs::read_to_string(lab.root().join("run.sh")).unwrap();
    lab.write("run.sh", &format!("GO={}\n{}", go.display(), script.replace("[ -e hold ]", "true")));
    git(&lab.root(), &["commit", "--quiet", "-am", "hold"]);

    let mut first = runner(&lab, Some(&TinyLab::options(2)));
    while left(&lab) < 2 {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(left(&lab) >= 2, "the run died with its runner");

    let mut second = runner(&lab, None);
    std::fs::write(&go, "").unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
    let started =
        lab.journal().iter().filter(|entry| matches!(entry.event, Event::RunStarted { .. })).count();
    assert_eq!(started, 2, "the run was begun again");
    check(&lab, 2);
}

/// A run whose shim was killed too is begun again, and what it left is ended.
#[test]
fn a_lost_run_is_run_again() {
    let lab = TinyLab::new("caches: [kept/]\n");
    let once = lab.paths.tree(0).join("kept/once");
    lab.write(
        "run.sh",
        "[ -e kept/once ] || { mkdir kept; touch kept/once; sleep 1000 & sleep 1000; }; echo 'loss: 5'\n",
    );
    git(&lab.root(), &["commit", "--quiet", "-am", "once"]);
    let mut first = runner(&lab, Some(&TinyLab::options(1)));
    while !once.exists() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let runs = std::fs::read_dir(lab.paths.cache.join("runs")).unwrap();
    for folder in runs.flatten() {
        let shim = std::fs::read(folder.path().join("shim.pid")).unwrap();
        let shim: runner::processes::Process = serde_json::from_slice(&shim).unwrap();
        shim.signal(nix::sys::signal::Signal::SIGKILL);
    }
    assert_eq!(runner(&lab, None).wait().unwrap().code(), Some(0));
    let started =
        lab.journal().iter().filter(|entry| matches!(entry.event, Event::RunStarted { .. })).count();
    assert_eq!(started, 2);
    check(&lab, 1);
}
