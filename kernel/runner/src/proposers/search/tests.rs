#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::Arc;

use lab::{Direction, MetricName};
use proptest::prelude::*;

use super::*;
use crate::proposers::{Judged, Remaining, Trying};

fn shown(text: &str, language: Language) -> String {
    let mut shown = String::new();
    for constant in constants(text, language) {
        let Constant { name, literal, domain, origin, .. } = constant;
        writeln!(shown, "{name} = {}: {} ({origin:?})", literal.source, domain.describe(&literal)).unwrap();
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
    DEPTH = 6: one of 4, 6, 8 (Comment)
    LEARNING_RATE = 1e-3: 1e-4 to 1e-1, by its logarithm (Comment)
    DROPOUT = 0.1: 0.0 to 0.5 (Comment)
    WARMUP = 3_000: 1_500 to 6_000 (Guess)
    HIDDEN = 256: one of 64, 128, 256, 512, 1024 (Guess)
    MOMENTUM = 0.95: 0.8 to 0.9875, by its distance from 1 (Guess)
    TIED = true: one of false, true (Guess)
    KIND = "gelu": one of "gelu", "relu", "silu" (Comment)
    NAME = "gpt": fixed (Guess)
    SEED = 1337: fixed (Guess)
    HEADS = 4: fixed (Comment)
    AFTER = -5: -10 to -2 (Guess)
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
WARMDOWN_RATIO = 0.5
H100_BF16_PEAK_FLOPS = 989.5e12
USE_BIAS = False
lower = 3
def f():
    INNER = 3
if DEPTH == 8: pass
"#;
    insta::assert_snapshot!(shown(text, Language::Python), @r#"
    DEPTH = 8: one of 2, 4, 8, 16, 32 (Guess)
    ASPECT_RATIO = 64: one of 16, 32, 64, 128, 256 (Guess)
    WINDOW_PATTERN = "SSSL": fixed (Guess)
    TOTAL_BATCH_SIZE = 2**19: one of 2**17, 2**18, 2**19, 2**20, 2**21 (Guess)
    EMBEDDING_LR = 0.6: 0.15 to 2.4, by its logarithm (Guess)
    WEIGHT_DECAY = 0.2: 0.05 to 0.8, by its logarithm (Guess)
    WARMUP_RATIO = 0.0: 0.0 to 0.1 (Guess)
    WARMDOWN_RATIO = 0.5: 0.125 to 1.0, by its logarithm (Guess)
    H100_BF16_PEAK_FLOPS = 989.5e12: fixed (Guess)
    USE_BIAS = False: one of False, True (Guess)
    "#);
}

#[test]
fn options_and_fields_of_python() {
    let text = r#"
@dataclass(frozen=True)
class Config:
    n_layer: int = 12
    n_head: int = 6
    dropout: float = 0.0
    act: str = "relu"  # one of: relu, gelu
class Plain:
    width: int = 4
config = Config(n_layer=DEPTH)
parser.add_argument("-l", "--learning-rate", type=float, default=3e-4, help="the peak, 1e-5..1e-2 log")
parser.add_argument("--opt", choices=["adam", "sgd"], default="adam")
parser.add_argument(
    "--batch-size",
    dest="batch",
    default=64,  # one of: 32, 64
)
parser.add_argument("--seed", default=1)
parser.add_argument("data")
"#;
    insta::assert_snapshot!(shown(text, Language::Python), @r#"
    n_head = 6: 3 to 12 (Guess)
    dropout = 0.0: 0.0 to 0.3 (Guess)
    act = "relu": one of "relu", "gelu" (Comment)
    learning_rate = 3e-4: 1e-5 to 1e-2, by its logarithm (Comment)
    opt = "adam": one of "adam", "sgd" (Code)
    batch = 64: one of 32, 64 (Comment)
    seed = 1: fixed (Guess)
    "#);
}

#[test]
fn values_of_toml_and_yaml() {
    let toml = r#"
depth = 4
[optim]
lr = 0.01 # 1e-4..1e-1 log
betas = [0.9, 0.95]
schedule = { warmup = 100, kind = "cosine" }
"#;
    insta::assert_snapshot!(shown(toml, Language::Toml), @r#"
    depth = 4: one of 1, 2, 4, 8, 16 (Guess)
    optim.lr = 0.01: 0.0001 to 0.1, by its logarithm (Comment)
    optim.schedule.warmup = 100: 50 to 200 (Guess)
    optim.schedule.kind = "cosine": fixed (Guess)
    "#);
    let yaml = "
model:
  width: 64  # one of: 32, 64, 128
  act: relu  # one of: relu, gelu
optim: {lr: 0.001, momentum: 0.9}
data: /tmp/x
seed: 3
";
    insta::assert_snapshot!(shown(yaml, Language::Yaml), @r"
    model.width = 64: one of 32, 64, 128 (Comment)
    model.act = relu: one of relu, gelu (Comment)
    optim.lr = 0.001: 0.00025 to 0.004, by its logarithm (Guess)
    optim.momentum = 0.9: 0.6 to 0.975, by its distance from 1 (Guess)
    seed = 3: fixed (Guess)
    ");
}

#[test]
fn the_program_has_the_last_word() {
    let files = BTreeMap::from([("a.py".to_owned(), b"DEPTH = 8\nRATE = 0.1  # 0.01..1.0\n".to_vec())]);
    let space = |name: &str, words: &str| {
        Search::space(&files, &BTreeMap::from([(name.to_owned(), words.to_owned())]))
    };
    let found = space("RATE", "fixed").unwrap();
    assert_eq!((found[1].constant.domain.is_fixed(), found[1].constant.origin), (true, Origin::Program));
    assert_eq!(found[0].constant.origin, Origin::Guess);
    insta::assert_snapshot!(space("WIDTH", "fixed").unwrap_err(), @"the program's `space` has WIDTH, and the editable files have DEPTH, RATE");
    insta::assert_snapshot!(space("RATE", "small").unwrap_err(), @"the program's `space` says `RATE: small`; write `fixed`, `one of: 4, 6, 8` or `1e-4..1e-1 log`");
}

/// A trial; it is kept where that is said.
pub(crate) fn judged(number: u64, value: Option<f64>) -> Judged {
    Judged { number, candidate: CommitId::new(number.to_string()), value, kept: false }
}

/// Reads the one file of candidates, which are named by their numbers.
pub(crate) fn reader(texts: &[String]) -> ReadFile {
    let texts = texts.to_vec();
    Arc::new(move |commit, _| {
        let number: usize = commit.as_str().parse().ok()?;
        texts.get(number).map(|text| text.clone().into_bytes())
    })
}

pub(crate) fn brief(text: &str, trials: Vec<Judged>, number: u64) -> Brief {
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
        trying: Vec::new(),
        refused: Vec::new(),
        ideas: Vec::new(),
        vetoes: Vec::new(),
        hooks: BTreeMap::new(),
        stuck: None,
        again: Vec::new(),
        number,
        seed: 7,
        attempt: 0,
        parent: CommitId::new("parent"),
        agent_session: lab::AgentSession::Fresh,
        agent_timeout: lab::Seconds(1.0),
        doing: crate::proposers::Doing::default(),
        space: BTreeMap::new(),
        files: BTreeMap::from([("a.rs".to_owned(), text.as_bytes().to_vec())]),
        trials,
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
    let mut trials = vec![judged(0, Some(1.0))];
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
        files.lock().unwrap().insert(CommitId::new(number.to_string()), content);
        trials.push(judged(number, (number % 2 == 0).then_some(number as f64)));
    }
    let error = Search::new(read).search(&brief(text, trials, 6)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing more to propose: every combination of its 2 constants has been tried"
    );
}

fn with_rate(rate: f64, body: &str) -> String {
    format!("const RATE: f64 = {rate:?}; // 0.0..1.0\nfn main() {{{body}}}\n")
}

/// Twelve rates about a valley at 0.6, the last of them the best.
fn valley() -> (Vec<String>, Vec<Judged>) {
    let rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0, 0.65, 0.58];
    let texts = rates.iter().map(|rate| with_rate(*rate, "")).collect();
    let value = |rate: &f64| Some(2.0 + (rate - 0.6) * (rate - 0.6));
    let mut trials: Vec<_> = (0..).zip(&rates).map(|(number, rate)| judged(number, value(rate))).collect();
    for best in [0, 1, 2, 3, 4, 5, 11] {
        trials[best].kept = true;
    }
    (texts, trials)
}

/// What would be tried next, as eight numbers have it, where `more` was tried too and failed or is being tried.
fn suggestions(more: Option<&str>, is_tried: bool) -> Vec<String> {
    let (mut texts, mut trials) = valley();
    texts.extend(more.map(str::to_owned));
    if more.is_some() && is_tried {
        trials.push(judged(12, None));
    }
    let search = Search::new(reader(&texts));
    let suggestion = |number| {
        let mut brief = brief(&with_rate(0.58, ""), trials.clone(), number);
        if more.is_some() && !is_tried {
            let (hypothesis, candidate) = (String::new(), CommitId::new("12"));
            brief.trying.push(Trying { number: 12, hypothesis, candidate, parent: None });
        }
        search.search(&brief).unwrap().hypothesis
    };
    (20..28).map(suggestion).collect()
}

#[test]
fn a_crash_of_other_code_at_a_good_point_changes_nothing() {
    let structural = with_rate(0.6, "other()");
    for is_tried in [true, false] {
        assert_eq!(suggestions(Some(&structural), is_tried), suggestions(None, is_tried));
        assert_ne!(suggestions(Some(&with_rate(0.6, "")), is_tried), suggestions(None, is_tried));
    }
}

#[test]
fn a_constant_that_stays_is_code() {
    let text = |rate: f64, seed: u64| format!("{}const SEED: u64 = {seed};\n", with_rate(rate, ""));
    let search = Search::new(reader(&[text(0.5, 1), text(0.6, 1), text(0.6, 2)]));
    let trials = (0..3).map(|number| judged(number, Some(1.0))).collect();
    let brief = brief(&text(0.5, 1), trials, 3);
    let numbers: Vec<u64> = search.known(&brief).unwrap().told.iter().map(|told| told.number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn what_was_told_of_the_code_before_counts_on() {
    let (mut texts, mut trials) = valley();
    // The best with other code is better by 0.5; what never was the best says nothing.
    texts.extend([with_rate(0.58, "better()"), with_rate(0.6, "worse()"), with_rate(0.61, "better()")]);
    let best = trials[11].value.unwrap();
    trials.push(Judged { kept: true, ..judged(12, Some(best - 0.5)) });
    trials.extend([judged(13, Some(2.9)), judged(14, None)]);
    let search = Search::new(reader(&texts));
    let brief = brief(&texts[12], trials, 15);
    let known = search.known(&brief).unwrap();
    let numbers: Vec<u64> = known.told.iter().map(|told| told.number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14]);
    let (expected, _) = known.optimizer().expects(&[0.3]).unwrap();
    assert!((expected - (2.09 - 0.5)).abs() < 0.02, "{expected}");
}

#[test]
fn an_empty_space_says_what_to_do() {
    let files = BTreeMap::from([("train.py".to_owned(), b"x = 1\n".to_vec())]);
    let error = Search::space(&files, &BTreeMap::new()).unwrap_err();
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

#[test]
fn what_was_learned_of_each_constant_is_told() {
    let value = |rate: f64, depth: i64| (rate.log10() + 2.0).powi(2) + if depth == 6 { 0.0 } else { 0.2 };
    let text = |rate: f64, depth: i64| {
        format!(
            "const RATE: f64 = {rate}; // 1e-4..1e-1 log\nconst DEPTH: usize = {depth}; // one of: 4, 6, 8\n"
        )
    };
    let tried: Vec<(f64, i64)> = (0..24)
        .map(|i| (10_f64.powf(-4.0 + 3.0 * f64::from(i % 8) / 7.0), [4, 6, 8][i as usize / 8]))
        .collect();
    let texts: Vec<String> = tried.iter().map(|(rate, depth)| text(*rate, *depth)).collect();
    let trials =
        tried.iter().zip(0..).map(|((rate, depth), number)| judged(number, Some(value(*rate, *depth))));
    let known = brief(&text(0.01, 6), trials.collect(), 24);
    let effects = Search::new(reader(&texts)).effects(&known).unwrap();
    let [rate, depth] = &effects[..] else { panic!("{effects:?}") };
    let lowest = |effect: &Effect| {
        let lowest = effect.expected.iter().min_by(|a, b| a.metric.total_cmp(&b.metric)).unwrap();
        lowest.value.number().unwrap()
    };
    assert!((0.004..0.025).contains(&lowest(rate)), "{:?}", rate.expected);
    assert_eq!(lowest(depth), 6.0, "{:?}", depth.expected);
    assert!(effects.iter().flat_map(|effect| &effect.expected).all(|one| one.spread >= 0.0));
    // Of too little nothing is said.
    let nothing = Search::new(reader(&texts)).effects(&brief(&text(0.01, 6), Vec::new(), 0)).unwrap();
    assert!(nothing.iter().all(|effect| effect.expected.is_empty()));
}
