#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::Arc;

use lab::{Direction, MetricName};
use proptest::prelude::*;

use super::*;
use crate::proposers::Remaining;

fn shown(text: &str, language: Language) -> String {
    let mut shown = String::new();
    for constant in constants(text, language) {
        let domain = match &constant.domain {
            Domain::Choice(values) => {
                let values: Vec<String> = values.iter().map(|value| constant.literal.write(value)).collect();
                values.join(" ")
            }
            Domain::Range { low, high, scale, whole } => {
                format!("{low:.4}..{high:.4} {scale:?}{}", if *whole { " whole" } else { "" })
            }
        };
        writeln!(shown, "{} = {}: {domain}", constant.name, constant.literal.source).unwrap();
    }
    shown
}

#[test]
fn constants_of_rust() {
    let text = r#"
//! const IN_DOC: usize = 1;
const DEPTH: usize = 6; // one of: 4, 6, 8
pub const LEARNING_RATE: f64 = 1e-3; // peak, 1e-4..1e-1 log
pub(crate) const DROPOUT: f32 = 0.1; // 0.0..0.5
    const WARMUP: u64 = 3_000;
const HIDDEN: usize = 256;
const MOMENTUM: f64 = 0.95;
const TIED: bool = true;
const KIND: &str = "gelu"; // one of: gelu, relu, "silu"
const NAME: &str = "gpt";
const SEED: u64 = 1337;
const HEADS: usize = 4; // fixed
const TOTAL: usize = HIDDEN * 4;
const SHAPE: [usize; 2] = [1, 2];
/* const COMMENTED: usize = 3;
const COMMENTED_TOO: usize = 3; */
const TEXT: &str = "
const IN_STRING: usize = 3;
";
const RAW: &str = r"\";
fn f() { let c = '"'; }
const AFTER: i32 = -5;
"#;
    insta::assert_snapshot!(shown(text, Language::Rust), @r#"
    DEPTH = 6: 4 6 8
    LEARNING_RATE = 1e-3: 0.0001..0.1000 Log
    DROPOUT = 0.1: 0.0000..0.5000 Linear
    WARMUP = 3_000: 1500.0000..6000.0000 Linear whole
    HIDDEN = 256: 64 128 256 512 1024
    MOMENTUM = 0.95: 0.8000..0.9875 NearOne
    TIED = true: false true
    KIND = "gelu": "gelu" "relu" "silu"
    AFTER = -5: -10.0000..-2.0000 Linear whole
    "#);
}

#[test]
fn constants_of_python() {
    let text = r#"
"""
DEPTH_IN_DOC = 8
"""
DEPTH = 8               # number of transformer layers
ASPECT_RATIO = 64       # model_dim = depth * ASPECT_RATIO
WINDOW_PATTERN = "SSSL" # sliding window pattern: L=full, S=half context
TOTAL_BATCH_SIZE = 2**19 # ~524K tokens per optimizer step
EMBEDDING_LR = 0.6      # learning rate for token embeddings (Adam)
WEIGHT_DECAY: float = 0.2
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
USE_BIAS = False
lower = 3
def f():
    INNER = 3
if DEPTH == 8: pass
"#;
    insta::assert_snapshot!(shown(text, Language::Python), @r"
    DEPTH = 8: 2 4 8 16 32
    ASPECT_RATIO = 64: 16 32 64 128 256
    EMBEDDING_LR = 0.6: 0.1500..2.4000 Log
    WEIGHT_DECAY = 0.2: 0.0500..0.8000 Log
    WARMUP_RATIO = 0.0: 0.0000..0.1000 Linear
    USE_BIAS = False: False True
    ");
}

fn brief(text: &str, trials: Vec<(CommitId, Option<f64>)>, number: u64) -> Brief {
    Brief {
        schema: lab::SCHEMA,
        program: String::new(),
        editable: vec!["a.rs".to_owned()],
        metric: MetricName::new("loss"),
        direction: Direction::Minimize,
        best: None,
        experiments: Vec::new(),
        steering: Vec::new(),
        remaining: Remaining::default(),
        refused: Vec::new(),
        number,
        seed: 7,
        attempt: 0,
        parent: CommitId::new("parent"),
        files: BTreeMap::from([("a.rs".to_owned(), text.as_bytes().to_vec())]),
        trials,
        in_flight: Vec::new(),
    }
}

#[test]
fn a_space_is_searched_once_and_then_exhausted() {
    let files = Arc::new(std::sync::Mutex::new(HashMap::<CommitId, Vec<u8>>::new()));
    let text = "const A: bool = true;\nconst B: usize = 1; // one of: 1, 2, 3\n";
    files.lock().unwrap().insert(CommitId::new("0"), text.as_bytes().to_vec());
    let read: ReadFile = {
        let files = Arc::clone(&files);
        Arc::new(move |commit, _| files.lock().unwrap().get(commit).cloned())
    };
    let mut trials = vec![(CommitId::new("0"), Some(1.0))];
    let mut seen = vec![text.as_bytes().to_vec()];
    for number in 1..6 {
        let proposal = Search::new(Arc::clone(&read)).search(&brief(text, trials.clone(), number)).unwrap();
        let again = Search::new(Arc::clone(&read)).search(&brief(text, trials.clone(), number)).unwrap();
        assert_eq!(
            proposal.edits[0].content, again.edits[0].content,
            "the same brief gives the same proposal"
        );
        let content = proposal.edits[0].content.clone().unwrap();
        assert!(!seen.contains(&content), "a duplicate: {}", proposal.hypothesis);
        seen.push(content.clone());
        let commit = CommitId::new(number.to_string());
        files.lock().unwrap().insert(commit.clone(), content);
        trials.push((commit, (number % 2 == 0).then_some(number as f64)));
    }
    let error = Search::new(read).search(&brief(text, trials, 6)).unwrap_err();
    assert_eq!(error.to_string(), "nothing to propose: every combination of its 2 constants has been tried");
}

#[test]
fn an_empty_space_says_what_to_do() {
    let files = BTreeMap::from([("train.py".to_owned(), b"x = 1\n".to_vec())]);
    let error = Search::space(&files).unwrap_err();
    assert!(error.contains("train.py") && error.contains("DEPTH = 8"), "{error}");
}

proptest! {
    /// Whatever is proposed, only the bytes of literals change, and the file reads as before.
    #[test]
    fn only_literals_change(number in 1u64..500, rate in 1e-5f64..0.7, depth in 1i64..5000) {
        let text = format!(
            "// é\nconst RATE: f64 = {rate:e};   // peak\nfn main() {{}}\nconst DEPTH: usize = {depth};\nconst ON: bool = false;\n"
        );
        let proposal = Search::new(Arc::new(|_, _| None)).search(&brief(&text, Vec::new(), number)).unwrap();
        let after = String::from_utf8(proposal.edits[0].content.clone().unwrap()).unwrap();
        let strip = |text: &str| {
            let mut text = text.to_owned();
            for constant in constants(&text.clone(), Language::Rust).into_iter().rev() {
                text.replace_range(constant.span, "_");
            }
            text
        };
        prop_assert_eq!(strip(&after), strip(&text));
        prop_assert_ne!(&after, &text);
        let names = |text: &str| constants(text, Language::Rust).into_iter().map(|c| c.name).collect::<Vec<_>>();
        prop_assert_eq!(names(&after), names(&text));
    }
}
