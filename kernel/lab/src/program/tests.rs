//! Programs as people write them, right and wrong.
#![allow(clippy::unwrap_used)]

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

use super::*;

/// The settings of a program's front matter.
fn parse(settings: &str) -> Result<Lab, LabError> {
    Lab::parse(&format!("---\n{settings}\n---\nBe bold.\n"))
}

/// What a person sees of an error.
fn rendered(settings: &str) -> String {
    render(&parse(settings).unwrap_err())
}

fn render(error: &LabError) -> String {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    handler.render_report(&mut text, error).unwrap();
    text
}

fn message(settings: &str) -> String {
    let error = parse(settings).unwrap_err();
    format!("{error}\n{}", error.hint())
}

#[test]
fn the_docs_have_every_setting() {
    let docs = include_str!("../../../../docs/PROGRAM.md");
    for setting in SETTINGS {
        assert!(docs.contains(&format!("`{setting}`")), "{setting}");
    }
}

#[test]
fn every_setting() {
    let lab = parse(
        "editable: [train/src/main.rs, 'model/**/*.rs']\nsetup: cargo run --release -p prepare\n\
         build: cargo build --release -p train\nrun: target/release/train # the built one\nmetric: val_bpb\n\
         metrics: out/m.json\ndirection: maximize\nunit: bits\nbudget: 20s\ntimeout: 1h30m\nbuild_timeout: 600\nat_budget: stop\n\
         inputs: data/\ncaches:\n  - target/\n  - .venv\nseed_env: SEED\ncrashes: 3\nrepairs: 1\nahead: false\n\
         agent_session: kept\nagent_timeout: 5m\n\
         space: {RATE: 1e-4..1e-1 log, DEPTH: [4, 6], SEED_2: fixed}\nideas: [a longer warm-up, no dropout]\n\
         plateau: 30\nhooks: {before: ./look, after: ./notify.sh 7}\nalert: ./call.sh\nsandbox: on\nnetwork: true\nreads: [/data, ~/corpus]\n\
         writes: out/\nenv: [NCCL_DEBUG]\nlimits: {memory: 32GB, processes: 64, disk: 1.5TB}",
    )
    .unwrap();
    let expected = Lab {
        editable: vec!["train/src/main.rs".to_owned(), "model/**/*.rs".to_owned()],
        setup: Some("cargo run --release -p prepare".to_owned()),
        build: Some("cargo build --release -p train".to_owned()),
        run: "target/release/train".to_owned(),
        metric: MetricName::new("val_bpb"),
        metrics: Some("out/m.json".to_owned()),
        direction: Direction::Maximize,
        unit: Some("bits".to_owned()),
        budget: Seconds(20.0),
        timeout: Seconds(5400.0),
        build_timeout: Seconds(600.0),
        at_budget: AtBudget::Stop,
        inputs: vec!["data/".to_owned()],
        caches: vec!["target/".to_owned(), ".venv".to_owned()],
        seed_env: Some("SEED".to_owned()),
        crashes: 3,
        repairs: 1,
        ahead: false,
        agent_session: AgentSession::Kept,
        agent_timeout: Seconds(300.0),
        space: [("RATE", "1e-4..1e-1 log"), ("DEPTH", "one of: 4, 6"), ("SEED_2", "fixed")]
            .map(|(name, words)| (name.to_owned(), words.to_owned()))
            .into(),
        ideas: vec!["a longer warm-up".to_owned(), "no dropout".to_owned()],
        plateau: 30,
        hooks: [(Hook::Before, "./look".to_owned()), (Hook::After, "./notify.sh 7".to_owned())].into(),
        alert: Some("./call.sh".to_owned()),
        sandbox: true,
        network: true,
        reads: vec!["/data".to_owned(), "~/corpus".to_owned()],
        writes: vec!["out/".to_owned()],
        env: vec!["NCCL_DEBUG".to_owned()],
        limits: Limits { memory: Some(32_000_000_000), processes: 64, disk: 1_500_000_000_000 },
        instructions: "Be bold.".to_owned(),
        declared: true,
    };
    assert_eq!(lab, expected);
}

