use std::collections::BTreeSet;
use std::sync::Arc;

use insta::assert_snapshot;
use jiff::{SignedDuration, tz::Offset};
use lab::{Claim, CommitId, Entry, Event, EventId, Experiment, Tag};
use serde_json::Value;
use uuid::Uuid;

use super::support::{crashes, epoch_start, ledger, turned};
use crate::report::{Form, Other, Reading, Report, Setting, Source, Verdict};

pub(super) const FORMS: [Form; 3] = [Form::Notebook, Form::Html, Form::Markdown];
const EVIL: &str = "</div><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}gnp.exe\u{0}\r\n\
                    & \"quoted\" --> </template> <!-- overnight-report {} ``` | @ada fixes #12 [x](javascript:y) `z` overnight-report";
const PROGRAM: &str =
    "---\nrun: uv run train.py\nmetric: val_bpb\nunit: bits\nbudget: 5m\n---\nExplore the optimizer first.\n";

fn said(minutes: i64, author: &str, event: Event) -> Arc<Entry> {
    Arc::new(Entry {
        schema: 1,
        id: EventId(Uuid::from_u128(minutes as u128)),
        at: epoch_start() + SignedDuration::from_mins(minutes),
        author: author.to_owned(),
        tag: Tag::default(),
        writer: None,
        event,
    })
}

/// What people and the loop did in a night of two hours.
fn events(experiments: &[Experiment]) -> Vec<Arc<Entry>> {
    let steered = |text: &str| Event::Steered { text: text.to_owned(), cell: None };
    let mut events = vec![
        said(
            0,
            "Ada",
            Event::LoopStarted {
                proposer: "search".to_owned(),
                budget: lab::Seconds(300.0),
                deadline: None,
                experiments: None,
                slots: 1,
                seed: 42,
                pid: 7,
            },
        ),
        said(30, "Ada", steered("leave the schedule alone")),
        said(
            40,
            "Ada",
            Event::Vetoed { pattern: "rotary|rope".to_owned(), number: None, lifted: false, cell: None },
        ),
        said(
            50,
            "overnight",
            Event::Idea {
                text: "a longer warm-up".to_owned(),
                proposer: Some("search".to_owned()),
                now: false,
                cell: None,
            },
        ),
    ];
    if let Some(last) = experiments.last() {
        let experiment = last.record.id;
        events.push(said(60, "Bob", Event::Noted { experiment, text: "looks odd".to_owned() }));
    }
    events.push(said(
        120,
        "overnight",
        Event::LoopEnded { reason: "its time is over".to_owned(), failed: false },
    ));
    events
}

pub(super) fn source(form: Form, experiments: Vec<Experiment>) -> Source {
    let setting = |e: &Experiment| Setting {
        experiment: e.record.id,
        name: "DEPTH".to_owned(),
        setting: (8 + e.record.number % 3).to_string(),
    };
    Source {
        form,
        lab: "nanochat".to_owned(),
        tag: Tag::default(),
        commit: Some(CommitId::new("c0ffee".repeat(6) + "c0ff")),
        writer: "a1b2c3d4".to_owned(),
        events: events(&experiments),
        settings: experiments.iter().map(setting).collect(),
        experiments,
        program: Some(PROGRAM.to_owned()),
        others: Vec::new(),
        made: epoch_start() + SignedDuration::from_hours(8),
        offset: Offset::constant(1),
        version: "0.1.0".to_owned(),
    }
}

const DIFF: &str = "diff --git a/train.py b/train.py\nindex 1..2 100644\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-DEPTH = 8\n+DEPTH = 9\n";

pub(super) fn report(source: Source) -> Report {
    Report::of(source, &|_, _| Some(DIFF.to_owned()))
}

pub(super) fn written(source: Source) -> String {
    report(source).write(Some("night.png")).text
}

/// Takes a report apart, with the picture that was written beside it.
pub(super) fn read(report: &Report, text: &str) -> Reading {
    let reading = Reading::of(text).unwrap();
    match reading.picture_file() {
        Some(name) => {
            assert_eq!(name, "night.png");
            reading.with_picture(report.write(Some("night.png")).picture.map(|(_, bytes)| bytes))
        }
        None => reading,
    }
}

/// Markdown without its stamp.
fn words(source: Source) -> String {
    let text = written(source);
    text.split("<!-- overnight-report").next().unwrap().trim_end().to_owned()
}

