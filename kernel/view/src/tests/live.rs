use std::collections::BTreeMap;

use insta::assert_snapshot;
use jiff::{SignedDuration, tz::TimeZone};
use lab::{
    Cost, Seconds, Tag,
    status::{Ahead, Best, LoopState, LoopStatus, Queued, SlotStatus},
};

use super::support::{epoch_start, ledger, loss, metric};
use crate::{Curve, Live, Pictures};

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
            proposer: Some("search".to_owned()),
            doing: None,
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
        alerts: Vec::new(),
        ended: None,
        report: None,
        ended_at: None,
        warnings: Vec::new(),
    }
}

fn curve() -> Curve {
    Curve {
        slot: 0,
        name: "loss".into(),
        experiment: Some(17),
        current: loss(120, 2.9),
        best: loss(300, 2.7),
    }
}

fn view<'a>(
    status: &'a LoopStatus,
    experiments: &'a [lab::Experiment],
    metric: &'a crate::Metric,
    (curves, pictures): &'a (Vec<Curve>, Pictures),
) -> Live<'a> {
    let now = (epoch_start() + SignedDuration::from_secs(17 * 311 + 133)).to_zoned(TimeZone::UTC);
    Live { status, experiments, metric, curves, pictures, trouble: None, now, width: 100 }
}

/// One curve, and the pictures of a night.
fn drawn(experiments: &[lab::Experiment]) -> (Vec<Curve>, Pictures) {
    let mut pictures = Pictures::default();
    pictures.draw_night(experiments, &metric());
    pictures.draw_curves(&[curve()]);
    (vec![curve()], pictures)
}

/// Nothing drawn.
fn bare() -> (Vec<Curve>, Pictures) {
    (Vec::new(), Pictures::default())
}