#[test]
fn without_front_matter_the_karpathy_defaults_hold() {
    let lab = Lab::parse("# autoresearch\n\nThis is an experiment.\n---\nmetric: x\n").unwrap();
    assert_eq!(lab.instructions, "# autoresearch\n\nThis is an experiment.\n---\nmetric: x");
    assert_eq!(lab, Lab { instructions: lab.instructions.clone(), ..Lab::default() });
    assert!(!lab.declared && lab.is_editable("train.py") && !lab.is_editable("prepare.py"));
    assert_eq!((lab.budget, lab.timeout), (Seconds(300.0), Seconds(600.0)));
    assert_eq!(Lab::parse("").unwrap(), Lab::default());
}

#[test]
fn front_matter_may_be_empty_and_come_from_windows() {
    for text in ["---\n---\nGo.", "---\n\n---\nGo.", "---\n# nothing\n---\nGo."] {
        let lab = Lab::parse(text).unwrap();
        assert_eq!(lab, Lab { instructions: "Go.".to_owned(), declared: true, ..Lab::default() }, "{text}");
    }
    let lab = Lab::parse("\u{feff}---\r\nrun: make\r\nbudget: 1m\r\n---\r\nGo.\r\n").unwrap();
    assert_eq!((lab.run.as_str(), lab.timeout, lab.instructions.as_str()), ("make", Seconds(120.0), "Go."));
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    insta::assert_snapshot!(rendered("run: make\nbugdet: 5m"), @r"
     × program.md, line 3: `bugdet` is not a setting
      ╭─[program.md:3:1]
    2 │ run: make
    3 │ bugdet: 5m
      · ──────
    4 │ ---
      ╰────
     help: did you mean `budget`?
    ");
    assert!(message("time-out: 5m").contains("did you mean `timeout`?"));
    insta::assert_snapshot!(message("colour: red"), @r"
    program.md, line 2: `colour` is not a setting
    the settings are editable, setup, build, run, metric, metrics, direction, unit, budget, timeout, build_timeout, at_budget, inputs, caches, seed_env, crashes, repairs, ahead, agent_session, agent_timeout, space, ideas, plateau, hooks, alert, sandbox, network, reads, writes, env, limits
    ");
}

#[test]
fn a_hook_has_one_of_two_names() {
    let said = ["hooks: {later: x}", "hooks: {after: 7}", "hooks: ./x"].map(message).join("\n");
    insta::assert_snapshot!(said, @r"
    program.md, line 2: `hooks` must be a text for `before`, for `after`, not `later`
    for example `hooks: {after: ./notify.sh}`
    program.md, line 2: `hooks` must be a text for `before`, for `after`, not the number 7
    for example `hooks: {after: ./notify.sh}`
    program.md, line 2: `hooks` must be a text for `before`, for `after`, not `./x`
    for example `hooks: {after: ./notify.sh}`
    ");
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    insta::assert_snapshot!(rendered("run: make\nbudget: soon\nmetric: loss"), @r"
     × program.md, line 3: `budget` must be a length of time such as `20s`, `5m`, `1h30m`, not `soon`
      ╭─[program.md:3:9]
    2 │ run: make
    3 │ budget: soon
      ·         ────
    4 │ metric: loss
      ╰────
     help: for example `budget: 5m`
    ");
    insta::assert_snapshot!(
        ["run: 5", "run: [a, b]", "run:", "direction: up", "at_budget: kill", "crashes: many", "crashes: 1.5", "ahead: often", "agent_session: long", "timeout: -5",
         "timeout: true", "editable: 5", "editable: [a, [b]]", "unit: {a: 1}"].map(message).join("\n"),
        @r"
    program.md, line 2: `run` must be text, not the number 5
    for example `run: python train.py`
    program.md, line 2: `run` must be text, not a list
    for example `run: python train.py`
    program.md, line 2: `run` must be text, not nothing
    for example `run: python train.py`
    program.md, line 2: `direction` must be `minimize` or `maximize`, not `up`
    for example `direction: minimize`
    program.md, line 2: `at_budget` must be `code` or `stop`, not `kill`
    for example `at_budget: stop`
    program.md, line 2: `crashes` must be a whole number, not `many`
    for example `crashes: 5`
    program.md, line 2: `crashes` must be a whole number, not the number 1.5
    for example `crashes: 5`
    program.md, line 2: `ahead` must be `true` or `false`, not `often`
    for example `ahead: false`
    program.md, line 2: `agent_session` must be `fresh` or `kept`, not `long`
    for example `agent_session: kept`
    program.md, line 2: `timeout` must be a length of time such as `20s`, `5m`, `1h30m`, not the number -5
    for example `timeout: 10m`
    program.md, line 2: `timeout` must be a length of time such as `20s`, `5m`, `1h30m`, not `true`
    for example `timeout: 10m`
    program.md, line 2: `editable` must be a path or a list of paths, not the number 5
    for example `editable: [train.py, src/**/*.py]`
    program.md, line 2: `editable` must be a path or a list of paths, not a list
    for example `editable: [train.py, src/**/*.py]`
    program.md, line 2: `unit` must be text, not settings of its own
    for example `unit: bits`
    ");
}

#[test]
fn contradictions() {
    insta::assert_snapshot!(rendered("budget: 10m\ntimeout: 5m"), @r"
     × program.md, line 3: `timeout` of 5m is shorter than the budget of 10m
      ╭─[program.md:3:10]
    2 │ budget: 10m
    3 │ timeout: 5m
      ·          ──
    4 │ ---
      ╰────
     help: a run is killed at its timeout: give it more than the budget
    ");
    insta::assert_snapshot!(
        ["budget: 0", "timeout: 0s", "build_timeout: 0", "editable: []", "editable: program.md", "editable: /etc/passwd",
         "editable: ../other.py", "editable: .", "editable: .git/config", "editable: .overnight/", "agent_timeout: 0", "editable: 'a{b'", "inputs: train.py",
         "editable: data/x.py\ninputs: data/", "inputs: ~/data", "inputs: data\ncaches: data/", "metric: ''", "metric: val bpb",
         "run: ''", "crashes: 0", "seed_env: MY SEED"].map(message).join("\n"),
        @r"
    program.md, line 2: `budget` is zero
    write a length of time such as `5m`
    program.md, line 2: `timeout` is zero
    write a length of time such as `5m`
    program.md, line 2: `build_timeout` is zero
    write a length of time such as `5m`
    program.md, line 2: `editable` is empty
    name the file that a candidate may change
    program.md, line 2: `editable` has program.md
    a candidate may not change the program: remove it
    program.md, line 2: `editable` has `/etc/passwd`, which is outside of the repository
    write it relative to the folder of program.md
    program.md, line 2: `editable` has `../other.py`, which is outside of the repository
    a path cannot leave the repository by `..`
    program.md, line 2: `editable` has `.`, which names no file
    name files, folders or globs
    program.md, line 2: `editable` has `.git/config`, which is git's own
    remove it
    program.md, line 2: `editable` has `.overnight/`, which is Overnight's own
    remove it
    program.md, line 2: `agent_timeout` is zero
    write a length of time such as `5m`
    program.md, line 2: `editable` has `a{b`: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
    write a path or a glob such as `src/**/*.py`
    program.md, line 2: `inputs` has `train.py`, which is editable too
    a candidate changes what git tracks, and this is not: leave it in one of the two
    program.md, line 3: `inputs` has `data/`, which is editable too
    a candidate changes what git tracks, and this is not: leave it in one of the two
    program.md, line 2: `inputs` has `~/data`, which is outside of the repository
    write it relative to the folder of program.md
    program.md, line 3: `caches` has `data/`, which is an input too
    inputs are read only, caches are written: leave it in one of the two
    program.md, line 2: `metric` is empty
    name it as the run prints it: letters, digits and `_ . / % @ -`, no spaces
    program.md, line 2: `metric` cannot be `val bpb`
    name it as the run prints it: letters, digits and `_ . / % @ -`, no spaces
    program.md, line 2: `run` is empty
    write a command, or leave the setting out
    program.md, line 2: `crashes` would end the loop before it begins
    write 1 or more
    program.md, line 2: `seed_env` is not the name of an environment variable
    write one such as `SEED`
    ");
}

#[test]
fn what_a_sandbox_may_be_told() {
    assert!(!parse("sandbox: off").unwrap().sandbox && !parse("sandbox: false").unwrap().sandbox);
    assert_eq!(
        parse("limits: {disk: 1GB}").unwrap().limits,
        Limits { disk: 1_000_000_000, ..Limits::default() }
    );
    insta::assert_snapshot!(
        ["sandbox: maybe", "network: sometimes", "reads: [~]", "reads: [../data]", "reads: ~bob/data", "writes: [.]", "writes: [.git/hooks]",
         "env: [A B]", "limits: 5", "limits: {cores: 2}", "limits: {memory: much}", "limits: {processes: 0}",
         "sandbox: off\nnetwork: true"].map(message).join("\n"),
        @r##"
        program.md, line 2: `sandbox` must be `on` or `off`, not `maybe`
        for example `sandbox: off`
        program.md, line 2: `network` must be `true` or `false`, not `sometimes`
        for example `network: true`
        program.md, line 2: `reads` must be a path or a list of paths, not nothing
        for example `reads: [~/data/corpus]`
        program.md, line 2: `reads` has `../data`
        name a file or a folder: `/data/corpus`, `~/data/corpus`, or one of the checkout's
        program.md, line 2: `reads` has `~bob/data`
        name a file or a folder: `/data/corpus`, `~/data/corpus`, or one of the checkout's
        program.md, line 2: `writes` has `.`
        name a file or a folder: `/data/corpus`, `~/data/corpus`, or one of the checkout's
        program.md, line 2: `writes` has `.git/hooks`, which is git's own
        remove it
        program.md, line 2: `env` has `A B`, which is not the name of an environment variable
        write names such as `NCCL_DEBUG`; values come from where the loop is started
        program.md, line 2: `limits` must be `memory` and `disk` with sizes such as `32GB`, `processes` with a whole number, not the number 5
        for example `limits: {memory: 32GB, processes: 4096, disk: 50GB}`
        program.md, line 2: `limits` must be `memory` and `disk` with sizes such as `32GB`, `processes` with a whole number, not `cores`
        for example `limits: {memory: 32GB, processes: 4096, disk: 50GB}`
        program.md, line 2: `limits` must be `memory` and `disk` with sizes such as `32GB`, `processes` with a whole number, not `much`
        for example `limits: {memory: 32GB, processes: 4096, disk: 50GB}`
        program.md, line 2: `limits` has a zero
        nothing could run with it: write more, or leave it out
        program.md, line 3: `network` has no meaning beside `sandbox: off`
        leave one of the two out
        "##);
}

#[test]
fn a_budget_above_the_default_timeout_moves_it() {
    assert_eq!(parse("budget: 1h").unwrap().timeout, Seconds(7200.0));
}

#[test]
fn front_matter_that_never_ends_or_is_not_yaml() {
    insta::assert_snapshot!(render(&Lab::parse("---\nrun: make\n").unwrap_err()), @r"
     × program.md, line 1: the front matter begins here and never ends
      ╭─[program.md:1:1]
    1 │ ---
      · ───
    2 │ run: make
      ╰────
     help: put a line `---` below the last setting
    ");
    insta::assert_snapshot!(rendered("run: make\nmetric: 'loss\nbudget: 5m"), @r"
     × program.md, line 4: invalid indentation in multiline quoted scalar
      ╭─[program.md:4:1]
    3 │ metric: 'loss
    4 │ budget: 5m
      · ▲
    5 │ ---
      ╰────
     help: quote a value that begins with `*`, `&`, `!` or `{`, or that holds `: ` or ` #`
    ");
    insta::assert_snapshot!(rendered("run: make\nrun: other"), @r"
     × program.md, line 3: `run` is set twice
      ╭─[program.md:3:1]
    2 │ run: make
    3 │ run: other
      · ───
    4 │ ---
      ╰────
     help: keep one of them
    ");
    insta::assert_snapshot!(rendered("just text"), @r"
     × program.md, line 2: expected settings
      ╭─[program.md:2:1]
    1 │ ---
    2 │ just text
      · ─────────
    3 │ ---
      ╰────
     help: write them as `name: value`, one a line
    ");
    insta::assert_snapshot!(rendered("run: a: b"), @r"
     × program.md, line 2: mapping values are not allowed in this context
      ╭─[program.md:2:7]
    1 │ ---
    2 │ run: a: b
      ·       ▲
    3 │ ---
      ╰────
     help: quote a value that begins with `*`, `&`, `!` or `{`, or that holds `: ` or ` #`
    ");
}

/// Settings that hold, as front matter and as a lab.
fn lab() -> impl Strategy<Value = Lab> {
    let text = "[ -~é]{0,20}[a-z]";
    let paths = || proptest::collection::vec("[a-z]{1,6}/[a-z]{1,6}", 1..4);
    let times = (1_u32..1000, 0_u32..1000, 1_u32..1000);
    let words = (any::<bool>(), any::<bool>(), proptest::option::of("[A-Z]{1,8}"), 1_u32..9);
    (paths(), proptest::option::of(text), text, "[a-z][a-z_]{0,8}", times, words, text).prop_map(
        |(
            editable,
            build,
            run,
            metric,
            (budget, more, build_timeout),
            (maximize, stop, seed_env, crashes),
            instructions,
        )| Lab {
            editable,
            build: build.map(|build| build.trim().to_owned()),
            run: run.trim().to_owned(),
            metric: MetricName::new(metric),
            direction: if maximize { Direction::Maximize } else { Direction::Minimize },
            budget: Seconds(f64::from(budget)),
            timeout: Seconds(f64::from(budget + more)),
            build_timeout: Seconds(f64::from(build_timeout)),
            at_budget: if stop { AtBudget::Stop } else { AtBudget::Code },
            seed_env,
            crashes,
            instructions: instructions.trim().to_owned(),
            declared: true,
            ..Lab::default()
        },
    )
}

fn program(lab: &Lab) -> String {
    // JSON is YAML, and quotes what must be quoted.
    let mut front = serde_json::to_value(lab).unwrap();
    let fields = front.as_object_mut().unwrap();
    fields.retain(|name, value| SETTINGS.contains(&name.as_str()) && !value.is_null());
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("---\n{}\n---\n{}", lines.join("\n"), lab.instructions)
}

proptest! {
    #[test]
    fn settings_that_are_written_are_read_back(lab in lab()) {
        let read = Lab::parse(&program(&lab)).map_err(|error| TestCaseError::fail(render(&error)))?;
        prop_assert_eq!(read, lab);
    }

    #[test]
    fn any_text_is_a_program_or_an_error_with_a_line(settings in "([a-z_é]{1,9}: )?[ -~\n\té]{0,40}") {
        for text in [settings.clone(), format!("---\n{settings}\n---\n"), format!("\u{feff}---\r\n{settings}")] {
            if let Err(error) = Lab::parse(&text) {
                prop_assert!((1..=text.lines().count() + 1).contains(&error.line()));
                prop_assert!(!render(&error).is_empty());
            }
        }
    }

    #[test]
    fn any_value_of_any_setting_is_read_or_refused(name in proptest::sample::select(SETTINGS.as_slice()), value in "[ -~\n]{0,24}") {
        if let Err(error) = parse(&format!("{name}: {value}")) {
            prop_assert!(!render(&error).is_empty() && !error.hint().is_empty());
        }
    }
}
