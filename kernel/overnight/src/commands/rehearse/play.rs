//! The night in small: a baseline, its repeat, a proposal, a death and what comes after.

use std::time::{Duration, Instant};

use lab::status::{LoopState, LoopStatus};
use lab::{CommitId, Tag};
use runner::rehearsal::{Setup, Timing};
use runner::{Request, StartOptions};

use super::forecast::{digits, dollars, time, value};
use super::prints::Prints;
use super::report::Report;
use super::scratch;
use super::{OTHER, REPEAT, STAND_IN, Stage, Watcher};
use crate::failure::{ExitCode, Failure};
use crate::grammar::StartArgs;

/// How often it is looked how far things are.
const LOOK: Duration = Duration::from_millis(30);
/// How long a runner may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// A rehearsal under way.
pub(super) struct Play<'a, 'b> {
    pub(super) stage: Stage,
    pub(super) args: &'a StartArgs,
    pub(super) report: &'a mut Report<'b>,
    /// How the baseline went.
    pub(super) baseline: Timing,
    /// Its value, and that of its repeat with another seed.
    pub(super) pair: Option<(f64, f64)>,
    /// Seconds that set-up and the first build took.
    pub(super) first: f64,
    /// Whether the lab's code holds a budget of its own, so that another metric stands in.
    pub(super) own: bool,
}

/// How the proposer did.
pub(super) struct Proposal {
    /// How many experiments there were before.
    pub(super) before: usize,
    /// How it went, up to the candidate.
    pub(super) timing: Timing,
}

impl Play<'_, '_> {
    /// Runs the baseline as tonight would.
    pub(super) async fn baseline(&mut self) -> Result<(), Failure> {
        let limit = self.stage.limit();
        let budget = self.stage.cut;
        self.stage.set_program(&[("budget", format!("{budget}s")), ("timeout", format!("{limit}s"))])?;
        let tag = self.stage.tag.clone();
        let options = self.stage.options(self.args, &tag);
        self.report.begin("baseline");
        let begun = jiff::Timestamp::now();
        let status = self.night(&options, "baseline").await?;
        let Some(timing) = self.stage.timings()?.pop() else {
            if self.stage.setup == Setup::Due {
                self.report.begin("set-up");
            }
            return Err(Failure::new(why(&status, "the baseline did not begin")));
        };
        let before = timing.proposing.map_or(0.0, |at| at.duration_since(begun).as_secs_f64());
        self.first = before + timing.build_seconds();
        if self.stage.setup == Setup::Due {
            self.report.begin("set-up");
            self.report
                .ok(format!("took {}, in the copy; it will run once more in the lab itself", time(before)));
        }
        if let Some((exit, seconds)) = &timing.build {
            self.report.begin("build");
            if exit != "0" {
                return Err(self.failed(&timing, &why(&status, "the build failed")));
            }
            let cold =
                if self.stage.scratch.caches > 0 { "with the lab's build folders" } else { "from nothing" };
            self.report.ok(format!("took {} {cold}", time(*seconds)));
        }
        self.report.begin("baseline");
        let prints = self.prints(&timing);
        if timing.exit.as_deref() == Some("timeout") && self.stage.is_cut() && self.stage.by_code() {
            return self.stand_in(&timing, &prints).await;
        }
        let Some(measured) = timing.value.filter(|_| status.problem.is_none()) else {
            return Err(self.failed(&timing, &why(&status, "the baseline fails")));
        };
        self.report.ok(format!(
            "{} {} after {} ({})",
            self.stage.lab.metric,
            value(measured),
            time(timing.seconds),
            self.stage.in_words()
        ));
        self.tell(&prints);
        self.baseline = timing;
        Ok(())
    }

    /// Says what of the run's output was understood.
    fn tell(&mut self, prints: &Prints) {
        self.report.begin("metrics");
        match prints.words() {
            Some(words) => self.report.ok(words),
            None => self.report.note(
                "no step of the run was understood, only its end: there will be no curve",
                "print steps such as `step 10 | loss: 3.21`, or JSON lines",
            ),
        }
    }