#[test]
fn several_proposers_each_have_a_record() {
    let (mut status, mut experiments, metric) = (status(), ledger(17), metric());
    for experiment in experiments.iter_mut().filter(|it| it.record.number % 3 == 1) {
        std::sync::Arc::make_mut(&mut experiment.record).proposer = "acp:claude".to_owned();
        std::sync::Arc::make_mut(&mut experiment.record).cost.usd = 0.25;
    }
    status.out.insert("openai:gpt-6".to_owned(), "it does not let us in: 401".to_owned());
    let bundle = crate::live(&view(&status, &experiments, &metric, &bare()));
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
    let drawn = drawn(&experiments);
    let bundle = crate::live(&view(&status, &experiments, &metric, &drawn));
    assert_snapshot!(bundle.text(), @r"
    ● Running · tag main · search · since 22:10 · 2026-11-20 23:40:20 UTC
    experiments  ████████▌·····················  17 of 60 · about 3h 43m left
    time         █████▋························  1h 30m of 8h 00m · ends Sat 21 Nov 06:10
    val_bpb 1.023000 → 1.021311 (−0.2%, experiment 13)
    3 kept of 16 tried (19%) · $1.25, 124,000 tokens
    experiment 17 · running  ████████▉···········  2m 13s of 5m 00s  step 1,200, loss 3.2104, lr 0.0003
        learning rate 0.02 → 0.03
        █▇▆▆▅▅▄▄▃▃▃▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁  loss 3.0228 at step 1,190, the best run had 2.8228

        #  status        value     Δ best    time  hypothesis
       16  D discard  1.029943  +0.008632  5m 03s  learning rate 0.02 → 0.03
       15  D discard  1.033560  +0.012249  5m 02s  GELU instead of squared ReLU
       14  D discard  1.022354  +0.001043  5m 01s  deeper: 8 → 10 layers
    ★  13  K keep     1.021311  −0.000001  5m 07s  warm up the learning rate over 100 steps
       12  D discard  1.024545  +0.003233  5m 06s  halve the batch size
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
    status.ahead.push(Ahead {
        experiment: 18,
        elapsed: Seconds(42.0),
        proposer: "acp:claude".to_owned(),
        doing: Some("reads and edits".to_owned()),
    });
    let queued =
        |experiment| Queued { experiment, hypothesis: "no bias".to_owned(), proposer: "Ada".to_owned() };
    status.queued.extend((19..24).map(queued));
    let bundle = crate::live(&view(&status, &ledger(17), &metric, &bare()));
    let lines: Vec<&str> = bundle.text().lines().skip(5).take(8).collect();
    assert_snapshot!(lines.join("\n"), @r"
    experiment 17 · running  ████████▉···········  2m 13s of 5m 00s  step 1,200, loss 3.2104, lr 0.0003
        learning rate 0.02 → 0.03
    experiment 18 · proposing  42.0s
        acp:claude reads and edits
    next: experiment 19: no bias (Ada)
    next: experiment 20: no bias (Ada)
    next: experiment 21: no bias (Ada)
    next: 2 more
    ");
    assert!(bundle.html().unwrap().contains("acp:claude reads and edits"));
}

#[test]
fn before_the_first_experiment() {
    let mut status = status();
    (status.experiments, status.planned, status.deadline) = (0, None, None);
    (status.state, status.cost) = (LoopState::Proposing, Cost::default());
    status.slots[0].phase = "proposing".to_owned();
    status.slots[0].last.clear();
    let metric = metric();
    let drawn = bare();
    let live = view(&status, &[], &metric, &drawn);
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
    status.alerts = vec!["10 crashes in a row: the lab may be broken".to_owned()];
    status.ended_at = Some(epoch_start() + SignedDuration::from_hours(8));
    let drawn = bare();
    let mut live = view(&status, &experiments, &metric, &drawn);
    live.now = (epoch_start() + SignedDuration::from_hours(20)).to_zoned(TimeZone::UTC);
    let bundle = crate::live(&live);
    assert_snapshot!(bundle.text(), @r"
    ■ Ended 06:10, 12 h ago · tag main · search · since Fri 20 Nov 22:10 · 2026-11-21 18:10:00 UTC
    needs you: 10 crashes in a row: the lab may be broken
    val_bpb 1.0230 → 1.0214 (−0.2%, experiment 2) · 1 kept of 2 tried (50%) · $1.25, 124,000 tokens
    ended: 10 crashes in a row

       #  status      value   Δ best    time  hypothesis
    ★  2  K keep     1.0214  −0.0016  5m 03s  deeper: 8 → 10 layers
       1  D discard  1.0335  +0.0105  5m 02s  warm up the learning rate over 100 steps
       0  K keep     1.0230           5m 01s  baseline

    problem: the build fails: error[E0308]: mismatched types
    ");
    let html = bundle.html().unwrap();
    assert!(
        html.contains("Problem: ") && html.contains("Needs you: ") && !html.contains("%loop watch"),
        "{html}"
    );
}

#[test]
fn each_slot_has_its_own_curve() {
    let mut status = status();
    let mut second = status.slots[0].clone();
    (second.slot, second.experiment) = (1, Some(18));
    status.slots.push(second.clone());
    (second.slot, second.experiment, second.phase) = (2, None, "idle".to_owned());
    status.slots.push(second);
    let (experiments, metric) = (ledger(3), metric());
    let other = Curve { slot: 1, experiment: Some(18), current: loss(20, 5.0), ..curve() };
    let mut drawn = (vec![curve(), other], Pictures::default());
    drawn.1.draw_curves(&drawn.0);
    let bundle = crate::live(&view(&status, &experiments, &metric, &drawn));
    let lines: Vec<&str> =
        bundle.text().lines().filter(|line| line.contains("slot") || line.contains("at step")).collect();
    assert_snapshot!(lines.join("\n"), @r"
    slot 0 · experiment 17 · running  ████████▉···········  2m 13s of 5m 00s  step 1,200, loss 3.2104,…
        █▇▆▆▅▅▄▄▃▃▃▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁  loss 3.0228 at step 1,190, the best run had 2.8228
    slot 1 · experiment 18 · running  ████████▉···········  2m 13s of 5m 00s  step 1,200, loss 3.2104,…
        █▇▇▇▆▆▅▅▅▄▄▄▃▃▃▂▂▂▂▁  loss 7.0762 at step 190, the best run had 4.7762
    slot 2 · idle    step 1,200, loss 3.2104, lr 0.0003
    ");
    assert_eq!(bundle.html().unwrap().matches("<img").count(), 2);
    // The run of another experiment, seen a moment too late, is not this one's.
    status.slots[1].experiment = Some(19);
    assert_eq!(
        crate::live(&view(&status, &experiments, &metric, &drawn)).html().unwrap().matches("<img").count(),
        1
    );
}

#[test]
fn a_view_of_many_experiments_stays_small() {
    let (status, experiments, metric) = (status(), ledger(3000), metric());
    let drawn = drawn(&experiments);
    let bundle = crate::live(&view(&status, &experiments, &metric, &drawn));
    let html = bundle.html().unwrap();
    assert!(html.contains("some of the points") && html.len() < 70_000, "{}", html.len());
}

#[test]
fn what_needs_a_person_comes_first_and_once() {
    let mut status = status();
    status.state = LoopState::Paused;
    status.problem = Some("paused: the key is wrong".to_owned());
    status.alerts = vec!["paused: the key is wrong".to_owned()];
    let (metric, drawn) = (metric(), bare());
    let mut live = view(&status, &[], &metric, &drawn);
    live.trouble = Some("the file server is away");
    let bundle = crate::live(&live);
    assert!(bundle.text().contains("\nneeds you: paused: the key is wrong\n"), "{}", bundle.text());
    assert_eq!(bundle.text().matches("the key is wrong").count(), 1);
    assert!(bundle.text().ends_with("not up to date: the file server is away"));
    assert!(bundle.html().unwrap().contains("Not up to date"));
}

#[test]
fn a_narrow_terminal_has_no_longer_lines() {
    let (status, experiments, metric) = (status(), ledger(17), metric());
    let drawn = drawn(&experiments);
    for width in [40, 60, 100] {
        let live = Live { width, ..view(&status, &experiments, &metric, &drawn) };
        let text = crate::live(&live).text().to_owned();
        assert!(text.lines().all(|line| crate::text::columns(line) <= width), "{text}");
    }
}

#[test]
fn a_log_has_a_line_for_what_is_new() {
    let (mut now, experiments, metric) = (status(), ledger(17), metric());
    let at = epoch_start().to_zoned(TimeZone::UTC);
    let before = status();
    now.state = LoopState::Proposing;
    assert_eq!(crate::state(Some(&before), &now, &at), [""; 0]);
    now.state = LoopState::Idle;
    now.ended = Some("its time is over".to_owned());
    now.problem = Some("a hook failed".to_owned());
    now.alerts = vec!["experiment 7 is suspect".to_owned()];
    let mut lines = vec![crate::judged(&experiments[16], &experiments, &metric, &at)];
    lines.extend(crate::state(Some(&before), &now, &at));
    assert_snapshot!(lines.join("\n"), @r"
    22:10:00  experiment 16: discard, val_bpb 1.029943 (+0.008632) in 5m 03s: learning rate 0.02 → 0.03
    22:10:00  Ended: its time is over
    22:10:00  problem: a hook failed
    22:10:00  needs you: experiment 7 is suspect
    ");
}

#[test]
fn how_long_ago_it_ended() {
    let mut status = status();
    (status.state, status.slots, status.ended) = (LoopState::Idle, Vec::new(), Some("done".to_owned()));
    status.ended_at = Some(epoch_start());
    let (metric, drawn) = (metric(), bare());
    let first = |seconds| {
        let mut live = view(&status, &[], &metric, &drawn);
        live.now = (epoch_start() + SignedDuration::from_secs(seconds)).to_zoned(TimeZone::UTC);
        crate::live(&live).text().split(" · ").next().unwrap_or_default().to_owned()
    };
    let all = [30, 600, 6000, 40_000, 400_000].map(first).join("\n");
    assert_snapshot!(all, @r"
    ■ Ended 22:10
    ■ Ended 22:10, 10 min ago
    ■ Ended 22:10, 2 h ago
    ■ Ended yesterday 22:10, 11 h ago
    ■ Ended Fri 20 Nov 22:10, 5 days ago
    ");
}
