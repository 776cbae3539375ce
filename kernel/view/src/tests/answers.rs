//! Answers of the research agent, and those of queries.

use insta::assert_snapshot;

use crate::{Answer, Finding, Part, Proposed, Step, findings};

/// One that has looked something up, and proposes a cell.
pub(super) fn answer() -> Answer {
    let mut answer = Answer::default();
    let query = "SELECT number\nFROM experiments".to_owned();
    let found = Some(Ok("number\n     3".to_owned()));
    answer.parts.push(Part::Step(Step { tool: "sql".to_owned(), asked: query, found }));
    answer.say("\nExperiment **3**");
    answer.say(" won.\n");
    answer
}

#[test]
fn an_answer_is_markdown_and_html() {
    let mut answer = answer();
    answer.cell = Some(Proposed { code: "%diff 3\n```".to_owned(), why: "to see it".to_owned() });
    answer.foot = Some("a-model, 12 tokens read".to_owned());
    let bundle = answer.bundle();
    assert_eq!(bundle.get(crate::bundle::MARKDOWN), Some(bundle.text()));
    assert_eq!(answer.said(), "Experiment **3** won.");
    assert_snapshot!(bundle.text(), @r"
    > sql SELECT number FROM experiments

    Experiment **3** won.

    A cell for you: to see it

    ````
    %diff 3
    ```
    ````

    — a-model, 12 tokens read
    ");
    assert_snapshot!(bundle.html().unwrap().replace("><", ">\n<"), @r#"
    <div style="max-width:900px">
    <details style="margin:2px 0;font-size:12px">
    <summary style="opacity:0.65;cursor:pointer">
    <code>sql</code> SELECT number FROM experiments</summary>
    <div style="border-left:2px solid #80808033;margin:2px 0 4px 4px;padding-left:8px">
    <pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto">SELECT number
    FROM experiments</pre>
    <pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto">number
         3</pre>
    </div>
    </details>
    <p>Experiment <strong>3</strong> won.</p>
    <div style="border-left:3px solid #3a96d0;background-color:#3a96d01a;padding:6px 10px;margin:2px 0">
    <div>A cell for you: to see it</div>
    <pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto">%diff 3
    ```</pre>
    </div>
    <div style="opacity:0.65;font-size:12px;margin:6px 0 2px 0">a-model, 12 tokens read</div>
    </div>
    "#);
}

#[test]
fn the_plain_form_only_grows() {
    let mut answer = Answer::default();
    let mut before = String::new();
    let grows = |answer: &Answer, before: &mut String| {
        let text = answer.bundle().text().to_owned();
        assert!(text.starts_with(before.as_str()), "{before:?}\n{text:?}");
        *before = text;
    };
    for piece in ["\n\n", "One", " two\n", "\n\n", "three", "\n"] {
        answer.say(piece);
        grows(&answer, &mut before);
    }
    answer.parts.push(Part::Step(Step { tool: "log".to_owned(), asked: "3".to_owned(), found: None }));
    grows(&answer, &mut before);
    if let Some(Part::Step(step)) = answer.parts.last_mut() {
        step.found = Some(Err("no".to_owned()));
    }
    answer.now = Some("thinking".to_owned());
    answer.cell = Some(Proposed { code: "%best".to_owned(), why: String::new() });
    grows(&answer, &mut before);
    answer.foot = Some("done".to_owned());
    grows(&answer, &mut before);
    assert!(before.ends_with("— done\n"));
}

#[test]
fn what_a_step_found_is_cut_to_its_first_lines() {
    let long = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    let step = Step { tool: "log".to_owned(), asked: "3".to_owned(), found: Some(Ok(long)) };
    let answer = Answer { parts: vec![Part::Step(step)], ..Answer::default() };
    let html = answer.bundle().html().unwrap().to_owned();
    assert!(html.contains("\n59</pre>") && !html.contains("\n60") && html.contains("… 940 more lines"));
}

#[test]
fn findings_have_their_table_and_their_query() {
    let finding = Finding {
        question: "What crashed?".to_owned(),
        said: "Nothing did.".to_owned(),
        query: "SELECT number\nFROM experiments WHERE status = 'crash'".to_owned(),
        table: Some(crate::plain("no rows").with(crate::bundle::HTML, "<table></table>")),
    };
    let bundle = findings(&[finding], "`sql` goes on");
    assert_snapshot!(bundle.text(), @r"
    What crashed?
    Nothing did.

    no rows

    SELECT number
    FROM experiments WHERE status = 'crash'

    `sql` goes on
    ");
    assert_snapshot!(bundle.html().unwrap().replace("><", ">\n<"), @r#"
    <div style="max-width:900px">
    <div style="font-weight:600;margin:12px 0 2px 0">What crashed?</div>
    <div>Nothing did.</div>
    <table>
    </table>
    <details style="margin:2px 0;font-size:12px">
    <summary style="opacity:0.65;cursor:pointer">
    <code>sql</code>
    </summary>
    <div style="border-left:2px solid #80808033;margin:2px 0 4px 4px;padding-left:8px">
    <pre style="margin:2px 0;font-size:12px;line-height:1.4;white-space:pre;overflow-x:auto">SELECT number
    FROM experiments WHERE status = 'crash'</pre>
    </div>
    </details>
    <div style="opacity:0.65;font-size:12px;margin:6px 0 2px 0">`sql` goes on</div>
    </div>
    "#);
}
