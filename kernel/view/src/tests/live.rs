use std::collections::BTreeMap;

use insta::assert_snapshot;
use jiff::{SignedDuration, tz::TimeZone};
use lab::{
    Cost, Seconds, Tag,
    status::{Best, LoopState, LoopStatus, SlotStatus},
};

use super::support::{epoch_start, ledger, loss, metric};
use crate::{Curve, Live};

pub(super) fn status() -> LoopStatus {
    LoopStatus {
        schema: lab::SCHEMA,
        state: LoopState::Running,
        tag: Tag::default(),
        pid: Some(4242),
        since: Some(epoch_start()),
        deadline: Some(epoch_start() + SignedDuration::from_hours(8)),
        experiments: 17,
        planned: Some(60),
        kept: 5,
        proposer: Some("search".to_owned()),
        out: BTreeMap::new(),
        best: Some(Best { number: 12, value: 0.9932 }),
        slots: vec![SlotStatus {
            slot: 0,
            experiment: Some(17),
            phase: "running".to_owned(),
            hypothesis: Some("learning rate 0.02 → 0.03".to_owned()),
            elapsed: Seconds(133.0),
            budget: Seconds(300.0),
            last: BTreeMap::from([
                ("loss".to_owned(), 3.2104),
                ("step".to_owned(), 1200.0),
                ("lr".to_owned(), 0.0003),
            ]),
        }],
        ahead: Vec::new(),
        queued: Vec::new(),
        cost: Cost { usd: 1.25, input_tokens: 120_000, output_tokens: 4000 },
        problem: None,
        ended: None,
        report: None,
        warnings: Vec::new(),
    }
}

fn view<'a>(
    status: &'a LoopStatus,
    experiments: &'a [lab::Experiment],
    metric: &'a crate::Metric,
) -> Live<'a> {
    let now = (epoch_start() + SignedDuration::from_secs(17 * 311 + 133)).to_zoned(TimeZone::UTC);
    let curve =
        Curve { name: "loss".into(), experiment: Some(17), current: loss(120, 2.9), best: loss(300, 2.7) };
    Live { status, experiments, metric, curve: Some(curve), now }
}

