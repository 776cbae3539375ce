#![allow(clippy::unwrap_used)]

use super::*;
use crate::proposers::Judged;
use crate::proposers::search::tests::{brief, judged, reader};

fn text(rate: &str, kind: &str) -> String {
    format!(
        "const RATE: f64 = {rate}; // 1e-4..1e-1 log\nconst KIND: &str = \"{kind}\"; // one of: gelu, relu\n"
    )
}

fn trials() -> (Vec<String>, Vec<Judged>) {
    let tried = [
        ("1e-3", "gelu", Some(1.30)),
        ("2e-3", "gelu", Some(1.21)),
        ("2e-3", "relu", Some(1.25)),
        ("9e-2", "gelu", None),
        ("4e-3", "gelu", Some(1.14)),
        ("8e-3", "gelu", Some(1.19)),
        ("4e-3", "relu", Some(1.18)),
        ("1e-2", "relu", Some(1.27)),
    ];
    let texts = tried.iter().map(|(rate, kind, _)| text(rate, kind)).collect();
    (texts, (0..).zip(&tried).map(|(number, (_, _, value))| judged(number, *value)).collect())
}

#[test]
fn what_a_model_is_told() {
    let (texts, trials) = trials();
    let brief = brief(&texts[4], trials, 8);
    let search = Search::new(reader(&texts));
    let known = search.known(&brief).unwrap();
    let optimizer = known.optimizer();
    let next = known.next(&optimizer).unwrap();
    let page = state::render(&brief, &known, &optimizer, Some(&next));
    insta::assert_snapshot!(page.split_once("## ").unwrap().1, @r#"
    Parameters

    The length is how far one goes, as a share of the range, until the optimizer expects another value: the shorter, the more the parameter matters.

    ```data
    parameter | in the best | may be | length
    RATE | 4e-3 | 1e-4 to 1e-1, by its logarithm | 0.11
    KIND | "gelu" | one of "gelu", "relu" | 1.28
    ```

    ## What it would try itself

    It expects 1.14283 ± 0.010780 of it.
    ```data
    RATE 4e-3 → 4.8e-3
    ```

    ## The best trials, best first

    ```data
    experiment | RATE | KIND | loss
    4 | 4e-3 | "gelu" | 1.14000
    6 | 4e-3 | "relu" | 1.18000
    5 | 8e-3 | "gelu" | 1.19000
    1 | 2e-3 | "gelu" | 1.21000
    2 | 2e-3 | "relu" | 1.25000
    ```

    ## The latest trials, latest first

    ```data
    experiment | RATE | KIND | loss
    7 | 1e-2 | "relu" | 1.27000
    6 | 4e-3 | "relu" | 1.18000
    5 | 8e-3 | "gelu" | 1.19000
    4 | 4e-3 | "gelu" | 1.14000
    3 | 9e-2 | "gelu" | failed
    2 | 2e-3 | "relu" | 1.25000
    1 | 2e-3 | "gelu" | 1.21000
    0 | 1e-3 | "gelu" | 1.30000
    ```
    "#);
    let page = state::render(&brief, &known, &optimizer, None);
    assert!(page.contains("Nothing: every combination of values has been tried."), "{page}");
}

#[test]
fn values_are_checked_against_the_domains() {
    let (texts, trials) = trials();
    let brief = brief(&texts[4], trials, 8);
    let search = Search::new(reader(&texts));
    let known = search.known(&brief).unwrap();
    let set = |settings: &[(&str, &str)]| {
        let settings: Vec<Setting> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let edits = known.set(&settings)?;
        Ok::<_, String>(
            edits.into_iter().map(|edit| String::from_utf8(edit.content.unwrap()).unwrap()).collect(),
        )
    };
    assert_eq!(set(&[("RATE", "0.005"), ("KIND", "relu")]), Ok(text("5e-3", "relu")));
    assert_eq!(set(&[("RATE", "4e-3")]), Err("these values have been tried".to_owned()));
    let wrong = [("RATE", "0.5"), ("RATE", "fast"), ("KIND", "tanh"), ("DEPTH", "4")];
    let said: Vec<String> = wrong.iter().map(|setting| set(&[*setting]).unwrap_err()).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    `SET RATE = 0.5`: it may be 1e-4 to 1e-1, by its logarithm
    `SET RATE = fast`: it may be 1e-4 to 1e-1, by its logarithm
    `SET KIND = tanh`: it may be one of "gelu", "relu"
    `SET DEPTH`: there is no such parameter; there are RATE, KIND
    "#);
}

#[test]
fn three_of_ten_are_the_models_and_the_same_ones_again() {
    let (_, trials) = trials();
    let turns = |seed: u64, first: u64| -> Vec<u64> {
        let of = |number| crate::proposers::Brief { seed, ..brief("", trials.clone(), number) };
        (first..first + 10).filter(|number| is_models_turn(&of(*number))).collect()
    };
    for seed in [0, 7, 42, u64::MAX] {
        for first in [8, 13, 900] {
            assert_eq!(turns(seed, first).len(), 3, "seed {seed} from {first}");
        }
    }
    assert_eq!(turns(42, 8), [8, 12, 15]);
    let mut early = brief("", trials[..ENOUGH - 1].to_vec(), 8);
    early.seed = 42;
    assert!(!is_models_turn(&early), "nothing is known yet");
    let refused = Brief { seed: 42, attempt: 1, ..brief("", trials, 8) };
    assert!(!is_models_turn(&refused), "once is enough");
}