#[test]
fn loops_of_other_clones_are_theirs_to_tell() {
    let theirs =
        |entry: Arc<Entry>| Arc::new(Entry { writer: Some("0ther".to_owned()), ..Entry::clone(&entry) });
    let mut source = source(Form::Markdown, ledger(3));
    let ended = Event::LoopEnded { reason: "the other one is over".to_owned(), failed: false };
    source.events.push(theirs(said(70, "overnight", ended)));
    source.events.push(theirs(Arc::clone(&source.events[0])));
    source.events.sort_by_key(|entry| entry.at);
    let text = words(source);
    assert!(text.contains("its time is over") && !text.contains("the other one is over"), "{text}");
    assert!(text.contains("The reports of other clones tell of 1 loop more"), "{text}");
}

#[test]
fn a_night() {
    let mut experiments = ledger(30);
    let best = experiments.iter().rposition(|e| e.record.status == lab::Status::Keep).unwrap();
    let r = Arc::make_mut(&mut experiments[best].record);
    (r.claim, r.confidence) = (Some(Claim::Certified), Some(0.97));
    r.cost = lab::Cost { usd: 1.25, input_tokens: 120_000, output_tokens: 4_000 };
    let mut again = r.runs[0].clone();
    again.value = again.value.map(|value| value + 0.0004);
    r.runs.push(again);
    let r = Arc::make_mut(&mut experiments[3].record);
    (r.proposer, r.hypothesis) = ("human".to_owned(), "my own".to_owned());
    let mut source = source(Form::Markdown, experiments);
    source.others.push(Other {
        tag: Tag::new("wide"),
        commit: CommitId::new("beef".repeat(10)),
        experiments: ledger(12),
    });
    assert_snapshot!(words(source), @r"
    # val_bpb 1.023000 → 1.017454 bits in 29 experiments

    <sub>Lab `nanochat`, line of research `main`, 2026-11-20 23:10 to 2026-11-21 01:45. Times are UTC+01. Written 2026-11-21 07:10 by Overnight 0.1.0 from the ledger as it was at c0ffeec0ff.</sub>

    | baseline | best | change | kept of tried | time of runs | cost of proposals |
    | --: | --: | --: | --: | --: | --: |
    | 1.023000 bits | 1.017454 bits | −0.5% | 7 of 29 | 2h 22m | \$1.25 |

    val_bpb (lower is better) went from 1.023000 to 1.017454 bits, by −0.005546 (−0.5%). The best is experiment 26: deeper: 8 → 10 layers.

    Its claim is certified: repeats with paired seeds agree. When it was judged, the probability that it is better than the best before it was 97%. Of the noise this is known: the same code, run again, gave values up to 0.000400 apart (1 candidate, 2 runs); all others were run once.

    ![29 experiments, 7 kept improvements](night.png)

    ## What was asked

    Run by `uv run train.py`, which prints `val_bpb` (lower is better); a run is meant to take 5m 00s. What may change: `train.py`.

    ```text
    Explore the optimizer first.
    ```

    <sub>`git show 0123456789abcdef0123456789abcdef01234567` shows it whole.</sub>

    ## What was kept

    | # | val_bpb | step | step, % | to the baseline | claim | by | what |
    | --: | --: | --: | --: | --: | --- | --- | --- |
    | 0 | 1.023000 |  |  |  |  | baseline | baseline |
    | 2 | 1.021422 | −0.001578 | −0.2% | −0.001578 | unproven | search | deeper: 8 → 10 layers |
    | 10 | 1.021312 | −0.000110 | −0.01% | −0.001688 | unproven | search | wider head dimension, fewer heads |
    | 13 | 1.021311 | −0.000001 | 0.00% | −0.001689 | unproven | search | warm up the learning rate over 100 steps |
    | 20 | 1.019227 | −0.002084 | −0.2% | −0.003773 | unproven | search | cosine schedule with a floor of 10% |
    | 23 | 1.019215 | −0.000012 | 0.00% | −0.003785 | unproven | search | drop the bias in the output projection |
    | 24 | 1.018327 | −0.000888 | −0.09% | −0.004673 | unproven | search | halve the batch size |
    | 26 | 1.017454 | −0.000873 | −0.09% | −0.005546 | certified | search | deeper: 8 → 10 layers |

    **Experiment 2, −0.001578: deeper: 8 → 10 layers**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 10, −0.000110: wider head dimension, fewer heads**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 13, −0.000001: warm up the learning rate over 100 steps**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 20, −0.002084: cosine schedule with a floor of 10%**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 23, −0.000012: drop the bias in the output projection**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 24, −0.000888: halve the batch size**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    **Experiment 26, −0.000873: deeper: 8 → 10 layers**

    ```diff
    --- a/train.py
    +++ b/train.py
    @@ -1 +1 @@
    -DEPTH = 8
    +DEPTH = 9
    ```

    ## What failed

    Of 29 that were tried: 20 discarded, 2 crashed.

    | what became of it | how many | why | experiments |
    | --- | --: | --- | --- |
    | crash | 2 | the build failed | 22, 25 |

    ## What the constants did

    | constant | baseline | best | settings | tried | kept | gain of those kept |
    | --- | --: | --: | --: | --: | --: | --: |
    | `DEPTH` | 8 | 10 | 3 | 22 | 5 | −0.005533 |

    <sub>Of this epoch's latest experiments, each beside its parent.</sub>

    ## What people did

    | when | who | what |
    | --- | --- | --- |
    | 2026-11-20 23:25 | Ada | tried experiment 3 by hand: my own (discard) |
    | 2026-11-20 23:40 | Ada | told the proposer: leave the schedule alone |
    | 2026-11-20 23:50 | Ada | ruled out what matches `rotary\|rope` |
    | 2026-11-21 00:10 | Bob | noted on experiment 29: looks odd |

    <sub>Proposers left 1 idea of their own for later.</sub>

    Beside this:

    - Line of research `wide`: 2 of 11 kept, val_bpb 1.02300 → 1.02131.

    ## Time, cost and machines

    | loop began | took | proposer | slots | seed | why it ended |
    | --- | --: | --- | --: | --: | --- |
    | 2026-11-20 23:10 | 2h 00m | search | 1 | 42 | its time is over |

    - Building and running took 2h 22m in all, for 30 experiments with 31 runs.
    - Proposing the recorded experiments cost \$1.25, 120,000 tokens read and 4,000 tokens written. What proposals cost that led to no experiment is in the journal of the machine only.
    - gpu-7; x86_64, 2 cores; rustc 1.95.0: 30 experiments.

    ## Do it again

    - Ledger `refs/overnight/ledger/main` at `c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff`.
    - Experiment 26 is commit `000000000000000000000000000000000000002a`, on its parent 0000000000. Judged by rule 1.
    - Toolchain: rustc 1.95.0.
    - Seeds of its runs: 42, 42.
    - Overnight 0.1.0.

    ```sh
    overnight merge REMOTE --tag main
    overnight run --from ada/26 --tag main
    overnight report --check FILE
    ```

    <sub>The first fetches the ledger with every candidate, metric and log; the second runs the best again; the third works out every figure of this report again from that commit and says which differ.</sub>
    ");
}

#[test]
fn little_and_nothing() {
    assert_snapshot!(words(source(Form::Markdown, ledger(1))), @r"
    # The baseline: val_bpb 1.0230 bits

    <sub>Lab `nanochat`, line of research `main`, 2026-11-20 23:10 to 2026-11-20 23:15. Times are UTC+01. Written 2026-11-21 07:10 by Overnight 0.1.0 from the ledger as it was at c0ffeec0ff.</sub>

    | baseline, and best | kept of tried | time of runs |
    | --: | --: | --: |
    | 1.0230 bits | 0 of 0 | 5m 01s |

    Nothing was better than the baseline: val_bpb (lower is better) is 1.0230 bits, experiment 0.

    One run each; the noise was not measured.

    ![0 experiments, 0 kept improvements](night.png)

    ## What was asked

    Run by `uv run train.py`, which prints `val_bpb` (lower is better); a run is meant to take 5m 00s. What may change: `train.py`.

    ```text
    Explore the optimizer first.
    ```

    <sub>`git show 0123456789abcdef0123456789abcdef01234567` shows it whole.</sub>

    ## What was kept

    Nothing beside the baseline.

    ## What failed

    Nothing has been tried yet.

    ## What the constants did

    No constant of the editable files was changed by itself, as far as can be told.

    ## What people did

    | when | who | what |
    | --- | --- | --- |
    | 2026-11-20 23:40 | Ada | told the proposer: leave the schedule alone |
    | 2026-11-20 23:50 | Ada | ruled out what matches `rotary\|rope` |
    | 2026-11-21 00:10 | Bob | noted on experiment 0: looks odd |

    <sub>Proposers left 1 idea of their own for later.</sub>

    ## Time, cost and machines

    | loop began | took | proposer | slots | seed | why it ended |
    | --- | --: | --- | --: | --: | --- |
    | 2026-11-20 23:10 | 2h 00m | search | 1 | 42 | its time is over |

    - Building and running took 5m 01s in all, for 1 experiment with 1 run.
    - No recorded experiment cost money or tokens to propose.
    - gpu-7; x86_64, 2 cores; rustc 1.95.0: 1 experiment.

    ## Do it again

    - Ledger `refs/overnight/ledger/main` at `c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff`.
    - Experiment 0 is commit `0000000000000000000000000000000000000010`. Judged by rule 1.
    - Toolchain: rustc 1.95.0.
    - Seeds of its runs: 42.
    - Overnight 0.1.0.

    ```sh
    overnight merge REMOTE --tag main
    overnight run --from ada/0 --tag main
    overnight report --check FILE
    ```

    <sub>The first fetches the ledger with every candidate, metric and log; the second runs the best again; the third works out every figure of this report again from that commit and says which differ.</sub>
    ");
    let text = words(Source { commit: None, program: None, ..source(Form::Markdown, Vec::new()) });
    assert!(text.starts_with("# No experiments yet") && !text.contains("!["), "{text}");
}

#[test]
fn nothing_but_crashes() {
    let mut experiments = crashes(40);
    for (i, e) in experiments.iter_mut().enumerate() {
        Arc::make_mut(&mut e.record).reason = match i % 3 {
            0 => format!("exit {i}: KeyError: 'n_head_{i}'"),
            1 => format!("out of memory: {i} MiB wanted"),
            _ => "the build failed".to_owned(),
        };
    }
    let text = words(source(Form::Markdown, experiments));
    let failed = text.split("## What failed").nth(1).unwrap().split("## ").next().unwrap().trim();
    assert_snapshot!(failed, @r"
    Of 39 that were tried: 39 crashed.

    | what became of it | how many | why | experiments |
    | --- | --: | --- | --- |
    | crash | 14 | exit N: KeyError: '…' | 0, 3, 6, 9, 12, … |
    | crash | 13 | out of memory: N MiB wanted | 1, 4, 7, 10, 13, … |
    | crash | 13 | the build failed | 2, 5, 8, 11, 14, … |
    ");
    assert!(text.starts_with("# No value of val_bpb in 40 experiments"), "{text}");
}

#[test]
fn where_higher_is_better_and_epochs_change() {
    let mut experiments = turned(ledger(20));
    for e in &mut experiments[..8] {
        Arc::make_mut(&mut e.record).epoch = lab::Epoch::new("e0");
    }
    Arc::make_mut(&mut experiments[8].record).baseline = true;
    Arc::make_mut(&mut experiments[8].record).status = lab::Status::Keep;
    let text = words(source(Form::Markdown, experiments));
    let head: Vec<&str> = text.split("## ").next().unwrap().lines().filter(|line| !line.is_empty()).collect();
    assert_snapshot!(head.join("\n"), @r"
    # tokens_per_second 11,880 → 11,915 bits in 18 experiments
    <sub>Lab `nanochat`, line of research `main`, 2026-11-20 23:10 to 2026-11-21 00:53. Times are UTC+01. Written 2026-11-21 07:10 by Overnight 0.1.0 from the ledger as it was at c0ffeec0ff.</sub>
    | baseline | best | change | kept of tried | time of runs |
    | --: | --: | --: | --: | --: |
    | 11,880 bits | 11,915 bits | +0.3% | 3 of 18 | 1h 41m |
    tokens_per_second (higher is better) went from 11,880 to 11,915 bits, by +35 (+0.3%). The best is experiment 10: wider head dimension, fewer heads.
    Its claim is unproven: nobody has repeated it against the baseline. One run each; the noise was not measured.
    Metric, commands, locked files, inputs, budget or hardware changed on the way: the ledger has 2 epochs, and values are compared within one only. These are of the last.
    ![18 experiments, 3 kept improvements](night.png)
    ");
}

#[test]
fn every_form_of_every_size_is_small_and_matches_itself() {
    for n in [1, 30, 700, 10_000] {
        for form in FORMS {
            let report = report(source(form, ledger(n)));
            let text = report.write(Some("night.png")).text;
            let most = if form == Form::Markdown { 65_536 } else { 3_000_000 };
            assert!(text.len() < most, "{form:?} of {n}: {} bytes", text.len());
            let ids: BTreeSet<&str> = report.figures().into_iter().map(|(id, _)| id).collect();
            assert_eq!(ids.len(), report.figures().len(), "each figure has a name of its own");
            let checked = read(&report, &text).compare(&report);
            let wrong: Vec<_> = checked.compared.iter().filter(|it| it.verdict != Verdict::Matched).collect();
            assert!(
                wrong.is_empty() && checked.notes.is_empty(),
                "{form:?} of {n}: {wrong:?} {:?}",
                checked.notes
            );
            assert!(checked.compared.iter().any(|it| it.id == "picture"));
        }
    }
}

#[test]
fn a_notebook_is_one_with_outputs() {
    let book: Value = serde_json::from_str(&written(source(Form::Notebook, ledger(30)))).unwrap();
    assert_eq!(
        (&book["nbformat"], &book["metadata"]["kernelspec"]["name"]),
        (&4.into(), &"overnight".into())
    );
    let cells = book["cells"].as_array().unwrap();
    let sources: Vec<String> = cells
        .iter()
        .filter(|cell| cell["cell_type"] == "code")
        .map(|cell| cell["source"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect())
        .collect();
    assert_snapshot!(sources.join("\n"), @r"
    %plot progress --tag main
    %diff 2 --tag main
    %diff 10 --tag main
    %diff 13 --tag main
    %diff 20 --tag main
    %diff 23 --tag main
    %diff 24 --tag main
    %diff 26 --tag main
    ");
    for cell in cells.iter().filter(|cell| cell["cell_type"] == "code") {
        assert!(!cell["outputs"][0]["data"]["text/plain"].as_array().unwrap().is_empty());
    }
    let ids: BTreeSet<&str> = cells.iter().map(|cell| cell["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), cells.len());
}

#[test]
fn nothing_in_it_is_more_than_words() {
    let mut experiments = ledger(12);
    for e in &mut experiments {
        let r = Arc::make_mut(&mut e.record);
        for text in
            [&mut r.hypothesis, &mut r.proposer, &mut r.reason, &mut r.author, &mut r.rule, &mut r.program]
        {
            EVIL.clone_into(text);
        }
        r.metric = lab::MetricName::new(EVIL);
        r.environment.host = EVIL.to_owned();
        r.environment.toolchain = Some(EVIL.to_owned());
        r.environment.locks.insert(EVIL.to_owned(), EVIL.to_owned());
    }
    for form in FORMS {
        let mut source = source(form, experiments.clone());
        source.lab = EVIL.to_owned();
        source.program = Some(format!("{PROGRAM}{EVIL}"));
        source.tag = Tag::new("x\"><b>`|");
        for setting in &mut source.settings {
            (setting.name, setting.setting) = (EVIL.to_owned(), format!("{EVIL}{}", setting.setting));
        }
        source.events.push(said(70, EVIL, Event::Steered { text: EVIL.to_owned(), cell: None }));
        source.events.push(said(
            71,
            EVIL,
            Event::Vetoed { pattern: EVIL.to_owned(), number: None, lifted: false, cell: None },
        ));
        let report = Report::of(source, &|_, _| Some(format!("@@ -1 +1 @@\n+{EVIL}\n+```\n+@ada #12")))
            .with_summary(EVIL, EVIL);
        let text = report.write(Some("night.png")).text;
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{0}']), "{form:?}");
        let checked = read(&report, &text).compare(&report);
        assert_eq!(checked.count(Verdict::Differs), 0, "{form:?}: {:?}", checked.compared);
        match form {
            Form::Html => assert!(!text.contains("<script") && !text.contains("<img src=x")),
            Form::Markdown => harmless(&text),
            Form::Notebook => {
                let book: Value = serde_json::from_str(&text).unwrap();
                for cell in
                    book["cells"].as_array().unwrap().iter().filter(|cell| cell["cell_type"] == "markdown")
                {
                    harmless(
                        &cell["source"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .filter_map(Value::as_str)
                            .collect::<String>(),
                    );
                }
                for cell in book["cells"].as_array().unwrap() {
                    let html = cell["outputs"][0]["data"]["text/html"].to_string();
                    assert!(!html.contains("<script") && !html.contains("<img"));
                }
            }
        }
    }
}

/// What GitHub would draw of it is words, tables and code: no tag but ours, no link but to the picture, nobody mentioned.
fn harmless(markdown: &str) {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    let (mut code, mut seen) = (false, String::new());
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Start(Tag::Link { dest_url, .. }) => panic!("a link to {dest_url}"),
            Event::Start(Tag::Image { dest_url, .. }) => assert_eq!(dest_url.as_ref(), "night.png"),
            Event::Html(html) | Event::InlineHtml(html) => {
                let ours =
                    html.starts_with("<sub>") || html.starts_with("</sub>") || html.starts_with("<!--");
                assert!(ours && html.matches("-->").count() <= 1, "{html}");
                seen.push('\u{1}');
            }
            Event::Text(text) if !code => seen.push_str(&text),
            _ => {}
        }
    }
    assert!(!seen.contains("@ada") && !seen.contains("#12"), "{seen}");
}