#[test]
fn several_proposers_each_have_a_record() {
    let (mut status, mut experiments, metric) = (status(), ledger(17), metric());
    for experiment in experiments.iter_mut().filter(|it| it.record.number % 3 == 1) {
        std::sync::Arc::make_mut(&mut experiment.record).proposer = "acp:claude".to_owned();
        std::sync::Arc::make_mut(&mut experiment.record).cost.usd = 0.25;
    }
    status.out.insert("openai:gpt-6".to_owned(), "it does not let us in: 401".to_owned());
    let bundle = crate::live(&view(&status, &experiments, &metric));
    let lines: Vec<&str> = bundle.text().lines().filter(|line| line.contains(" kept of ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    3 kept of 16 tried (19%) · $1.25, 124,000 tokens
    acp:claude: 2 kept of 6, −0.000111 in 30m 22s, $1.50
    search: 1 kept of 10, −0.001578 in 50m 39s
    openai:gpt-6: 0 kept of 0, left out: it does not let us in: 401
    ");
    assert!(bundle.html().unwrap().contains("left out: it does not let us in: 401"));
}

#[test]
fn a_running_night() {
    let (status, experiments, metric) = (status(), ledger(17), metric());
    let bundle = crate::live(&view(&status, &experiments, &metric));
    assert_snapshot!(bundle.text(), @r"
    ● Running · tag main · search · since 22:10 · 2026-11-20 23:40:20 UTC
    experiments  ████████▌·····················  17 of 60 · about 3h 48m left
    time         █████▋························  1h 30m of 8h 00m · ends Sat 21 Nov 06:10
    val_bpb 1.023000 → 1.021311 (−0.2%, experiment 13)
    3 kept of 16 tried (19%) · $1.25, 124,000 tokens
    experiment 17 · running  ████████▉···········  2m 13s of 5m 00s  step 1,200, loss 3.2104, lr 0.0003
        learning rate 0.02 → 0.03
    █▇▆▆▅▅▄▄▃▃▃▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁  loss of experiment 17: 3.0228 at step 1,190, the best run had 2.8228

        #  status      value     Δ best    time  hypothesis
       16  discard  1.029943  +0.008632  5m 03s  learning rate 0.02 → 0.03
       15  discard  1.033560  +0.012249  5m 02s  GELU instead of squared ReLU
       14  discard  1.022354  +0.001043  5m 01s  deeper: 8 → 10 layers
    ★  13  keep     1.021311  −0.000001  5m 07s  warm up the learning rate over 100 steps
       12  discard  1.024545  +0.003233  5m 06s  halve the batch size
    ");
    let html = bundle.html().unwrap();
    assert!(html.contains("data:image/png;base64,") && html.contains("44.3%"), "{html}");
    // What the sanitizer of JupyterLab would drop is not used.
    for dropped in ["<svg", "<style", "<script", "var(--", "rgb(", "flex", "class="] {
        assert!(!html.contains(dropped), "{dropped}");
    }
}

#[test]
fn a_candidate_is_made_while_another_runs() {
    let (mut status, metric) = (status(), metric());
    status.ahead.push(lab::status::Ahead { experiment: 18, elapsed: Seconds(42.0) });
    let text = crate::live(&view(&status, &ledger(17), &metric)).text().to_owned();
    assert!(
        text.contains("experiment 17 · running") && text.contains("experiment 18 · proposing  42.0s"),
        "{text}"
    );
}

#[test]
fn before_the_first_experiment() {
    let mut status = status();
    (status.experiments, status.planned, status.deadline) = (0, None, None);
    (status.state, status.cost) = (LoopState::Proposing, Cost::default());
    status.slots[0].phase = "proposing".to_owned();
    status.slots[0].last.clear();
    let metric = metric();
    let mut live = view(&status, &[], &metric);
    live.curve = None;
    assert_snapshot!(crate::live(&live).text(), @r"
    ● Proposing · tag main · search · since 22:10 · 2026-11-20 23:40:20 UTC
    so far       0 experiments in 1h 30m, until it is stopped
    nothing tried yet
    experiment 17 · proposing  2m 13s
        learning rate 0.02 → 0.03
    ");
}

#[test]
fn ended_with_a_problem_the_next_day() {
    let mut status = status();
    (status.state, status.slots) = (LoopState::Idle, Vec::new());
    status.ended = Some("10 crashes in a row".to_owned());
    status.problem = Some("the build fails: error[E0308]: mismatched types".to_owned());
    let (experiments, metric) = (ledger(3), metric());
    let mut live = view(&status, &experiments, &metric);
    live.curve = None;
    live.now = (epoch_start() + SignedDuration::from_hours(20)).to_zoned(TimeZone::UTC);
    let bundle = crate::live(&live);
    assert_snapshot!(bundle.text(), @r"
    ■ Ended · tag main · search · since Fri 20 Nov 22:10 · 2026-11-21 18:10:00 UTC
    val_bpb 1.0230 → 1.0214 (−0.2%, experiment 2) · 1 kept of 2 tried (50%) · $1.25, 124,000 tokens
    ended: 10 crashes in a row

       #  status    value   Δ best    time  hypothesis
    ★  2  keep     1.0214  −0.0016  5m 03s  deeper: 8 → 10 layers
       1  discard  1.0335  +0.0105  5m 02s  warm up the learning rate over 100 steps
       0  keep     1.0230           5m 01s  baseline

    problem: the build fails: error[E0308]: mismatched types
    ");
    assert!(bundle.html().unwrap().contains("Problem: "));
}

#[test]
fn two_slots_are_told_apart() {
    let mut status = status();
    let mut second = status.slots[0].clone();
    (second.slot, second.experiment, second.phase) = (1, None, "idle".to_owned());
    status.slots.push(second);
    let (experiments, metric) = (ledger(3), metric());
    let text = crate::live(&view(&status, &experiments, &metric)).text().to_owned();
    assert!(text.contains("slot 0 · experiment 17 · running") && text.contains("slot 1 · idle"), "{text}");
}
