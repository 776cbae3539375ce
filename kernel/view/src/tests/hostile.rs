//! A hypothesis, a log or a diff full of HTML, terminal codes and bidirectional text.

use super::support::{epoch_start, ledger, metric};
use crate::{Bundle, Finding, Live, Options, Page, Part, Pictures, Proposed, Step, bundle, chart};

const EVIL: &str = "</div><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}gnp.exe\u{0}\r\n& \"quoted\"";

fn assert_harmless(bundle: &Bundle) {
    for (mime, value) in bundle.iter().filter(|(mime, _)| *mime != bundle::PNG) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{0}']), "{mime}: {text}");
        if mime == bundle::HTML {
            assert!(!text.contains("<script") && !text.contains("<img src=x"), "{text}");
        }
    }
}

#[test]
fn nothing_that_is_shown_can_script_the_page() {
    let mut experiments = ledger(8);
    for e in &mut experiments {
        let r = std::sync::Arc::make_mut(&mut e.record);
        for text in
            [&mut r.hypothesis, &mut r.proposer, &mut r.reason, &mut r.author, &mut r.writer, &mut r.program]
        {
            EVIL.clone_into(text);
        }
        r.runs[0].exit = EVIL.to_owned();
        r.environment.host = EVIL.to_owned();
        r.summary.insert(EVIL.to_owned(), 1.0);
        r.candidate = lab::CommitId::new(EVIL);
        e.notes.push(EVIL.to_owned());
    }
    let mut metric = metric();
    EVIL.clone_into(&mut metric.name);
    metric.unit = Some(EVIL.to_owned());
    let mut options = Options::new(metric.clone());
    options.peers = lab::Peers::of(experiments.iter().map(|e| e.record.as_ref()), Some("somebody else"));
    assert_harmless(&crate::experiments(&experiments, &options));
    assert_harmless(&chart::progress(&experiments, &metric).bundle());
    let curve = chart::curves(vec![(EVIL.to_owned(), vec![(0.0, 1.0), (1.0, 2.0)])], EVIL, EVIL);
    assert!(curve.png(chart::Ground::Paper).is_some());
    assert_harmless(&curve.bundle());
    let page = Page {
        experiment: &experiments[3],
        label: EVIL.to_owned(),
        metric: &metric,
        baseline: Some(1.0),
        diff: Some(EVIL),
        curve: Some(curve),
        log: Some(EVIL.as_bytes()),
        zone: jiff::tz::TimeZone::UTC,
    };
    assert_harmless(&crate::experiment(&page));
    let sides = format!("+++ b/x.py\n@@ -1 +1 @@\n-x = '{EVIL}'\n+y = '{EVIL}'");
    for bundle in [
        crate::diff(EVIL),
        crate::diff(&sides),
        crate::log(EVIL.as_bytes(), 5),
        crate::error(EVIL, Some(EVIL)),
        crate::plain(EVIL),
    ] {
        assert_harmless(&bundle);
    }
    let mut answer = super::answers::answer();
    answer.say(EVIL);
    let step = Step { tool: EVIL.to_owned(), asked: EVIL.to_owned(), found: Some(Err(EVIL.to_owned())) };
    answer.parts.push(Part::Step(step));
    answer.cell = Some(Proposed { code: EVIL.to_owned(), why: EVIL.to_owned() });
    answer.foot = Some(EVIL.to_owned());
    assert_harmless(&Bundle::new("").with(bundle::HTML, answer.bundle().html().unwrap()));
    let evil = || EVIL.to_owned();
    let finding = Finding { question: evil(), said: evil(), query: evil(), table: Some(crate::plain(EVIL)) };
    assert_harmless(&crate::findings(&[finding], EVIL));
    let mut status = super::live::status();
    status.problem = Some(EVIL.to_owned());
    status.proposer = Some(EVIL.to_owned());
    status.slots[0].hypothesis = Some(EVIL.to_owned());
    status.slots[0].last.insert(EVIL.to_owned(), 1.0);
    let now = epoch_start().to_zoned(jiff::tz::TimeZone::UTC);
    status.slots[0].doing = Some(EVIL.to_owned());
    status.alerts.push(EVIL.to_owned());
    status.ahead.push(lab::status::Ahead {
        experiment: 9,
        elapsed: lab::Seconds(1.0),
        proposer: EVIL.to_owned(),
        doing: Some(EVIL.to_owned()),
    });
    status.queued.push(lab::status::Queued {
        experiment: 9,
        hypothesis: EVIL.to_owned(),
        proposer: EVIL.to_owned(),
    });
    let curves = [crate::Curve {
        name: EVIL.to_owned(),
        current: vec![(0.0, 1.0), (1.0, 0.5)],
        ..crate::Curve::default()
    }];
    let mut pictures = Pictures::default();
    pictures.draw_night(&experiments, &metric);
    pictures.draw_curves(&curves);
    let trouble = Some(EVIL);
    let live = Live {
        status: &status,
        experiments: &experiments,
        metric: &metric,
        curves: &curves,
        pictures: &pictures,
        trouble,
        now: now.clone(),
        width: 100,
    };
    assert_harmless(&crate::live(&live));
    let mut lines = crate::state(None, &status, &now);
    lines.push(crate::judged(&experiments[3], &experiments, &metric, &now));
    assert_harmless(&Bundle::new(lines.join(" ")));
}

#[test]
fn letters_from_right_to_left_do_not_move_the_code_beside_them() {
    let hebrew = "\u{5d0}\u{5d1} = 1; x = 2";
    let diff = crate::diff(&format!("+++ b/x.py\n@@ -1 +1 @@\n-{hebrew}\n+{hebrew} + 1"));
    let html = diff.html().unwrap();
    assert!(html.contains("<bdo dir=\"ltr\">") && !html.contains('\u{fffd}'), "{html}");
    assert!(crate::log(hebrew.as_bytes(), 5).html().unwrap().contains("<bdo dir=\"ltr\">"));
    let mut experiments = ledger(2);
    hebrew.clone_into(&mut std::sync::Arc::make_mut(&mut experiments[1].record).hypothesis);
    let table = crate::experiments(&experiments, &Options::new(metric()));
    assert!(table.html().unwrap().contains(&format!("<bdi>{hebrew}</bdi>")));
}

#[test]
fn lines_of_a_megabyte_stay_short() {
    let long = "x".repeat(1 << 20);
    let mut experiments = ledger(2);
    std::sync::Arc::make_mut(&mut experiments[1].record).hypothesis.clone_from(&long);
    for bundle in [
        crate::experiments(&experiments, &Options::new(metric())),
        crate::diff(&format!("@@ -1 +1 @@\n+{long}")),
        crate::diff(&format!("@@ -1 +1 @@\n-{long}\n+{long}y")),
        crate::log(long.as_bytes(), 10),
    ] {
        assert!(bundle.html().unwrap().len() < 20_000 && bundle.text().len() < 5_000);
    }
}
