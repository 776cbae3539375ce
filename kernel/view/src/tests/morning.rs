use std::sync::Arc;

use insta::assert_snapshot;
use jiff::{SignedDuration, Zoned, tz::TimeZone};
use lab::{Experiment, Status, status::LoopStatus};

use super::support::{crashes, epoch_start, ledger, metric};
use crate::{Bundle, Gain, Morning, bundle, morning};

const DIFF: &str = "diff --git a/train.py b/train.py\nindex 1..2 100644\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-DEPTH = 8\n+DEPTH = 9\n";

fn status() -> LoopStatus {
    LoopStatus {
        state: lab::status::LoopState::Idle,
        slots: Vec::new(),
        ahead: Vec::new(),
        ended: Some("its time is over".to_owned()),
        report: Some("/lab/.git/overnight/reports/main-20261121T061002Z.html".to_owned()),
        problem: None,
        warnings: Vec::new(),
        ..super::live::status()
    }
}

fn at(hours: i64) -> Zoned {
    (epoch_start() + SignedDuration::from_hours(hours)).to_zoned(TimeZone::UTC)
}

/// What is told of all that came after the first `old`.
fn told(all: &[Experiment], old: usize, status: &LoopStatus, diff: &str) -> (Bundle, Option<String>) {
    let metric = metric();
    let (before, new) = all.split_at(old);
    let mut gains: Vec<&Experiment> =
        new.iter().filter(|e| e.record.status == Status::Keep && !e.record.baseline).collect();
    gains.sort_by(|a, b| a.record.delta.unwrap_or(0.0).total_cmp(&b.record.delta.unwrap_or(0.0)));
    let gains =
        gains.into_iter().take(3).map(|experiment| Gain { experiment, diff: diff.to_owned() }).collect();
    morning(&Morning {
        tag: "main",
        since: (old > 0).then(|| at(-2)),
        now: at(9),
        new,
        all,
        others: 0,
        metric: &metric,
        before: lab::experiment::best(before),
        gains,
        status,
        ideas: 2,
    })
}

#[test]
fn the_morning_after_a_night() {
    let mut all = ledger(30);
    let r = Arc::make_mut(&mut all[28].record);
    (r.status, r.reason) = (Status::Invalid, "it changed `prepare.py`, which is locked".to_owned());
    let (shown, next) = told(&all, 3, &status(), DIFF);
    assert_snapshot!(shown.text(), @r"
    Since Fri 20 Nov 20:10 · main

    27 experiments ran in 2h 07m: 6 kept, 18 discarded, 2 crashed, 1 invalid. The best val_bpb went from
    1.021422 to 1.017454 (−0.4%), unproven, by experiment 26. The loop ended: its time is over; its
    report is /lab/.git/overnight/reports/main-20261121T061002Z.html.

    Experiment 20, −0.002084 to 1.019227 val_bpb: cosine schedule with a floor of 10%
      --- a/train.py
      +++ b/train.py
      @@ -1 +1 @@
      -DEPTH = 8
      +DEPTH = 9

    Experiment 24, −0.000888 to 1.018327 val_bpb: halve the batch size
      --- a/train.py
      +++ b/train.py
      @@ -1 +1 @@
      -DEPTH = 8
      +DEPTH = 9

    Experiment 26, −0.000873 to 1.017454 val_bpb: deeper: 8 → 10 layers
      --- a/train.py
      +++ b/train.py
      @@ -1 +1 @@
      -DEPTH = 8
      +DEPTH = 9

    What failed
      · 2 crash (22, 25): the build failed
      · 1 invalid (28): it changed `…`, which is locked

    What needs you
      · 1 experiment broke a rule of the lab: 28
      · 2 ideas wait to be tried (`plan`)

    Next
      experiment 20
      diff 20
      plot progress
      report
    ");
    assert_snapshot!(next.unwrap(), @r"
    %experiment 20
    %diff 20
    %plot progress
    %report
    ");
    assert!(shown.html().unwrap().contains("unproven") && shown.value(bundle::JSON).is_some());
}

#[test]
fn a_morning_with_nothing_new_and_one_of_crashes() {
    let all = ledger(30);
    let running = LoopStatus { deadline: Some(at(12).timestamp()), ..super::live::status() };
    assert_snapshot!(told(&all, 30, &running, DIFF).0.text(), @r"
    Since Fri 20 Nov 20:10 · main

    No experiment was finished. The best val_bpb is still 1.017454, unproven, of experiment 26. The loop
    goes on until 10:10.

    What needs you
      · 2 ideas wait to be tried (`plan`)

    Next
      plot progress
      report
    ");
    let (shown, next) = told(&crashes(12), 0, &status(), DIFF);
    assert_snapshot!(shown.text(), @r"
    Since the beginning · main

    12 experiments ran in 1h 00m: 0 kept, 12 crashed. Nothing has a value of val_bpb yet. The loop
    ended: its time is over; its report is /lab/.git/overnight/reports/main-20261121T061002Z.html.

    What failed
      · 12 crash (0, 1, 2, 3, 4, …): not better than the best

    What needs you
      · 2 ideas wait to be tried (`plan`)

    Next
      experiment 11
      plot progress
      report
    ");
    assert_eq!(next.unwrap().lines().next(), Some("%experiment 11"));
    assert_eq!(told(&[], 0, &status(), DIFF).1, None);
}

#[test]
fn nothing_in_a_morning_scripts_the_page_or_fills_the_screen() {
    const EVIL: &str =
        "</div><script>alert(1)</script><img src=x>\u{1b}[2J\u{202e}gnp.exe\u{0}\r\n& \"quoted\"";
    let mut all = ledger(700);
    for e in &mut all {
        let r = Arc::make_mut(&mut e.record);
        for text in [&mut r.hypothesis, &mut r.reason, &mut r.proposer] {
            EVIL.clone_into(text);
        }
    }
    let mut status = status();
    (status.problem, status.ended) = (Some(EVIL.to_owned()), Some(EVIL.to_owned()));
    status.warnings.push(EVIL.to_owned());
    let long = format!("@@ -1 +1 @@\n{}", format!("+{EVIL}{}\n", "x".repeat(1 << 12)).repeat(300));
    let (shown, _) = told(&all, 0, &status, &long);
    for text in [shown.text(), shown.html().unwrap()] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{0}']) && text.len() < 60_000, "{}", text.len());
    }
    let html = shown.html().unwrap();
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert!(shown.text().lines().count() < 100, "one screen or two");
}
