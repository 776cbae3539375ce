//! What everything comes to: the disk, what the night may not outlive, the forecast.

use lab::settings::format_bytes;
use runner::outlive::{self, Weight};
use runner::rehearsal::Timing;
use runner::{Variables, disk_usage};

use super::forecast::{Forecast, Limit, Measured, NIGHT, hours};
use super::play::{Play, Proposal};
use super::scratch;
use crate::failure::Failure;

/// How many folders of ended runs a runner keeps.
const FOLDERS: u64 = 20;

impl Play<'_, '_> {
    /// Looks at the disk and at what would end the night, and adds everything up.
    pub(super) fn close(
        &mut self,
        proposal: &Proposal,
        variables: &Variables,
    ) -> Result<(Forecast, String), Failure> {
        let timings = self.stage.timings()?;
        let recorded = timings.iter().filter(|it| !it.recorded.is_empty()).count().max(1) as u64;
        let paths = self.stage.scratch.paths();
        // A night's loop packs them, so that their bytes count and not the blocks that each file of its own takes.
        let objects = scratch::length(&self.stage.scratch.root().join(".git/objects"));
        let each = objects / recorded;
        let tree = disk_usage(&paths.slot(0));
        let runs = disk_usage(&paths.cache.join("runs")) / recorded.max(1);
        let lab = self.stage.lab.clone();
        let slots = self.args.slots;
        let run = if self.own || (self.stage.is_cut() && self.baseline.seconds >= 0.5 * self.stage.cut) {
            let beside = if self.own { 0.0 } else { (self.baseline.seconds - self.stage.cut).max(0.0) };
            lab.budget.0 + beside
        } else {
            self.baseline.seconds
        };
        let warm = timings.iter().skip(1).map(Timing::build_seconds).fold(0.0, f64::max);
        let overheads: Vec<f64> = timings.iter().take(proposal.before).filter_map(Timing::overhead).collect();
        let searches = self.args.agent == "search";
        let now = jiff::Timestamp::now();
        let mut measured = Measured {
            hours: self.args.hours,
            planned: self.args.experiments,
            max_cost: self.args.max_cost,
            slots,
            run,
            build: warm,
            overhead: overheads.iter().sum::<f64>() / overheads.len().max(1) as f64,
            first: self.first,
            latency: proposal.timing.latency().unwrap_or(0.0),
            ahead: lab.ahead && !searches,
            at_once: at_once(&self.args.agent),
            usd: proposal.timing.cost.usd,
            bytes: each,
            pair: self.pair,
            runs: timings.iter().map(|it| it.runs.len()).sum(),
        };
        let pace = measured.forecast();
        let growth =
            outlive::Growth { bytes: each as f64, an_hour: 3600.0 / pace.seconds * f64::from(slots) };
        let places = outlive::Places {
            repository: self.stage.paths.state.clone(),
            cache: self.stage.paths.cache.clone(),
        };
        let mut facts = outlive::probe(variables, &places);
        facts.growth = Some(growth);
        let length = jiff::SignedDuration::from_secs_f64(measured.hours.unwrap_or(NIGHT) * 3600.0);
        let found = outlive::findings(&facts, now, now.checked_add(length).ok());
        self.disk(&facts, &found, each, tree * u64::from(slots) + runs * FOLDERS);
        self.outlive(&found);
        if let Some(end) = outlive::end(&found) {
            let left = end.duration_since(now).as_secs_f64() / 3600.0;
            measured.hours = Some(measured.hours.unwrap_or(NIGHT).min(left.max(0.0)));
        }
        outlive::remember(&self.stage.paths, growth)?;
        let forecast = measured.forecast();
        self.report.begin("forecast");
        if forecast.experiments < 2 && forecast.limit == Limit::Hours {
            self.report.problem(
                format!(
                    "in {} there is no time for one experiment beside the baseline",
                    hours(forecast.hours)
                ),
                Some("give the night more hours, or a run a smaller budget".to_owned()),
            );
        }
        Ok((forecast, forecast.words(lab.metric.as_str())))
    }

    fn disk(&mut self, facts: &outlive::Facts, found: &[outlive::Finding], each: u64, fixed: u64) {
        self.report.begin("disk");
        let free = facts.folders.iter().map(outlive::Folder::room).min();
        let free = free.map(|free| format!(", {} are free", format_bytes(free))).unwrap_or_default();
        let words = format!(
            "{} an experiment in git, {} for worktrees and the last runs{free}",
            format_bytes(each),
            format_bytes(fixed)
        );
        match found.iter().find(|finding| finding.kind == "disk") {
            Some(full) => self.report.problem(format!("{words}; {}", full.text), full.mend.clone()),
            None => self.report.ok(words),
        }
    }

    fn outlive(&mut self, found: &[outlive::Finding]) {
        self.report.begin("outliving");
        let mut quiet = true;
        for finding in found.iter().filter(|finding| finding.kind != "disk") {
            quiet &= finding.weight == Weight::Note;
            self.report.note(finding.text.clone(), finding.mend.clone().unwrap_or_default());
        }
        if quiet {
            self.report.ok("nothing is known here that would end the loop before its time");
        }
    }
}

/// How many candidates a proposer makes at once: models of an API several, agents and programs one.
fn at_once(agent: &str) -> u32 {
    let asks = |name: &str| ["anthropic:", "openai:"].iter().any(|api| name.contains(api));
    if asks(agent) { 4 } else { 1 }
}
