use std::sync::Arc;

use insta::assert_snapshot;
use lab::{CommitId, Tag};

use super::report::{FORMS, read, report, source, written};
use super::support::ledger;
use crate::report::{Form, Other, Reading, Unreadable, Verdict};

#[test]
fn a_number_that_was_changed_is_found() {
    for form in FORMS {
        let report = report(source(form, ledger(30)));
        let text = report.write(Some("night.png")).text;
        let (_, best) = *report.figures().iter().find(|(id, _)| *id == "gain.best").unwrap();
        // What people read, and what the stamp says.
        let other = best.replace("1.01", "1.00");
        let differing = |text: &str| {
            let checked = read(&report, text).compare(&report);
            let differ = checked.compared.into_iter().filter(|it| it.verdict == Verdict::Differs);
            differ.map(|it| it.id).collect::<Vec<_>>()
        };
        // A page has it in its title too, which no reader of the page sees.
        let page = text.find("<h1>").unwrap_or(0);
        let at = page + text[page..].find(best).unwrap();
        let once = format!("{}{other}{}", &text[..at], &text[at + best.len()..]);
        assert!(differing(&once).contains(&"title.best".to_owned()), "{form:?}: {:?}", differing(&once));
        let everywhere = text.replace(best, &other);
        assert!(differing(&everywhere).contains(&"gain.best".to_owned()), "{form:?}");
        // Another picture, a figure less, another ledger.
        let mut reading = read(&report, &text);
        reading = reading.with_picture(Some(b"another".to_vec()));
        let checked = reading.compare(&report);
        assert_eq!(checked.count(Verdict::Differs), 1, "{form:?}");
        let mut longer = ledger(30);
        Arc::make_mut(&mut longer[29].record).status = lab::Status::Crash;
        let later = self::report(source(form, longer));
        assert!(read(&report, &text).compare(&later).count(Verdict::Differs) > 0, "{form:?}");
    }
}

#[test]
fn what_is_no_figure_may_be_said_beside_it() {
    let report = report(source(Form::Markdown, ledger(30)));
    let text = report.write(Some("night.png")).text;
    let more = format!("A word of mine.\r\n\r\n{}", text.replace('\n', "\r\n"));
    let checked = read(&report, &more).compare(&report);
    assert_eq!((checked.count(Verdict::Differs), checked.notes.len()), (0, 1));
    assert_snapshot!(checked.bundle().text().lines().rev().take(2).collect::<Vec<_>>().join("\n"), @r"
    82 figures matched
    Words beside the figures were changed since it was written; words are not checked.
    ");
}

#[test]
fn another_line_of_research_may_not_be_here() {
    let mut both = source(Form::Html, ledger(5));
    let wide =
        Other { tag: Tag::new("wide"), commit: CommitId::new("b".repeat(40)), experiments: ledger(12) };
    both.others.push(wide);
    let text = written(both);
    let alone = report(source(Form::Html, ledger(5)));
    let checked = read(&alone, &text).compare(&alone);
    assert_eq!((checked.count(Verdict::Differs), checked.count(Verdict::Unknown)), (0, 3));
}

#[test]
fn what_is_no_report_is_told() {
    assert_eq!(Reading::of("# A page").unwrap_err(), Unreadable::NoStamp);
    assert_eq!(Reading::of("{\"cells\": []}").unwrap_err(), Unreadable::NoStamp);
    assert_eq!(Reading::of("x <!-- overnight-report {\"schema\": 9} -->").unwrap_err(), Unreadable::Newer(9));
    for broken in [
        "<!-- overnight-report {",
        "<!-- overnight-report {} -->",
        "{",
        "<template id=\"overnight-report\">{}</template>",
    ] {
        assert!(matches!(Reading::of(broken), Err(Unreadable::Broken(_))), "{broken}");
    }
}
