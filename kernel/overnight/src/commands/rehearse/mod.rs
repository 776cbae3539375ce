//! `loop rehearse`: a few minutes that play the night for real, on a copy of the lab, and end with a forecast or with
//! what is in the way.

mod forecast;
mod overrides;
mod play;
mod prints;
mod report;
mod scratch;
mod sum;

use std::path::Path;

use lab::settings::format_bytes;
use lab::status::LoopState;
use lab::{AtBudget, Lab, Seconds, Tag};
use runner::rehearsal::{Setup, Timing};
use runner::{Paths, StartOptions, Variables};

use super::data::Missing;
use super::watcher::Watcher;
use crate::env;
use crate::failure::{ExitCode, Failure};
use crate::grammar::StartArgs;
use crate::session::Session;
use crate::sink::Sink;
use forecast::{Forecast, time};
use report::Report;
use scratch::Scratch;
pub(super) use scratch::sweep;

/// The budget of a run in a rehearsal, in seconds, where the lab's is longer.
const CUT: f64 = 45.0;
/// The same where another metric stands in for the lab's.
const STAND_IN: f64 = 30.0;
/// What a run may take whose budget was not cut.
const WHOLE: f64 = 300.0;
/// The line of research of the repeated baseline.
const REPEAT: &str = "rehearsal-repeat";
/// The line of research of a metric that stands in for the lab's.
const OTHER: &str = "rehearsal-stand-in";

/// Plays the night, and fails where something would spoil it.
pub(super) async fn run(args: &StartArgs, session: &Session, sink: &dyn Sink) -> Result<(), Failure> {
    let mut report = Report::new(sink, session.json);
    let end = rehearse(args, session, sink, &mut report).await;
    report.end(end)
}

async fn rehearse(
    args: &StartArgs,
    session: &Session,
    sink: &dyn Sink,
    report: &mut Report<'_>,
) -> Result<(Forecast, String), Failure> {
    report.begin("program");
    let mut watcher = Watcher::open(session)?;
    if watcher.status().await?.state != LoopState::Idle {
        return Err(Failure::new(
            "a loop is on in this lab, and a rehearsal beside it would measure neither",
        )
        .hint("rehearse before `loop start`, or after `loop stop`"));
    }
    drop(watcher);
    if let Some(missing) = Missing::of(session)? {
        report.begin("data");
        missing.prepare(args.prepare, session, sink).await?;
        report.ok("`prepare.py` has made it");
        report.begin("program");
    }
    let mut variables = env::all();
    variables.extend(session.env.clone());
    let variables = Variables(variables);
    let stage = tokio::task::block_in_place(|| Stage::set(args, session, &variables, report))?;
    let mut play =
        play::Play { stage, args, report, baseline: Timing::default(), pair: None, first: 0.0, own: false };
    play.baseline().await?;
    play.repeat().await?;
    let proposal = play.proposal().await?;
    play.resume(&proposal).await?;
    tokio::task::block_in_place(|| play.close(&proposal, &variables))
}

/// What a rehearsal is played with.
struct Stage {
    /// The copy of the lab.
    scratch: Scratch,
    /// Where the lab's own runner keeps its files.
    paths: Paths,
    /// The lab as it is.
    lab: Lab,
    /// The line of research that would go on tonight.
    tag: Tag,
    /// The seconds that a run is given.
    cut: f64,
    /// How its `setup` stands.
    setup: Setup,
    /// The lab's program.
    program: String,
}

/// What the sandbox grants, by paths that mean in the copy what they mean in the lab.
fn granted(lab: &Lab, root: &Path) -> Vec<(&'static str, String)> {
    let all = [("reads", &lab.reads), ("writes", &lab.writes)];
    let given = all.into_iter().filter(|(_, paths)| !paths.is_empty());
    let there = |path: &String| {
        if path.starts_with("~/") { path.clone() } else { root.join(path).display().to_string() }
    };
    given
        .map(|(name, paths)| {
            (name, serde_json::json!(paths.iter().map(there).collect::<Vec<_>>()).to_string())
        })
        .collect()
}

