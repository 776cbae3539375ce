use insta::assert_snapshot;

use super::support::{crashes, ledger as plain, loss, metric, one, turned};
use crate::{Metric, Options, Page, Sort, chart};

/// A ledger whose experiments build on the best so far, as those of a loop do.
fn ledger(n: u64) -> Vec<lab::Experiment> {
    let mut experiments = plain(n);
    let mut best = experiments[0].record.candidate.clone();
    for e in &mut experiments[1..] {
        std::sync::Arc::make_mut(&mut e.record).parent = Some(best.clone());
        if e.record.status == lab::Status::Keep {
            best = e.record.candidate.clone();
        }
    }
    experiments
}

#[test]
fn the_table_of_a_night() {
    let bundle = crate::experiments(&ledger(17), &Options::new(metric()));
    assert_snapshot!(bundle.text(), @r"
    val_bpb 1.023000 → 1.021311 (−0.2%, experiment 13) · 3 kept of 16 tried (19%)

        #  status        value   Δ parent     Δ base    time  proposer  hypothesis
        0  K keep     1.023000                        5m 01s  baseline  baseline
        1  D discard  1.033545  +0.010545  +0.010545  5m 02s  search    warm up the learning rate over…
        2  K keep     1.021422  −0.001578  −0.001578  5m 03s  search    deeper: 8 → 10 layers
        3  D discard  1.028851  +0.007429  +0.005851  5m 04s  search    GELU instead of squared ReLU
        4  D discard  1.031421  +0.009999  +0.008421  5m 05s  search    learning rate 0.02 → 0.03
        5  D discard  1.024861  +0.003439  +0.001861  5m 06s  search    weight decay 0.1 on matrices on…
        6  D discard  1.029881  +0.008459  +0.006881  5m 07s  search    rotary base 10,000 → 50,000
        7  D discard  1.023081  +0.001659  +0.000081  5m 01s  search    tie the embedding and the head
        8  D discard  1.030105  +0.008683  +0.007105  5m 02s  search    cosine schedule with a floor of…
        9  D discard  1.025401  +0.003979  +0.002401  5m 03s  search    gradient clipping at 1.0
       10  K keep     1.021312  −0.000110  −0.001688  5m 04s  search    wider head dimension, fewer hea…
       11  D discard  3.400000  +2.378688  +2.377000  5m 05s  search    drop the bias in the output pro…
       12  D discard  1.024545  +0.003233  +0.001545  5m 06s  search    halve the batch size
    ★  13  K keep     1.021311  −0.000001  −0.001689  5m 07s  search    warm up the learning rate over…
       14  D discard  1.022354  +0.001043  −0.000646  5m 01s  search    deeper: 8 → 10 layers
       15  D discard  1.033560  +0.012249  +0.010560  5m 02s  search    GELU instead of squared ReLU
       16  D discard  1.029943  +0.008632  +0.006943  5m 03s  search    learning rate 0.02 → 0.03
    ");
}

#[test]
fn the_table_as_html() {
    let mut experiments = ledger(2);
    std::sync::Arc::make_mut(&mut experiments[1].record).confidence = Some(0.93);
    std::sync::Arc::make_mut(&mut experiments[1].record).hypothesis = "a < b & \"c\"".to_owned();
    assert_snapshot!(crate::experiments(&experiments, &Options::new(metric())).html().unwrap(), @r#"<div><div style="margin:2px 0 6px 0">val_bpb 1.0230 (experiment 0) · 0 kept of 1 tried (0%)</div><table style="border-collapse:collapse;font-size:13px;margin:2px 0"><thead><tr><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">#</th><th style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap">status</th><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap" title="val_bpb (lower is better)">val_bpb</th><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap" title="difference to the experiment that it builds on">Δ parent</th><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap" title="difference to the baseline">Δ baseline</th><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap" title="probability that the difference is real">sure</th><th style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap" title="build and runs together">time</th><th style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap">hypothesis</th><th style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap" title="what made the candidate">proposer</th></tr></thead><tbody><tr style="background-color:#009e7326;font-weight:600"><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"><span title="best">★ </span>0</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap" title="the baseline"><span style="display:inline-block;width:16px;border-radius:3px;background-color:#009e73;color:#111111;text-align:center;font-weight:600;font-size:11px;line-height:16px">K</span> keep</td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">1.0230</td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"><span style="opacity:0.65"></span></td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"><span style="opacity:0.65"></span></td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"></td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">5m 01s</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:normal;min-width:180px;max-width:520px">baseline</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap" title="baseline">baseline</td></tr><tr><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">1</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap" title="not better than the best"><span style="display:inline-block;width:16px;border-radius:3px;background-color:#8a8a8a;color:#111111;text-align:center;font-weight:600;font-size:11px;line-height:16px">D</span> discard</td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">1.0335</td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"><span style="opacity:0.65">+0.0105</span></td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap"><span style="opacity:0.65">+0.0105</span></td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">93%</td><td style="padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap">5m 02s</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:normal;min-width:180px;max-width:520px">a &lt; b &amp; &quot;c&quot;</td><td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap" title="search">search</td></tr></tbody></table></div>"#);
}

#[test]
fn an_empty_ledger_and_one_of_crashes() {
    assert_snapshot!(crate::experiments(&[], &Options::new(metric())).text(), @"No experiments yet: `loop start` begins.");
    assert_snapshot!(crate::experiments(&crashes(3), &Options::new(metric())).text(), @r"
    0 kept of 2 tried (0%), 3 crashed

      #  status   value  Δ parent  Δ base    time  proposer  hypothesis
      0  C crash      –                    5m 01s  baseline  baseline
      1  C crash      –                    5m 02s  search    warm up the learning rate over 100 steps
      2  C crash      –                    5m 03s  search    deeper: 8 → 10 layers
    ");
}

#[test]
fn sorted_filtered_and_cut() {
    let all = turned(ledger(1000));
    let metric = Metric {
        name: "tokens_per_second".into(),
        direction: lab::Direction::Maximize,
        unit: Some("1/s".into()),
    };
    let mut options = Options::new(metric);
    options.limit = 4;
    assert_snapshot!(crate::experiments(&all, &options).text(), @r"
    tokens_per_second 11,908 → 11,990 1/s (+0.7%, experiment 967) · 199 kept of 999 tried (20%), 96 crashed

        #  status      value  Δ parent  Δ base    time  proposer  hypothesis
      996  D discard  11,943       −47     +35  5m 03s  search    halve the batch size
      997  D discard  11,970       −20     +62  5m 04s  search    warm up the learning rate over 100 st…
      998  D discard  11,973       −17     +65  5m 05s  search    deeper: 8 → 10 layers
      999  D discard  11,967       −23     +59  5m 06s  search    GELU instead of squared ReLU
    … the last 4 of 1,000 experiments; `--page N` shows one of 250 pages
    ");
    (options.sort, options.top, options.statuses) = (Sort::Value, Some(3), vec![lab::Status::Keep]);
    options.peers = lab::Peers::of(all.iter().map(|e| e.record.as_ref()), Some("another"));
    assert_snapshot!(crate::experiments(&all, &options).text(), @r"
    tokens_per_second 11,908 → 11,990 1/s (+0.7%, experiment ada/967) · 199 kept of 999 tried (20%), 96 crashed

             #  status   value  Δ parent  Δ base    time  proposer  hypothesis
    ★  ada/967  K keep  11,990        +1     +82  5m 02s  search    tie the embedding and the head
       ada/973  K keep  11,990         0     +82  5m 01s  search    warm up the learning rate over 100…
       ada/977  K keep  11,990         0     +82  5m 05s  search    weight decay 0.1 on matrices only
    ");
    options.since = Some("2100-01-01T00:00:00Z".parse().unwrap());
    assert!(crate::experiments(&all, &options).text().starts_with("No experiment matches."));
}

#[test]
fn what_does_not_count_has_no_rank() {
    let mut all = ledger(17);
    let change = |e: &mut lab::Experiment, value: f64, status| {
        let record = std::sync::Arc::make_mut(&mut e.record);
        (record.value, record.status) = (Some(value), status);
    };
    change(&mut all[3], 0.1, lab::Status::Invalid);
    change(&mut all[4], 0.2, lab::Status::Suspect);
    change(&mut all[5], 0.3, lab::Status::Discard);
    all[5].judged = Some(lab::Status::Keep);
    change(&mut all[6], 0.4, lab::Status::Discard);
    std::sync::Arc::make_mut(&mut all[6].record).epoch = lab::Epoch::new("before");
    let mut options = Options::new(metric());
    (options.sort, options.top) = (Sort::Value, Some(3));
    let numbers = |options: &Options| {
        let rows = crate::choose(&all, options).into_iter();
        rows.map(|e| e.record.number.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_snapshot!(numbers(&options), @"13 10 2");
    // Where they are asked for by name, they are ranked.
    options.statuses = vec![lab::Status::Invalid, lab::Status::Suspect];
    assert_snapshot!(numbers(&options), @"3 4");
    (options.statuses, options.top) = (Vec::new(), None);
    assert_snapshot!(numbers(&options), @"13 10 2 14 0 7 12 9 16 8 1 15 11 3 4 5 6");
    options.reverse = true;
    assert_snapshot!(numbers(&options), @"11 15 1 8 16 9 12 7 0 14 2 10 13 3 4 5 6");
}

#[test]
fn filtered_by_words_and_shown_in_pages() {
    let mut all = ledger(17);
    for e in all.iter_mut().filter(|e| e.record.number % 4 == 1) {
        let record = std::sync::Arc::make_mut(&mut e.record);
        record.proposer = "acp:claude".to_owned();
        record.cost.usd = 0.01 * record.number as f64;
        record.summary.insert("peak_vram_mb".to_owned(), 45_060.2 - record.number as f64 * 1000.0);
    }
    let mut options = Options::new(metric());
    options.limit = 3;
    options.page = Some(2);
    options.proposer = Some("CLAUDE".to_owned());
    options.width = 140;
    for e in crate::shown(&all, &options) {
        options.losses.insert(e.record.id, loss(50, 2.0).into_iter().map(|point| point.1).collect());
    }
    assert_snapshot!(crate::experiments(&all, &options).text(), @r"
    val_bpb 1.023000 → 1.021311 (−0.2%, experiment 13) · 3 kept of 16 tried (19%)

        #  status     value   Δ parent     Δ base    time   memory   cost  loss        proposer    hypothesis
    ★  13  K keep  1.021311  −0.000001  −0.001689  5m 07s  32.1 GB  $0.13  █▇▅▄▄▃▂▂▁▁  acp:claude  warm up the learning rate over 100 steps
    … rows 4 to 4 of 4 experiments; `--page N` shows one of 2 pages
    acp:claude: 1 kept of 4, −0.000001 in 20m 18s, $0.28
    search: 2 kept of 12, −0.001688 in 1h 00m
    ");
    options.page = Some(9);
    let bundle = crate::experiments(&all, &options);
    assert!(bundle.text().contains("no page 9: there are 2 of 4 experiments"), "{}", bundle.text());
    (options.page, options.proposer, options.text) = (None, None, Some("Rotary".to_owned()));
    (options.sort, options.limit) = (Sort::Cost, 50);
    assert_eq!(crate::choose(&all, &options).iter().map(|e| e.record.number).collect::<Vec<_>>(), [6]);
    options.text = None;
    let first = |sort, reverse| {
        let options = Options { sort, reverse, ..options.clone() };
        crate::choose(&all, &options)[0].record.number
    };
    let order =
        [Sort::Cost, Sort::Memory, Sort::Delta, Sort::Seconds, Sort::Newest].map(|sort| first(sort, false));
    assert_eq!((order, first(Sort::Cost, true), first(Sort::Number, true)), ([13, 1, 2, 6, 16], 1, 16));
}

#[test]
fn one_experiment_on_a_page() {
    let mut e = one(17);
    std::sync::Arc::make_mut(&mut e.record).delta = Some(-0.0021);
    std::sync::Arc::make_mut(&mut e.record).value = Some(0.9932);
    std::sync::Arc::make_mut(&mut e.record).status = lab::Status::Keep;
    std::sync::Arc::make_mut(&mut e.record).claim = Some(lab::Claim::Unproven);
    e.judged = Some(lab::Status::Discard);
    std::sync::Arc::make_mut(&mut e.record).cost.usd = 0.0213;
    std::sync::Arc::make_mut(&mut e.record).summary.insert("peak_vram_mb".to_owned(), 39_210.0);
    e.notes.push("Ada: looks real".to_owned());
    let diff = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1,3 +1,3 @@\n import torch\n-BATCH = 64\n+BATCH = 32\n";
    let page = Page {
        experiment: &e,
        label: "17".to_owned(),
        metric: &metric(),
        baseline: Some(1.023),
        diff: Some(diff),
        curve: Some(chart::curves(
            vec![("17".into(), loss(300, 2.7)), ("best".into(), loss(300, 2.8))],
            "step",
            "loss",
        )),
        log: Some(b"starting\n\x1b[32mstep 1\rstep 2\x1b[0m\ndone\n"),
        zone: jiff::tz::TimeZone::UTC,
    };
    let bundle = crate::experiment(&page);
    assert_snapshot!(bundle.text(), @r"
    Experiment 17: weight decay 0.1 on matrices only (judged discard, keep by hand)

    status      keep, unproven: one run said so (the judge said discard)
    value       val_bpb 0.9932, −0.0021 to the best it was compared with, −0.0298 (−2.9%) to the
                baseline
    reason      not better than the best
    candidate   0000000000 → 0000000000
    by          search, under the name of Ada
    started     2026-11-20 23:38:07 UTC, took 5m 04s
    runs        seed 42: 1 in 5m 00s
    cost        $0.0213
    summary     peak_vram_mb 39,210
    memory      39.2 GB at most
    machine     gpu-7, x86_64, 2 cores, rustc 1.95.0
    note        Ada: looks real

    loss over step
    17    █▆▅▄▄▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.7 → 2.7006
    best  █▆▅▄▄▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.8 → 2.8006
    loss by step

    diff (+1 −1 lines)
    diff --git a/train.py b/train.py
    --- a/train.py
    +++ b/train.py
    @@ -1,3 +1,3 @@
     import torch
    -BATCH = 64
    +BATCH = 32

    log
    starting
    step 2
    done
    ");
    assert!(bundle.html().unwrap().contains("data:image/png"));
}

#[test]
fn a_diff_in_colours() {
    let bundle = crate::diff(
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n same\n-old <b>\n+new\n\\ No newline at end of file\n",
    );
    assert_snapshot!(bundle.text(), @r"
    diff --git a/f b/f
    --- a/f
    +++ b/f
    @@ -1,2 +1,2 @@
     same
    -old <b>
    +new
    \ No newline at end of file
    ");
    assert_snapshot!(bundle.html().unwrap(), @r#"<div style="margin:2px 0;padding:0;font-family:monospace;font-size:12px;line-height:1.45;overflow-x:auto" dir="ltr"><div style="white-space:pre;padding:0 6px;font-weight:600">diff --git a/f b/f</div><div style="white-space:pre;padding:0 6px;font-weight:600">--- a/f</div><div style="white-space:pre;padding:0 6px;font-weight:600">+++ b/f</div><div style="white-space:pre;padding:0 6px;background-color:#0072b21f;opacity:0.75">@@ -1,2 +1,2 @@</div><div style="display:inline-block;vertical-align:top;width:49.8%;min-width:380px;overflow-x:auto;box-sizing:border-box"><div style="white-space:pre;padding:0 6px;"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0">1</span> same</div><div style="white-space:pre;padding:0 6px;background-color:#d55e002e"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0">2</span>-old &lt;b&gt;</div><div style="white-space:pre;padding:0 6px;opacity:0.65;font-style:italic"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0"></span>\ No newline at end of file</div></div><div style="display:inline-block;vertical-align:top;width:49.8%;min-width:380px;overflow-x:auto;box-sizing:border-box"><div style="white-space:pre;padding:0 6px;"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0">1</span> same</div><div style="white-space:pre;padding:0 6px;background-color:#009e732e"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0">2</span>+new</div><div style="white-space:pre;padding:0 6px;opacity:0.65;font-style:italic"><span style="display:inline-block;width:40px;opacity:0.6;text-align:right;margin:0 8px 0 0"></span>\ No newline at end of file</div></div></div>"#);
    assert_eq!(crate::diff("").text(), "No difference.");
}

#[test]
fn what_was_stands_beside_what_is() {
    let unified = "diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -7,4 +7,5 @@ def f():\n import torch\n-LR = 0.04  # rate\n+LR = 0.02  # rate\n+WARMUP = 0.3\n done\n";
    let html = crate::diff(unified).html().unwrap().to_owned();
    let columns: Vec<&str> = html.split("width:49.8%").collect();
    assert_eq!(columns.len(), 3, "{html}");
    // As many rows on the one side as on the other, and the words that differ are marked.
    let rows = |column: &str| column.matches("<div style=\"white-space:pre").count();
    assert_eq!((rows(columns[1]), rows(columns[2])), (4, 4));
    assert!(columns[1].contains("border-radius:2px\">0.04</span>"), "{html}");
    assert!(columns[2].contains("border-radius:2px\">0.02</span>"), "{html}");
    assert!(
        html.contains(">import</span>") && html.contains(">8</span>") && html.contains("@@ -7,4"),
        "{html}"
    );
    for dropped in ["<style", "flex", "class=", "grid"] {
        assert!(!html.contains(dropped), "{dropped}");
    }
    // With one side alone nothing stands beside it.
    let new = crate::diff("--- /dev/null\n+++ b/t.rs\n@@ -0,0 +1 @@\n+const N: usize = 1;\n");
    assert!(!new.html().unwrap().contains("49.8%") && new.html().unwrap().contains(">const</span>"));
}

#[test]
fn the_tail_of_a_log() {
    let log = (0..100).map(|i| format!("line {i}")).collect::<Vec<_>>().join("\n") + "\n";
    assert_snapshot!(crate::log(log.as_bytes(), 3).text(), @r"
    … 97 lines (766 bytes) before this
    line 97
    line 98
    line 99
    ");
    assert_eq!(crate::log(b"\n", 3).text(), "The log is empty.");
    assert_eq!(crate::log(b"bad \xff byte", 3).text(), "bad \u{fffd} byte");
}

#[test]
fn a_frame_with_types_and_what_was_cut() {
    use polars::prelude::{Column, DataFrame};
    let rows = 30;
    let columns = vec![
        Column::new("number".into(), (0..rows).collect::<Vec<i64>>()),
        Column::new(
            "loss".into(),
            (0..rows).map(|i| (i != 1).then_some(3.0 / (i + 1) as f64)).collect::<Vec<_>>(),
        ),
        Column::new("text <b>".into(), (0..rows).map(|i| format!("<i>{i}\u{1b}[1m")).collect::<Vec<_>>()),
    ];
    let frame = DataFrame::new(rows as usize, columns).unwrap();
    let bundle = crate::table(&frame, 4);
    assert_snapshot!(bundle.text(), @r"
    number    loss  text <b>
       i64     f64  str
         0       3  <i>0
         1    null  <i>1
         …       …  …
        28  0.1034  <i>28
        29     0.1  <i>29
    30 rows × 3 columns, 26 rows not shown
    ");
    let html = bundle.html().unwrap();
    assert!(
        html.contains("&lt;i&gt;29")
            && html.contains("text &lt;b&gt;")
            && html.contains("30 rows × 3 columns"),
        "{html}"
    );
    assert!(!html.contains("<i>") && html.contains("26 rows not shown"), "{html}");
    assert_eq!(crate::table(&DataFrame::empty(), 4).text(), "0 rows × 0 columns");
}

#[test]
fn a_page_says_which_rows_it_has() {
    let frame = polars::df!("a" => (0..7i64).collect::<Vec<_>>()).unwrap();
    let last = |number| crate::page(&frame, 3, number).text().lines().last().map(str::to_owned);
    assert_eq!(last(1).as_deref(), Some("7 rows × 1 column, rows 1 to 3, --page 2 shows more"));
    assert_eq!(last(3).as_deref(), Some("7 rows × 1 column, rows 7 to 7"));
    assert_eq!(last(4).as_deref(), Some("7 rows × 1 column, no page 4: there are 3"));
    assert_eq!(crate::page(&frame, 7, 1), crate::table(&frame, 7));
    let html = crate::page(&frame, 3, 2);
    assert!(html.html().is_some_and(|html| html.matches("<tr").count() == 4 && html.contains("rows 4 to 6")));
}