    /// The lab's code does not end a run at the budget that it is given: plays on with what it has printed.
    async fn stand_in(&mut self, timing: &Timing, prints: &Prints) -> Result<(), Failure> {
        self.own = true;
        let metric = self.stage.lab.metric.to_string();
        let held = format!(
            "the run did not end by itself: the lab's code holds its own budget, and it was ended after {}",
            time(timing.seconds)
        );
        let Some(other) = prints.stand_in(&metric).map(str::to_owned) else {
            return Err(self.failed(
                timing,
                &format!("{held}; nothing that it printed until then can be read as a metric, so that nobody knows yet whether {metric} is"),
            )
            .hint("`loop start --experiments 1 --wait` runs the baseline to its end and tells"));
        };
        if self.args.budget.is_some() {
            self.report.note(
                "--budget cannot bind: the lab's code holds its own",
                "`at_budget: stop` in program.md ends each run at its budget",
            );
        }
        self.report.note(
            format!("{held}; {metric} comes later, and `{other}` stands in for it here"),
            format!("`loop start --experiments 1 --wait` shows whether {metric} is read"),
        );
        self.tell(prints);
        self.stage.cut = self.stage.cut.min(STAND_IN);
        self.stage.set_program(&[
            ("at_budget", "stop".to_owned()),
            ("budget", format!("{}s", self.stage.cut)),
            ("timeout", format!("{}s", 2.0 * self.stage.cut)),
            ("metric", other.clone()),
            ("direction", "minimize".to_owned()),
        ])?;
        self.stage.tag = Tag::parse(OTHER).map_err(Failure::new)?;
        self.report.begin("stand-in");
        let options = self.stage.options(self.args, &self.stage.tag);
        let status = self.night(&options, "baseline with another metric").await?;
        let timing = self.stage.timings()?.pop().unwrap_or_default();
        let Some(measured) = timing.value.filter(|_| status.problem.is_none()) else {
            return Err(self.failed(&timing, &why(&status, "the baseline fails")));
        };
        self.report.ok(format!("{other} {} after {}", value(measured), time(timing.seconds)));
        self.baseline = timing;
        Ok(())
    }

    /// Runs the baseline once more with another seed: what differs is noise.
    pub(super) async fn repeat(&mut self) -> Result<(), Failure> {
        self.report.begin("noise");
        let metric = self.stage.lab.metric.to_string();
        if self.own {
            self.report.note(format!("not known: no run has come to {metric}"), "");
            return Ok(());
        }
        let tag = Tag::parse(REPEAT).map_err(Failure::new)?;
        let options =
            StartOptions { seed: self.args.seed.wrapping_add(1), ..self.stage.options(self.args, &tag) };
        let status = self.night(&options, "the baseline with another seed").await?;
        let timing = self.stage.timings()?.pop().unwrap_or_default();
        let (Some(first), Some(second)) =
            (self.baseline.value, timing.value.filter(|_| status.problem.is_none()))
        else {
            return Err(self.failed(&timing, &why(&status, "the baseline fails with another seed")));
        };
        self.pair = Some((first, second));
        let cut =
            if self.stage.is_cut() { format!(" in runs of {}", time(self.stage.cut)) } else { String::new() };
        if first == second {
            let seed = match &self.stage.lab.seed_env {
                Some(name) => format!("the run does not use {name}"),
                None => "the run does not use OVERNIGHT_SEED".to_owned(),
            };
            self.report.note(
                format!("another seed gave the same {metric} to the last digit{cut}: {seed}, and what chance does is not known"),
                "seed the run from OVERNIGHT_SEED, or name its variable as `seed_env:` in program.md",
            );
        } else {
            self.report.ok(format!(
                "another seed gave {}: {} apart{cut}",
                value(second),
                digits((first - second).abs())
            ));
        }
        Ok(())
    }

    /// Asks the proposer once, and lets its candidate begin to run; with it the baseline once for each other slot.
    pub(super) async fn proposal(&mut self) -> Result<Proposal, Failure> {
        self.report.begin("proposal");
        let before = self.stage.timings()?.len();
        let tag = self.stage.tag.clone();
        let options = self.stage.options(self.args, &tag);
        self.start(&options).await?;
        let mut watcher = Watcher::open(self.stage.scratch.session())?;
        let since = Instant::now();
        let timing = loop {
            let status = watcher.status().await?;
            let made =
                self.stage.timings()?.into_iter().skip(before).rfind(|timing| timing.proposed.is_some());
            if let Some(made) = made {
                break made;
            }
            if status.state == LoopState::Idle
                || (status.state == LoopState::Paused && status.problem.is_some())
            {
                return Err(Failure::new(why(&status, "the proposer has made nothing"))
                    .hint(format!("the proposer is `{}`; --agent names another", self.args.agent)));
            }
            self.report.now(&format!(
                "{} proposes, {} so far",
                self.args.agent,
                time(since.elapsed().as_secs().max(1) as f64)
            ));
            tokio::time::sleep(LOOK).await;
        };
        let latency = timing.latency().unwrap_or(0.0);
        let cost = if timing.cost.usd > 0.0 {
            format!(" and {} USD", dollars(timing.cost.usd))
        } else if timing.cost.input_tokens + timing.cost.output_tokens > 0 {
            format!(" and {} tokens", timing.cost.input_tokens + timing.cost.output_tokens)
        } else {
            String::new()
        };
        let by = if timing.proposer == self.args.agent {
            String::new()
        } else {
            format!(" of {}", self.args.agent)
        };
        self.report.ok(format!(
            "{}{by} took {}{cost}: {}",
            timing.proposer,
            time(latency),
            timing.hypothesis
        ));
        if timing.proposer != self.args.agent && self.args.agent != "search" {
            self.report.note("others take turns with it tonight, and may cost more or less", "");
        }
        self.crowd().await?;
        Ok(Proposal { before, timing })
    }

