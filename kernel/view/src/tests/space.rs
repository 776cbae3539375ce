use insta::assert_snapshot;

use crate::{Parameter, space};

#[test]
fn a_space_tells_what_is_searched_and_what_stays() {
    let one = |name: &str, now: &str, becomes: &str, fixed| Parameter {
        name: name.to_owned(),
        place: "train.py:3".to_owned(),
        now: now.to_owned(),
        becomes: becomes.to_owned(),
        origin: "its comment",
        fixed,
    };
    let bundle = space(&[
        one("RATE", "1e-3", "1e-4 to 1e-1, by its logarithm", false),
        one("KIND", "\"<b>\"", "fixed", true),
    ]);
    assert_snapshot!(bundle.text(), @r#"
    1 of 2 constants are searched

    constant  now    may become                      says         where
    RATE      1e-3   1e-4 to 1e-1, by its logarithm  its comment  train.py:3
    KIND      "<b>"  fixed                           its comment  train.py:3

    A comment on its line, or `space:` in program.md, says what a constant may become: `1e-4..1e-1 log`, `one of: 4, 6, 8`, `fixed`.
    "#);
    let html = bundle.html().unwrap_or_default();
    assert!(html.contains("&lt;b&gt;") && html.contains("opacity:0.6"), "{html}");
}