impl Stage {
    /// Looks at the program and its commands, and makes the copy.
    fn set(
        args: &StartArgs,
        session: &Session,
        variables: &Variables,
        report: &mut Report<'_>,
    ) -> Result<Self, Failure> {
        let ledger = session.ledger()?;
        let mut lab = session.lab(&ledger)?;
        let paths = session.paths(&ledger)?;
        let tag = session.tag(&ledger, args.tag.as_ref())?;
        if let Some(budget) = args.budget {
            lab.budget = budget;
            lab.timeout = Seconds(lab.timeout.0.max(2.0 * budget.0));
        }
        let program = ledger.root().join("program.md");
        let program =
            std::fs::read_to_string(&program).map_err(|error| Failure::io("read", &program, &error))?;
        report.ok(format!(
            "{} of {}, to be {}d; {} a run{}",
            lab.metric,
            lab.editable.join(", "),
            lab.direction,
            lab.budget,
            if lab.declared { "" } else { " (no front matter: the karpathy defaults)" }
        ));

        report.begin("commands");
        runner::executor::preflight(&lab, variables)?;
        let setup = runner::rehearsal::setup(&paths, ledger.root(), &lab);
        if let (Setup::None, Some(input)) = (setup, runner::executor::missing(ledger.root(), &lab)) {
            return Err(Failure::new(format!("the input `{input}` is not there"))
                .hint("make it, or name the command that makes it as `setup:` in program.md")
                .code(ExitCode::Lab));
        }
        report.ok(format!("`{}` can start", lab.run));
        if setup == Setup::Partly {
            report.begin("set-up");
            return Err(Failure::new(
                "`setup` has to run, and would write beside inputs that are there already",
            )
            .hint(format!(
                "run it once in the lab's folder, and rehearse again: {}",
                lab.setup.as_deref().unwrap_or("")
            )));
        }

        report.begin("copy");
        let others = [Tag::parse(REPEAT), Tag::parse(OTHER)].map(|tag| tag.map_err(Failure::new));
        let [repeat, other] = others;
        let (repeat, other) = (repeat?, other?);
        let scratch = Scratch::make(session, &ledger, &lab, &tag, &[&tag, &repeat, &other], setup)?;
        let caches = match scratch.caches {
            0 => String::new(),
            bytes => format!(", and build folders of {}", format_bytes(bytes)),
        };
        report.ok(format!("{} files as they are now{caches}; the lab itself is left alone", scratch.files));
        if setup == Setup::Ready {
            report.begin("set-up");
            report.note(
                "not rehearsed: its inputs are there, so that it would write into the lab",
                "`loop start` runs it once before the baseline",
            );
        }
        let most = env::var(env::REHEARSAL).and_then(|seconds| seconds.parse().ok()).unwrap_or(CUT);
        let cut = lab.budget.0.min(most);
        let mut settings = granted(&lab, ledger.root());
        // A rehearsal wakes nobody.
        settings.extend(lab.alert.iter().map(|_| ("alert", "'true'".to_owned())));
        let program = overrides::with(&program, &settings);
        Ok(Self { scratch, paths, lab, tag, cut, setup, program })
    }

    /// Whether runs are given less time than tonight's.
    fn is_cut(&self) -> bool {
        self.cut < self.lab.budget.0
    }

    /// The seconds after which a run of the rehearsal is ended.
    fn limit(&self) -> f64 {
        if self.is_cut() { 2.0 * self.cut } else { self.lab.timeout.0.min(WHOLE) }
    }

    /// Whether the lab's code is to end a run at its budget.
    fn by_code(&self) -> bool {
        self.lab.at_budget == AtBudget::Code
    }

    /// Writes the copy's program, with other settings.
    fn set_program(&self, settings: &[(&str, String)]) -> Result<(), Failure> {
        let path = self.scratch.root().join("program.md");
        std::fs::write(&path, overrides::with(&self.program, settings))
            .map_err(|error| Failure::io("write", &path, &error))
    }

    /// What a loop of the rehearsal is told.
    fn options(&self, args: &StartArgs, tag: &Tag) -> StartOptions {
        StartOptions {
            tag: tag.clone(),
            proposer: args.agent.clone(),
            budget: Some(Seconds(self.cut)),
            hours: None,
            experiments: Some(1),
            slots: args.slots,
            target: None,
            seed: args.seed,
            max_cost: args.max_cost,
        }
    }

    /// How everything went so far.
    fn timings(&self) -> Result<Vec<Timing>, Failure> {
        let contents = runner::journal::read(&self.scratch.paths().journal())?;
        Ok(runner::rehearsal::timings(&contents.entries))
    }

    /// The seconds of a run, in words, where they were cut.
    fn in_words(&self) -> String {
        if self.is_cut() {
            format!("given {} instead of {}", time(self.cut), self.lab.budget)
        } else {
            format!("budget {}", self.lab.budget)
        }
    }
}
