use insta::assert_snapshot;

use super::charts::{check, places, structure};
use super::support::{crashes, ledger, metric, one, turned};
use crate::{
    Metric, bundle,
    chart::{self, Ground, Layer, Place},
};

#[test]
fn progress_of_a_night() {
    let chart = chart::progress(&ledger(30), &metric());
    assert_snapshot!(chart.text(), @r"
    29 experiments, 7 kept improvements
    val_bpb 1.023000 → 1.017454 (−0.5%, experiment 26) · 4 beyond the axis, at its edge
    running best  ██▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▃▃▃▃▂▂▁▁▁▁  1.023 → 1.0175
    val_bpb (lower is better) by experiment
    ");
    check(&chart.vega_lite());
    assert!(chart.png(Ground::Paper).unwrap().starts_with(b"\x89PNG"));
    // The value of 3.4 does not flatten the rest: it stands at the worse edge.
    assert!(places(&chart, "discarded").contains(&Place::Top));
    assert!(places(&chart, "crashed or timed out").iter().all(|place| *place == Place::Top));
    let bundle = chart.bundle();
    let forms: Vec<&str> = bundle.iter().map(|(mime, _)| mime).collect();
    assert_eq!(forms, [bundle::TEXT, bundle::PNG, bundle::VEGA_LITE]);
}

#[test]
fn progress_where_higher_is_better() {
    let metric = Metric {
        name: "tokens_per_second".into(),
        direction: lab::Direction::Maximize,
        unit: Some("1/s".into()),
    };
    let chart = chart::progress(&turned(ledger(30)), &metric);
    assert_snapshot!(chart.text(), @r"
    29 experiments, 7 kept improvements
    tokens_per_second 11,908 → 11,930 1/s (+0.2%, experiment 26) · 4 beyond the axis, at its edge
    running best  ▁▁▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▆▆▆▆▇▇████  11,908 → 11,930
    tokens_per_second, 1/s (higher is better) by experiment
    ");
    assert!(places(&chart, "crashed or timed out").iter().all(|place| *place == Place::Bottom));
    check(&chart.vega_lite());
}

#[test]
fn half_of_the_points_are_seen_beside_a_small_gain() {
    let values = [1.9, 1.88, 1.98, 2.0, 2.02, 2.04, 2.3];
    let mut experiments = vec![one(0), one(1), one(2), one(3), one(4), one(5), one(6)];
    for (experiment, value) in experiments.iter_mut().zip(values) {
        let record = std::sync::Arc::make_mut(&mut experiment.record);
        record.value = Some(value);
        record.status = if record.number < 2 { lab::Status::Keep } else { lab::Status::Discard };
    }
    let seen = |experiments: &[lab::Experiment]| {
        let drawn = places(&chart::progress(experiments, &metric()), "discarded");
        drawn.iter().filter(|place| **place != Place::Top).count()
    };
    assert_eq!(seen(&experiments), 3);

    // Where the gain is smaller still, it is the gain that is seen.
    std::sync::Arc::make_mut(&mut experiments[1].record).value = Some(1.899);
    assert_eq!(seen(&experiments), 0);
}

#[test]
fn progress_of_little() {
    assert_snapshot!(chart::progress(&[], &metric()).text(), @"No experiments yet");
    assert_snapshot!(chart::progress(&ledger(1), &metric()).text(), @r"
    0 experiments, 0 kept improvements
    val_bpb 1.0230 (experiment 0)
    running best  ▄  1.023 → 1.023
    val_bpb (lower is better) by experiment
    ");
    assert_snapshot!(chart::progress(&crashes(4), &metric()).text(), @r"
    3 experiments, 0 kept improvements
    no value of val_bpb yet
    crashed or timed out  4 points without a value
    val_bpb (lower is better) by experiment
    ");
    for experiments in [vec![], ledger(1), ledger(2), crashes(4)] {
        let chart = chart::progress(&experiments, &metric());
        check(&chart.vega_lite());
        assert!(chart.png(Ground::Page).is_some());
    }
}

#[test]
fn progress_of_ledgers_of_every_size() {
    let told = |n: u64| {
        let chart = chart::progress(&ledger(n), &metric());
        format!("{}\n{}", chart.text(), structure(&chart))
    };
    assert_snapshot!(told(1), @r"
    0 experiments, 0 kept improvements
    val_bpb 1.0230 (experiment 0)
    running best  ▄  1.023 → 1.023
    val_bpb (lower is better) by experiment
    circle 1 running best
    point 1 baseline
    ");
    assert_snapshot!(told(30), @r"
    29 experiments, 7 kept improvements
    val_bpb 1.023000 → 1.017454 (−0.5%, experiment 26) · 4 beyond the axis, at its edge
    running best  ██▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▃▃▃▃▂▂▁▁▁▁  1.023 → 1.0175
    val_bpb (lower is better) by experiment
    point 16 discarded
    point 4 discarded
    line 9 running best
    point 2 crashed or timed out
    point 1 baseline
    point 7 kept
    text 3
    text 2
    text 2
    ");
    assert_snapshot!(told(700), @r"
    699 experiments, 143 kept improvements
    val_bpb 1.023000 → 1.004266 (−1.8%, experiment 696) · 4 beyond the axis, at its edge
    running best  █▇▆▅▅▅▄▄▄▄▄▄▃▃▃▃▃▃▃▃▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁  1.023 → 1.0043
    val_bpb (lower is better) by experiment
    point 483 discarded
    point 4 discarded
    line 145 running best
    point 69 crashed or timed out
    point 1 baseline
    point 143 kept
    text 1
    text 8
    text 1
    ");
    assert_snapshot!(told(10_000), @r"
    9,999 experiments, 1,702 kept improvements
    val_bpb 1.023000 → 0.991285 (−3.1%, experiment 9991) · 1 beyond the axis, at its edge · of 8,297 not kept 1,499 are drawn, taken by chance
    running best  █▆▅▅▄▄▄▄▃▃▃▃▃▃▃▂▂▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁  1.023 → 0.9913
    val_bpb (lower is better) by experiment
    point 1324 discarded
    line 1704 running best
    point 175 crashed or timed out
    point 1 baseline
    point 1702 kept
    text 1
    text 2
    ");
}

#[test]
fn ten_thousand_stay_small_and_keep_every_kind() {
    let mut experiments = ledger(10_000);
    for number in [17, 9000] {
        std::sync::Arc::make_mut(&mut experiments[number].record).status = lab::Status::Suspect;
    }
    let chart = chart::progress(&experiments, &metric());
    let spec = chart.vega_lite().to_string();
    assert!(spec.len() < 700_000, "{}", spec.len());
    assert!(chart.png(Ground::Paper).unwrap().len() < 400_000);
    let of = |status| experiments.iter().filter(|e| e.record.status == status && !e.record.baseline).count();
    assert_eq!(places(&chart, "kept").len(), of(lab::Status::Keep), "all that was kept");
    assert_eq!(places(&chart, "suspect or invalid").len(), 2);
    let crashed = places(&chart, "crashed or timed out").len();
    assert!(crashed > 60 && crashed < of(lab::Status::Crash), "{crashed}");
    assert!(chart.subtitle.contains("taken by chance"), "{}", chart.subtitle);
}

#[test]
fn bests_of_two_epochs_are_not_joined() {
    let mut experiments = ledger(6);
    for (i, e) in ledger(4).into_iter().enumerate() {
        let mut later = e;
        std::sync::Arc::make_mut(&mut later.record).number = 6 + i as u64;
        std::sync::Arc::make_mut(&mut later.record).epoch = lab::Epoch::new("e2");
        experiments.push(later);
    }
    let chart = chart::progress(&experiments, &metric());
    let pieces = chart
        .layers
        .iter()
        .find_map(|layer| if let Layer::Line(line) = layer { Some(line.pieces.len()) } else { None });
    assert_eq!(pieces, Some(2));
    check(&chart.vega_lite());
}
