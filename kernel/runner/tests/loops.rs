//! Whole loops on a tiny lab, through `serve` and the socket, with real git and real processes.

#![allow(clippy::unwrap_used)]

mod common;

use common::{TinyLab, git, shown};
use lab::{Event, Status};
use runner::{Begin, Cause, Request, Response, RunnerError, StartOptions};

const THREADS: usize = 4;

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

#[test]
fn a_loop_of_six_experiments() {
    let lab = TinyLab::new("");
    lab.write("notes.txt", "untracked");
    lab.write("train.py", &common::TRAIN.replace("A = 4", "A = 5"));
    let before = git(&lab.root(), &["status", "--porcelain=v2", "--branch"]);
    let end = block(lab.serve(Begin::Start(TinyLab::options(6)))).unwrap();
    assert_eq!((end.cause, end.experiments), (Cause::Done, 6));
    assert_eq!(end.reason, "it has done its 6 experiments");
    assert_eq!(
        git(&lab.root(), &["status", "--porcelain=v2", "--branch"]),
        before,
        "the checkout was touched"
    );

    let experiments = lab.experiments();
    let numbers: Vec<u64> = experiments.iter().map(|e| e.record.number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(experiments[0].record.value, Some(27.0), "uncommitted changes are part of the baseline");
    assert!(experiments[0].record.baseline);
    let mut best = f64::INFINITY;
    for experiment in &experiments {
        let record = &experiment.record;
        let value = record.value.unwrap();
        assert_eq!(record.status == Status::Keep, value < best, "{}", shown(&experiments));
        best = best.min(value);
        assert_eq!(record.runs.len(), 1);
        assert_eq!(record.summary.get("loss"), Some(&value));
        assert_eq!(record.author, "Ada");
    }
    let ledger = ledger::Ledger::open(&lab.root()).unwrap();
    let tag = lab::Tag::default();
    let kept = experiments.iter().rev().find(|e| e.record.status == Status::Keep).unwrap();
    assert_eq!(ledger.best(&tag).unwrap().as_ref(), Some(&kept.record.candidate));
    assert!(String::from_utf8(ledger.log(&tag, kept.record.id).unwrap()).unwrap().contains("loss:"));
    let last = lab.journal().pop().unwrap().event;
    assert!(matches!(last, Event::LoopEnded { .. }), "{last:?}");
    git(&lab.root(), &["fsck", "--strict"]);

    // The second evening goes on from the first.
    let end = block(lab.serve(Begin::Start(TinyLab::options(2)))).unwrap();
    assert_eq!(end.experiments, 2);
    assert_eq!(lab.experiments().len(), 8);
    assert_eq!(lab.experiments().iter().filter(|e| e.record.baseline).count(), 1, "no second baseline");
}

#[test]
fn a_baseline_that_fails_ends_the_loop() {
    let lab = TinyLab::new("");
    lab.write("run.sh", "echo 'no data' >&2; exit 7\n");
    let end = block(lab.serve(Begin::Start(TinyLab::options(6)))).unwrap();
    assert_eq!((end.cause, end.code()), (Cause::Baseline, 4));
    assert_eq!(end.reason, "the baseline fails: it ended with exit code 7: no data");
    assert_eq!(lab.experiments()[0].record.status, Status::Crash);
    assert_eq!(lab.experiments().len(), 1);
}

#[test]
fn what_cannot_begin_says_why() {
    let lab = TinyLab::new("inputs: [data/]\n");
    let error = block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap_err();
    assert!(
        matches!(&error, RunnerError::MissingInput { input, .. } if input.starts_with("data")),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("setup"));

    let lab = TinyLab::new("");
    lab.write("program.md", "Make it better.\n");
    lab.write("train.py", "DEPTH = 8\n");
    let error = block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap_err();
    let said = error.to_string();
    assert!(said == "`run` starts with `uv`, which is not on PATH", "{said}");
    assert!(error.hint().unwrap().contains("install uv"));
    assert_eq!(error.code(), 3);

    let lab = TinyLab::new("");
    let options = StartOptions { proposer: "magic".to_owned(), ..TinyLab::options(1) };
    assert!(block(lab.serve(Begin::Start(options))).unwrap_err().to_string().contains("no such proposer"));
    assert!(!lab.has(|event| matches!(event, Event::LoopStarted { .. })));
}

#[test]
fn setup_runs_once_and_its_failure_is_told() {
    let setup = "setup: mkdir -p data && echo x >> data/made\ninputs: [data/]\n";
    let lab = TinyLab::new(setup);
    lab.write(".gitignore", "data/\n");
    lab.write("run.sh", "cat data/made; echo \"loss: $(wc -l < data/made)\"\n");
    assert_eq!(block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap().cause, Cause::Done);
    assert_eq!(block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap().cause, Cause::Done);
    assert_eq!(std::fs::read_to_string(lab.root().join("data/made")).unwrap(), "x\n");
    assert_eq!(lab.experiments()[0].record.value, Some(1.0));

    let lab = TinyLab::new("setup: echo 'no network' >&2; exit 3\ninputs: [data/]\n");
    let end = block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap();
    assert_eq!(end.cause, Cause::Failed);
    assert!(end.reason.contains("exit 3") && end.reason.contains("no network"), "{}", end.reason);
}

#[test]
fn builds_crashes_and_numbers_that_are_none() {
    let front = "build: sh build.sh\ncaches: [out/]\ncrashes: 3\n";
    let lab = TinyLab::new(front);
    // What ran is what was built of the candidate, and the folder that builds stays.
    lab.write("build.sh", "mkdir -p out; echo built >> out/count; grep -q '^A = 4' train.py || { echo 'error: no A'; exit 1; }\n");
    git(&lab.root(), &["add", "."]);
    git(&lab.root(), &["commit", "--quiet", "-m", "build"]);
    let end = block(lab.serve(Begin::Start(TinyLab::options(20)))).unwrap();
    let experiments = lab.experiments();
    let crashed: Vec<_> = experiments.iter().filter(|e| e.record.status == Status::Crash).collect();
    assert!(!crashed.is_empty(), "{}", shown(&experiments));
    for experiment in crashed {
        assert_eq!(experiment.record.reason, "its build failed: error: no A");
        assert_eq!(experiment.record.runs[0].exit, "build failed");
    }
    // Either three crashes in a row, or nothing left to try.
    assert!(end.reason.contains("crashed") || end.reason.contains("nothing to propose"), "{}", end.reason);
    let built = std::fs::read_to_string(lab.paths.tree(0).join("out/count")).unwrap();
    assert_eq!(built.lines().count(), experiments.len());
}

#[test]
fn requests_are_answered_while_a_run_is_on() {
    let lab = TinyLab::new("");
    let go = lab.folder.path().join("go");
    let script = std::fs::read_to_string(lab.root().join("run.sh")).unwrap();
    lab.write("run.sh", &format!("GO={}\n{}", go.display(), script.replace("[ -e hold ]", "true")));
    block(async {
        let runner = lab.spawn(Begin::Idle);
        let answer = lab.ask(Request::Start(TinyLab::options(3))).await.unwrap();
        let Response::Done { notes } = answer else { panic!("{answer:?}") };
        assert_eq!(notes[0], "changes that are not committed are part of what the loop starts from");
        assert!(notes[1].starts_with("Sandbox"), "{notes:?}");
        let status = lab.until("the baseline's first step", |status| {
            status.slots.iter().any(|slot| slot.last.contains_key("loss"))
        });
        let status = status.await;
        assert_eq!(status.state, lab::status::LoopState::Running);
        assert_eq!(status.slots[0].phase, "running");
        assert_eq!(status.slots[0].last.get("loss"), Some(&100.0));
        assert_eq!(status.planned, Some(3));

        let again = lab.ask(Request::Start(TinyLab::options(9))).await.unwrap();
        let Response::Done { notes } = again else { panic!("{again:?}") };
        assert!(notes[0].starts_with("a loop is on already"), "{notes:?}");
        let held = lab.serve(Begin::Idle).await.unwrap_err();
        assert!(matches!(held, RunnerError::Held { .. }), "{held}");

        lab.ask(Request::Say { event: Event::Steered { text: "smaller".to_owned(), cell: None } })
            .await
            .unwrap();
        lab.ask(Request::Pause).await.unwrap();
        assert_eq!(lab.status().await.state, lab::status::LoopState::Paused);
        std::fs::write(&go, "").unwrap();
        let status = lab.until("the baseline's end", |status| status.experiments == 1).await;
        assert_eq!(status.best.map(|best| best.value), Some(18.0));
        lab.ask(Request::Resume).await.unwrap();
        let end = runner.await.unwrap().unwrap();
        assert_eq!((end.cause, end.experiments), (Cause::Done, 3));
    });
    assert!(!lab.paths.socket().exists());
    let ledger = ledger::Ledger::open(&lab.root()).unwrap();
    let steered = ledger.events(&lab::Tag::default()).unwrap();
    assert!(
        steered.iter().any(|entry| matches!(&entry.event, Event::Steered { text, .. } if text == "smaller"))
    );
}

#[test]
fn stop_now_ends_what_runs_and_frees_its_number() {
    let lab = TinyLab::new("");
    lab.write("run.sh", "echo 'step 1 | loss: 5'; sleep 1000\n");
    block(async {
        let runner = lab.spawn(Begin::Start(TinyLab::options(3)));
        lab.until("the baseline", |status| status.slots.iter().any(|slot| !slot.last.is_empty())).await;
        lab.ask(Request::Stop { now: true }).await.unwrap();
        let end = runner.await.unwrap().unwrap();
        assert_eq!((end.cause, end.reason.as_str()), (Cause::Stopped, "Ada stopped it"));
    });
    assert!(lab.experiments().is_empty());
    assert!(lab.has(|event| matches!(event, Event::NotProposed { .. })));
    let status = runner::status::without_runner(&lab.paths).unwrap();
    assert_eq!(status.ended.as_deref(), Some("Ada stopped it"));

    lab.write("run.sh", "echo 'loss: 5'\n");
    block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap();
    assert_eq!(lab.experiments()[0].record.number, 0);
}

#[test]
fn a_persons_candidate_is_judged_like_any_other() {
    let lab = TinyLab::new("");
    lab.write("train.py", &common::TRAIN.replace("A = 4", "A = 2"));
    git(&lab.root(), &["commit", "--quiet", "-am", "mine"]);
    let mine = lab::CommitId::new(git(&lab.root(), &["rev-parse", "HEAD"]));
    lab.write("run.sh", "echo 'loss: 1'\n");
    git(&lab.root(), &["commit", "--quiet", "-am", "cheating"]);
    let cheating = lab::CommitId::new(git(&lab.root(), &["rev-parse", "HEAD"]));
    git(&lab.root(), &["checkout", "--quiet", "HEAD~2", "--", "run.sh"]);
    let run = |candidate: &lab::CommitId, text: &str| Request::Run {
        tag: None,
        hypothesis: text.to_owned(),
        candidate: candidate.clone(),
        author: "Ada".to_owned(),
    };
    block(async {
        let runner = lab.spawn(Begin::Idle);
        let answer = lab.ask(run(&mine, "A to 2")).await.unwrap();
        assert_eq!(answer, Response::Queued { number: 1 });
        lab.ask(run(&cheating, "just say 1")).await.unwrap();
        lab.until("both", |status| status.state == lab::status::LoopState::Idle).await;
        runner.abort();
    });
    let experiments = lab.experiments();
    insta::assert_snapshot!(shown(&experiments), @r"
    0 keep 18 baseline: baseline
    1 keep 6 human: A to 2
    2 invalid - human: just say 1
    ");
    assert!(experiments[2].record.reason.contains("only train.py may be changed"));
}

#[test]
fn a_command_proposes() {
    let lab = TinyLab::new("");
    let proposer = lab.folder.path().join("propose.sh");
    // Lowers A by one each time, touches a locked file as well, and gives up at 2.
    let script = "cat > brief.json; a=$(sed -n 's/^A = \\([0-9]*\\).*/\\1/p' train.py); [ \"$a\" = 2 ] && exit 0\n\
                  sed -i \"s/^A = $a/A = $((a - 1))/\" train.py; echo tampered >> run.sh\n\
                  echo thinking; echo \"{\\\"hypothesis\\\": \\\"A to $((a - 1))\\\", \\\"cost\\\": {\\\"usd\\\": 0.25, \\\"input_tokens\\\": 10, \\\"output_tokens\\\": 2}}\"\n";
    std::fs::write(&proposer, script).unwrap();
    let options =
        StartOptions { proposer: format!("command:sh {}", proposer.display()), ..TinyLab::options(9) };
    let end = block(lab.serve(Begin::Start(options))).unwrap();
    assert!(end.reason.contains("changed no editable file"), "{}", end.reason);
    let experiments = lab.experiments();
    assert_eq!(experiments.len(), 3, "{}", shown(&experiments));
    assert_eq!(experiments[1].record.hypothesis, "A to 3");
    assert_eq!(experiments[1].record.value, Some(11.0), "the locked file stays what it was");
    assert!(
        experiments[1].record.reason.contains("dropped: brief.json, run.sh")
            || experiments[1].record.reason.contains("dropped: run.sh, brief.json"),
        "{}",
        experiments[1].record.reason
    );
    assert!((experiments[2].record.cost.usd - 0.25).abs() < 1e-9);
}

#[test]
fn two_slots_and_a_change_that_is_merged_on_to_the_new_best() {
    let lab = TinyLab::new("writes: [both]\n");
    let proposer = lab.folder.path().join("propose.sh");
    let turn = lab.folder.path().join("turn");
    // The first proposal lowers A, the second B; both start from the baseline.
    let script = format!(
        "cat > /dev/null; echo x >> {0}; n=$(wc -l < {0})\n\
         [ $n = 1 ] && sed -i 's/^A = 4/A = 3/' train.py\n\
         [ $n = 2 ] && sed -i 's/^B = 2/B = 1/' train.py\nexit 0\n",
        turn.display()
    );
    std::fs::write(&proposer, script).unwrap();
    // A run ends when both have begun, so both build on the baseline.
    let both = lab.root().join("both");
    std::fs::create_dir(&both).unwrap();
    lab.write(
        "run.sh",
        &format!(
            "a=$(sed -n 's/^A = \\([0-9]*\\).*/\\1/p' train.py)\nb=$(sed -n 's/^B = \\([0-9]*\\).*/\\1/p' train.py)\n\
             touch {0}/$a-$b\n\
             case $a-$b in 3-2) while [ ! -e {0}/4-1 ]; do sleep 0.02; done;; \
             4-1) while [ ! -e {0}/3-2 ]; do sleep 0.02; done;; esac\n\
             echo \"loss: $((a * a + b))\"\n",
            both.display()
        ),
    );
    let options = StartOptions {
        proposer: format!("command:sh {}", proposer.display()),
        slots: 2,
        // With room to spare: the last ones are not tried again beyond what was asked for.
        ..TinyLab::options(20)
    };
    block(lab.serve(Begin::Start(options))).unwrap();
    let experiments = lab.experiments();
    let values: Vec<Option<f64>> = experiments.iter().map(|e| e.record.value).collect();
    assert!(values.contains(&Some(11.0)) && values.contains(&Some(17.0)), "{}", shown(&experiments));
    let merged = experiments.iter().find(|e| e.record.value == Some(10.0));
    assert_eq!(merged.map(|e| e.record.status), Some(Status::Keep), "{}", shown(&experiments));
}

#[test]
fn a_person_overrules_the_judge() {
    let lab = TinyLab::new("");
    block(lab.serve(Begin::Start(TinyLab::options(6)))).unwrap();
    let experiments = lab.experiments();
    let tag = lab::Tag::default();
    let ledger = ledger::Ledger::open(&lab.root()).unwrap();
    let discarded = experiments.iter().find(|e| e.record.status == Status::Discard);
    let Some(discarded) = discarded else { panic!("{}", shown(&experiments)) };
    let number = discarded.record.number;
    runner::overrides::decide(&ledger, &tag, number, Status::Keep, "simpler", "Ada").unwrap();
    block(lab.serve(Begin::Start(TinyLab::options(1)))).unwrap();
    let next = lab.experiments().pop().unwrap().record;
    assert_eq!(next.parent.as_ref(), Some(&discarded.record.candidate), "what was kept by hand is built on");
}
