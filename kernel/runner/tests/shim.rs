//! The shim with real processes: however a command behaves, it ends, and nothing of it is left.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::Seconds;
use runner::processes::{MARK, Process};
use runner::sandbox::Policy;
use runner::shim::{End, Job, read_end};

struct Run {
    folder: tempfile::TempDir,
    mark: String,
    job: Job,
}

impl Run {
    fn new(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = uuid::Uuid::now_v7().to_string();
        let job = Job {
            schema: 1,
            command: command.to_owned(),
            folder: folder.path().to_owned(),
            environment: BTreeMap::from([
                ("PATH".to_owned(), std::env::var("PATH").unwrap()),
                (MARK.to_owned(), mark.clone()),
            ]),
            timeout: Seconds(120.0),
            stop_at: None,
            grace: Seconds(60.0),
            metrics: true,
            sandbox: None,
            cores: Vec::new(),
            gpu: None,
            metric: None,
            written: None,
        };
        Self { folder, mark, job }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> Child {
        std::fs::write(self.path().join("job.json"), serde_json::to_vec(&self.job).unwrap()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_overnight-shim"))
            .arg("shim")
            .arg(self.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn finish(&self) -> End {
        assert!(self.start().wait().unwrap().success());
        self.check_nothing_left();
        read_end(self.path()).unwrap()
    }

    /// Every process of the run carries its mark.
    fn left(&self) -> usize {
        let wanted = format!("{MARK}={}", self.mark);
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| std::fs::read(entry.path().join("environ")).ok())
            .filter(|environment| environment.split(|b| *b == 0).any(|pair| pair == wanted.as_bytes()))
            .count()
    }

    fn check_nothing_left(&self) {
        assert_eq!(self.left(), 0, "processes are left behind");
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path().join("log")).unwrap()).into_owned()
    }
}

/// Waits for what must come; only a test that fails waits long.
fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// CUDA does not begin where it cannot name its threads; root must not get at the machine by that.
#[test]
fn a_thread_may_be_named_beside_a_gpu_and_the_machine_not() {
    let command = "printf named > /proc/self/task/$$/comm; cat /proc/$$/comm
        for path in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do
            (printf '' >> $path) 2>/dev/null && echo \"wrote $path\"
        done; true";
    let mut run = Run::new(command);
    let folder = run.path().to_owned();
    run.job.sandbox = Some(Policy {
        devices: vec!["/dev/null".into(), "/proc".into()],
        scratch: folder.join("scratch"),
        limits: lab::Limits::default(),
        ..Policy::default()
    });
    let end = run.finish();
    assert_eq!((end.exit.as_str(), run.log().as_str()), ("0", "named\n"), "{end:?}");
}

#[test]
fn metrics_and_log_of_a_run_that_goes_well() {
    let run =
        Run::new("echo 'step 1 | loss: 3.5'; echo 'step 2 | loss: 2.5' >&2; echo ---; echo 'val_bpb: 1.25'");
    let end = run.finish();
    assert_eq!(end.exit, "0");
    assert!(end.success());
    assert_eq!(end.summary.get("val_bpb"), Some(&1.25));
    assert_eq!(end.last.get("loss"), Some(&2.5));
    let rows = std::fs::read_to_string(run.path().join("metrics.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(run.log().starts_with("step 1 | loss: 3.5\nstep 2 | loss: 2.5\n---\n"));
}

#[test]
fn crashes_and_numbers_that_are_none() {
    assert_eq!(Run::new("echo dying; exit 3").finish().exit, "exit 3");
    assert_eq!(Run::new("kill -SEGV $$").finish().exit, "signal 11");
    let end = Run::new("echo ---; echo 'val_bpb: nan'").finish();
    assert!(end.summary["val_bpb"].is_nan());
    let mut nowhere = Run::new("true");
    nowhere.job.folder = "/nowhere/at/all".into();
    let end = nowhere.finish();
    assert_eq!(end.exit, "not started");
    assert!(end.note.unwrap().contains("could not be started"));
}

#[test]
fn a_timeout_kills_what_ignores_sigterm_and_fled_to_a_session_of_its_own() {
    let mut run = Run::new(
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' & sleep 1000; sleep 1000",
    );
    (run.job.timeout, run.job.grace) = (Seconds(0.3), Seconds(0.1));
    let end = run.finish();
    assert_eq!(end.exit, "timeout");
    assert!(!end.success());
}

#[test]
fn what_a_command_leaves_behind_is_ended_although_it_holds_the_output_open() {
    let run = Run::new("sleep 1000 & (setsid sleep 1000 &) ; echo 'val_bpb: 2'; exit 0");
    let end = run.finish();
    assert_eq!(end.exit, "0");
    assert_eq!(end.last.get("val_bpb"), Some(&2.0));
}

#[test]
fn a_run_is_ended_at_its_budget_with_what_it_said_last() {
    let mut run = Run::new("i=0; while true; do i=$((i+1)); echo \"step $i | loss: 0.$i\"; sleep 0.05; done");
    run.job.stop_at = Some(Seconds(0.5));
    let end = run.finish();
    assert_eq!(end.exit, "budget");
    assert!(end.success());
    assert!(end.last["loss"] > 0.0);
}

#[test]
fn two_hundred_megabytes_cost_eight() {
    let run = Run::new("head -c 200000000 /dev/zero | tr '\\0' 'x'; echo; echo 'val_bpb: 0.5'");
    let start = Instant::now();
    let end = run.finish();
    assert_eq!(end.exit, "0");
    assert_eq!(end.last.get("val_bpb"), Some(&0.5));
    assert!(end.printed > 200_000_000);
    let log = std::fs::metadata(run.path().join("log")).unwrap().len();
    assert!((8_000_000..9_000_000).contains(&log), "{log}");
    assert!(run.log().contains("bytes of the log were cut here"));
    assert!(run.log().ends_with("val_bpb: 0.5\n"));
    // Generous: it takes well under a second where nothing else runs.
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn sigterm_to_the_shim_ends_the_run() {
    let run = Run::new("echo started; sleep 1000");
    let mut shim = run.start();
    until("the command", || std::fs::read(run.path().join("log")).is_ok_and(|log| !log.is_empty()));
    let process: Process =
        serde_json::from_slice(&std::fs::read(run.path().join("shim.pid")).unwrap()).unwrap();
    assert!(process.lives());
    process.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(shim.wait().unwrap().success());
    assert_eq!(read_end(run.path()).unwrap().exit, "stopped");
    run.check_nothing_left();
}

#[test]
fn the_command_dies_with_its_shim() {
    let run = Run::new("echo started; exec sleep 1000");
    let mut shim = run.start();
    until("the command", || std::fs::read(run.path().join("log")).is_ok_and(|log| !log.is_empty()));
    shim.kill().unwrap();
    shim.wait().unwrap();
    until("the command's end", || run.left() == 0);
    assert!(read_end(run.path()).is_none());
}

#[test]
fn a_folder_is_run_once() {
    let run = Run::new("echo x >> count");
    run.finish();
    let mut second = run.start();
    assert!(!second.wait().unwrap().success());
    let count = std::fs::read_to_string(run.path().join("count")).unwrap();
    assert_eq!(count, "x\n");
}