    /// Fills the other slots with copies of the baseline.
    async fn crowd(&mut self) -> Result<(), Failure> {
        let Some(baseline) = self.baseline.candidate.clone().filter(|_| self.args.slots > 1) else {
            return Ok(());
        };
        let copy = scratch::again(self.stage.scratch.root(), &baseline)?;
        let mut watcher = Watcher::open(self.stage.scratch.session())?;
        for _ in 1..self.args.slots {
            let request = Request::Run {
                tag: Some(self.stage.tag.clone()),
                hypothesis: "the baseline beside others".to_owned(),
                candidate: CommitId::new(copy.clone()),
                author: "rehearsal".to_owned(),
            };
            if let Some(mut client) = watcher.client().await? {
                client.request(&request).await?;
            }
        }
        Ok(())
    }

    /// Pauses, kills the runner while a run is on, and goes on.
    pub(super) async fn resume(&mut self, proposal: &Proposal) -> Result<(), Failure> {
        self.report.begin("resume");
        let mut watcher = Watcher::open(self.stage.scratch.session())?;
        let number = proposal.timing.number;
        let in_time = loop {
            let status = watcher.status().await?;
            let phase = |wanted: &str| status.slots.iter().filter(|slot| slot.phase == wanted).count();
            let on =
                status.slots.iter().any(|slot| slot.experiment == Some(number) && slot.phase == "running");
            let timings = self.stage.timings()?;
            let ours = timings.iter().skip(proposal.before);
            // A run that its shim has not begun yet would be begun anew, and rightly.
            let folder = |timing: &Timing| Some(self.stage.scratch.paths().run(*timing.runs.last()?));
            let begun = || ours.clone().filter_map(folder).all(|run| run.join("shim.pid").exists());
            if on && phase("building") == 0 && phase("running") >= self.args.slots as usize && begun() {
                break true;
            }
            if ours.clone().any(|it| !it.recorded.is_empty()) || status.state == LoopState::Idle {
                break on;
            }
            self.report.now(&words(&status, "the candidate"));
            tokio::time::sleep(LOOK).await;
        };
        // With a loop that has just ended there is nothing to pause.
        let paused = match watcher.client().await? {
            Some(mut client) => client.request(&Request::Pause).await.is_ok(),
            None => false,
        };
        tokio::task::block_in_place(|| runner::rehearsal::kill(self.stage.scratch.paths()));
        if let Err(failure) = watcher.insist(&Request::Resume).await {
            // A short run may have ended, and its loop with it, between the pause and the kill.
            let over = self.stage.timings()?.iter().skip(proposal.before).any(|it| !it.recorded.is_empty());
            if paused && in_time && !over {
                return Err(failure);
            }
        }
        let status = self.settle("the candidate").await?;
        if let Some(problem) = &status.problem {
            self.report.note(problem.clone(), "");
        }
        let all = self.stage.timings()?;
        let ran: Vec<&Timing> = all.iter().skip(proposal.before).filter(|it| it.proposed.is_some()).collect();
        let lost: Vec<u64> = ran.iter().filter(|it| it.recorded.len() != 1).map(|it| it.number).collect();
        let again = ran.iter().filter(|it| it.runs.len() > 1).count();
        if !lost.is_empty() {
            self.report.problem(
                format!("after its runner was killed, experiment {} was not recorded once", lost[0]),
                Some("this should not happen: please report it".to_owned()),
            );
        } else if again > 0 {
            self.report.note("the runner was killed, and another went on, but had to start the run anew", "");
        } else if in_time {
            let runs = if ran.len() > 1 { format!("{} runs", ran.len()) } else { "the run".to_owned() };
            self.report
                .ok(format!("paused, the runner killed, resumed: {runs} went on meanwhile, recorded once"));
        } else {
            self.report.ok("paused, the runner killed after the run was over, resumed: recorded once");
        }
        self.told(&ran, number);
        Ok(())
    }

