//! A hypothesis, a log or a diff full of HTML, terminal codes and bidirectional text.

use super::support::{epoch_start, ledger, metric};
use crate::{Bundle, Finding, Live, Options, Page, Part, Proposed, Step, bundle, chart};

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
    options.own = Some("somebody else".to_owned());
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
    for bundle in [
        crate::diff(EVIL),
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
    let curve = crate::Curve { name: EVIL.to_owned(), current: vec![(0.0, 1.0)], ..crate::Curve::default() };
    assert_harmless(&crate::live(&Live {
        status: &status,
        experiments: &experiments,
        metric: &metric,
        curve: Some(curve),
        now,
    }));
}

#[test]
fn lines_of_a_megabyte_stay_short() {
    let long = "x".repeat(1 << 20);
    let mut experiments = ledger(2);
    std::sync::Arc::make_mut(&mut experiments[1].record).hypothesis.clone_from(&long);
    for bundle in [
        crate::experiments(&experiments, &Options::new(metric())),
        crate::diff(&format!("@@ -1 +1 @@\n+{long}")),
        crate::log(long.as_bytes(), 10),
    ] {
        assert!(bundle.html().unwrap().len() < 20_000 && bundle.text().len() < 5_000);
    }
}
