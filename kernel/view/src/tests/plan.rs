//! The plan.

use lab::Idea;
use lab::status::{LoopStatus, Queued};

use crate::{Plan, plan};

fn status() -> LoopStatus {
    serde_json::from_value(serde_json::json!({
        "schema": 1, "state": "running", "tag": "main", "pid": 7, "since": null, "deadline": null, "experiments": 3,
        "planned": null, "kept": 1, "proposer": "acp:claude", "best": null, "cost": {"usd": 0.0, "input_tokens": 0,
        "output_tokens": 0}, "problem": null, "ended": null,
        "slots": [{"slot": 0, "experiment": 4, "phase": "running", "hypothesis": "halve the batch", "elapsed": 1.0,
                   "budget": 300.0, "last": {}}],
        "ahead": [{"experiment": 6, "elapsed": 2.0}],
    }))
    .unwrap()
}

#[test]
fn what_is_on_its_way_comes_first_and_then_ideas() {
    let mut status = status();
    let hypothesis = "<script>alert(1)</script> warm up".to_owned();
    status.queued.push(Queued { experiment: 5, hypothesis, proposer: "search".to_owned() });
    let idea = |text: &str, from: &str, now| Idea { text: text.to_owned(), from: from.to_owned(), now };
    let ideas = [idea("no dropout", "Ada", true), idea("a wider\nmodel", "acp:claude", false)];
    let vetoes = ["dropout".to_owned()];
    let advice = Some("The last 3 experiments improved nothing.".to_owned());
    let bundle = plan(&Plan { status: &status, ideas: &ideas, vetoes: &vetoes, advice });
    insta::assert_snapshot!(bundle.text(), @r"
                 what                               of
    running 4    halve the batch                    acp:claude
    waiting 5    <script>alert(1)</script> warm up  search
    proposing 6                                     acp:claude
    idea 1       no dropout                         Ada, next
    idea 2       a wider model                      acp:claude

    ruled out: dropout

    The last 3 experiments improved nothing.

    `plan first N` has an idea tried next, `plan strike N` strikes it out, `hypothesis TEXT` adds one; `loop veto N` rules out experiment N, `loop veto PATTERN` whatever matches.
    ");
    assert!(!bundle.html().unwrap().contains("<script>"));
}

#[test]
fn nothing_may_be_planned() {
    let status = LoopStatus { slots: Vec::new(), ahead: Vec::new(), ..status() };
    let bundle = plan(&Plan { status: &status, ideas: &[], vetoes: &[], advice: None });
    assert!(bundle.text().starts_with("Nothing is planned"), "{}", bundle.text());
}