    /// Says how the candidate did, and what the slots did to each other.
    fn told(&mut self, ran: &[&Timing], number: u64) {
        self.report.begin("its run");
        if let Some(run) = ran.iter().find(|it| it.number == number) {
            let reason = run.reason.clone().unwrap_or_default();
            match run.value {
                Some(it) => self.report.ok(format!("{} after {}: {reason}", value(it), time(run.seconds))),
                None => {
                    self.report.note(format!("it failed: {reason}"), "one candidate may; the loop goes on")
                }
            }
        }
        let others: Vec<&&Timing> =
            ran.iter().filter(|it| it.number != number && it.value.is_some()).collect();
        if self.args.slots < 2 {
            return;
        }
        self.report.begin("slots");
        if others.is_empty() {
            self.report.note("no other run was on beside it", "");
            return;
        }
        let mean =
            |of: &dyn Fn(&Timing) -> f64| others.iter().map(|it| of(it)).sum::<f64>() / others.len() as f64;
        let seconds = mean(&|it| it.seconds);
        let values = mean(&|it| it.value.unwrap_or(f64::NAN));
        self.report.ok(format!(
            "{} runs at once: the baseline took {} beside others and {} alone; {} instead of {}",
            self.args.slots,
            time(seconds),
            time(self.baseline.seconds),
            value(values),
            self.baseline.value.map_or_else(String::new, value)
        ));
    }

    /// Begins a loop. The runner of the one before may be ending just now.
    async fn start(&self, options: &StartOptions) -> Result<(), Failure> {
        let mut watcher = Watcher::open(self.stage.scratch.session())?;
        if let Some(ending) = watcher.client().await? {
            ending.retire().await;
        }
        let since = Instant::now();
        loop {
            match watcher.insist(&Request::Start(options.clone())).await {
                // It has closed its socket, and not yet given back the lab.
                Err(failure) if failure.code == ExitCode::Held && since.elapsed() < ENDING => {
                    tokio::time::sleep(LOOK).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Runs a loop to its end.
    async fn night(&mut self, options: &StartOptions, what: &str) -> Result<LoopStatus, Failure> {
        self.start(options).await?;
        self.settle(what).await
    }

    /// Waits until no loop is on, or one is paused by what a person has to mend.
    async fn settle(&mut self, what: &str) -> Result<LoopStatus, Failure> {
        let mut watcher = Watcher::open(self.stage.scratch.session())?;
        loop {
            let status = watcher.status().await?;
            let blocked = status.state == LoopState::Paused && status.problem.is_some();
            if status.state == LoopState::Idle || blocked {
                return Ok(status);
            }
            self.report.now(&words(&status, what));
            tokio::time::sleep(LOOK).await;
        }
    }

    fn prints(&self, timing: &Timing) -> Prints {
        timing.runs.last().map(|run| Prints::of(&self.stage.scratch.paths().run(*run))).unwrap_or_default()
    }

    /// A baseline that fails, with the last lines that it printed: the copy is gone when they are looked for.
    fn failed(&self, timing: &Timing, why: &str) -> Failure {
        let prints = self.prints(timing);
        let tail = if prints.tail.is_empty() || why.contains(&prints.tail) {
            String::new()
        } else {
            format!("\n{}", prints.tail)
        };
        Failure::new(format!("{why}{tail}"))
            .hint("mend it in the lab, and rehearse again; the last lines that it printed are above")
            .code(ExitCode::Baseline)
    }
}

/// What a loop says of its end, without what it says of every one.
fn why(status: &LoopStatus, otherwise: &str) -> String {
    let told = status.problem.clone().or_else(|| status.ended.clone());
    let told = told.filter(|told| !told.starts_with("it has done its"));
    told.map_or_else(|| otherwise.to_owned(), |told| told.trim_start_matches("paused: ").to_owned())
}

/// How far a loop is, in a few words.
fn words(status: &LoopStatus, what: &str) -> String {
    let slot = status.slots.iter().find(|slot| slot.phase != "idle");
    let Some(slot) = slot else { return what.to_owned() };
    format!("{what}: {} for {}", slot.phase, time(slot.elapsed.0.floor()))
}
