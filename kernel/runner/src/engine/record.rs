//! The end of an experiment: judged, recorded, and kept where it is better.

use lab::{
    CommitId, Event, ExperimentId, Hook, IdeaPlace, Judgement, Metrics, Record, RunRecord, Seconds, Status,
};
use uuid::Uuid;

use super::Engine;
use super::carry::{Done, value};
use super::draft::Draft;
use crate::RunnerError;
use crate::executor::{Fetched, tail};
use crate::history::{HUMAN, Trial};
use crate::judge::{Against, Evidence, Mark, RULE, Verdict, judge};
use crate::proposers::Stuck;
use crate::state::State;
use crate::store::Standing;

/// How many folders of ended runs stay, for a look at what happened.
const FOLDERS: usize = 20;
/// After how many experiments what the ledger has written is looked over.
const PACK: u64 = 32;

impl Engine {
    /// Judges an experiment where it is not judged yet, and records it.
    pub(super) async fn judge_and_record(
        &self,
        trial: &mut Trial,
        draft: &Draft,
    ) -> Result<Done, RunnerError> {
        let alone = self.judging.lock().await;
        let fetched = self.fetched(trial).await;
        let mut again = false;
        if trial.state != State::Judged {
            let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
            let verdict = self.verdict(trial, draft, &standing, fetched.as_ref()).await?;
            again = verdict.again;
            self.advance(trial, Event::Judged { experiment: trial.id, judgement: verdict.judgement })?;
        }
        let judgement = trial
            .judgement
            .clone()
            .ok_or_else(|| RunnerError::Refused("there is no judgement".to_owned()))?;
        let (metrics, log) = fetched.map_or_else(|| (Metrics::default(), Vec::new()), |f| (f.metrics, f.log));
        let record = self.record(trial, draft, &judgement, &metrics)?;
        let commit = self.store.append(record.clone(), draft.program.clone(), metrics, log).await?;
        // Before it is said to be recorded: whoever takes over from a runner that is killed in between does all of
        // this once more, and none of it twice.
        if judgement.status == Status::Keep
            && let Some(candidate) = &trial.candidate
        {
            self.store.keep(&trial.tag, candidate).await?;
        }
        self.journal().not_before(record.ended());
        if let Some(text) = draft.idea.clone() {
            let moved = Event::IdeaMoved { text, to: IdeaPlace::Tried, experiment: Some(trial.id) };
            self.write_lasting(&trial.tag, "overnight", moved).await?;
        }
        self.advance(trial, Event::Recorded { experiment: trial.id, commit })?;
        self.drop_draft(trial.id);
        drop(alone);
        if let Err(error) = self.afterwards(trial, draft, &record).await
            && !self.endure(&error)
        {
            return Err(error);
        }
        Ok(Done::Recorded { status: judgement.status, again })
    }

    /// What follows from an experiment that is recorded.
    async fn afterwards(&self, trial: &Trial, draft: &Draft, record: &Record) -> Result<(), RunnerError> {
        let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
        self.show_best(standing.tip.as_ref());
        self.prune();
        if trial.number.is_multiple_of(PACK) {
            self.store.pack(&trial.tag);
        }
        self.climb(trial, &standing).await?;
        self.hook(Hook::After, &draft.lab()?, &trial.tag, record).await
    }

    /// Says where an experiment has led to on the ladder of those who are stuck.
    async fn climb(&self, trial: &Trial, standing: &Standing) -> Result<(), RunnerError> {
        let listens = self.proposer_of(trial).is_some_and(|proposer| proposer.listens());
        if let Some(Stuck { after, rung }) =
            Stuck::of(&standing.experiments).filter(|it| listens && it.is_new())
        {
            self.write_lasting(&trial.tag, "overnight", Event::Stuck { after, rung }).await?;
        }
        Ok(())
    }

    pub(super) async fn fetched(&self, trial: &Trial) -> Option<Fetched> {
        self.executor.fetch(trial.run?).await.ok()
    }

    async fn verdict(
        &self,
        trial: &Trial,
        draft: &Draft,
        standing: &Standing,
        fetched: Option<&Fetched>,
    ) -> Result<Verdict, RunnerError> {
        if let Some(rule) = &draft.breaks {
            let judgement =
                Judgement { status: Status::Invalid, reason: rule.clone(), delta: None, confidence: None };
            return Ok(Verdict { judgement, again: false });
        }
        let lab = draft.lab()?;
        let built = trial.build.as_ref().is_none_or(|(exit, _)| exit == "0");
        let mut log = fetched.map(|f| tail(&f.log, 30)).unwrap_or_default();
        if !built {
            log = build_error(&log, trial.build.as_ref().map_or("", |(exit, _)| exit));
        }
        let note = fetched.and_then(|f| f.end.note.clone());
        let last = trial.runs.last();
        let limited = fetched.is_some_and(|f| f.end.exit == "limit");
        if log.is_empty() || limited {
            log = note.unwrap_or_default();
        }
        let evidence = Evidence {
            metric: &lab.metric,
            direction: lab.direction,
            exit: if built { last.map_or("lost", |run| run.exit.as_str()) } else { "build failed" },
            value: fetched
                .map_or_else(|| last.and_then(|run| run.value), |f| value(&f.end, lab.metric.as_str())),
            timeout: lab.timeout,
            tail: &log,
            changed: fetched.map_or(&[], |f| f.end.changed.as_slice()),
            against: self.against(trial, standing).await?,
        };
        let mut verdict = judge(&evidence);
        if verdict.judgement.status == Status::Crash
            && !limited
            && let Some(denied) = trial.run.and_then(|run| self.denied(run, &fetched?.log))
        {
            verdict.judgement.reason = format!("{}; {denied}", verdict.judgement.reason);
        }
        if trial.repairs > 0 {
            let times =
                if trial.repairs == 1 { "once".to_owned() } else { format!("{} times", trial.repairs) };
            verdict.judgement.reason = format!("{}; it was mended {times}", verdict.judgement.reason);
        }
        if let Some(note) = &draft.note {
            verdict.judgement.reason = format!("{}; {note}", verdict.judgement.reason);
        }
        Ok(verdict)
    }

    /// What the sandbox denied to a run that failed, where its log says so.
    fn denied(&self, run: lab::RunId, log: &[u8]) -> Option<String> {
        let job = crate::shim::read_job(&self.executor.folder(run)).ok()?;
        let seen = crate::sandbox::denials::Seen {
            policy: job.sandbox.as_ref()?,
            folder: &job.folder,
            home: job.environment.get("HOME").map(std::path::Path::new),
        };
        seen.denied(&String::from_utf8_lossy(log))
    }

    async fn against(&self, trial: &Trial, standing: &Standing) -> Result<Against, RunnerError> {
        let (Some(tip), Some(parent)) = (&standing.tip, &trial.parent) else { return Ok(Against::Nothing) };
        let Some(best) = tip.record.value else { return Ok(Against::Nothing) };
        let best = Mark { number: tip.record.number, value: best };
        let builds_on = match &trial.candidate {
            _ if *parent == tip.record.candidate => true,
            Some(candidate) => self.store.is_ancestor(&tip.record.candidate, candidate).await?,
            None => false,
        };
        if builds_on {
            return Ok(Against::Best(best));
        }
        let parent = standing.experiments.iter().rev().find(|e| e.record.candidate == *parent);
        Ok(Against::Moved { parent: parent.and_then(|parent| parent.record.value), best })
    }

    fn record(
        &self,
        trial: &Trial,
        draft: &Draft,
        judgement: &Judgement,
        metrics: &Metrics,
    ) -> Result<Record, RunnerError> {
        let lab = draft.lab()?;
        let candidate = trial
            .candidate
            .clone()
            .ok_or_else(|| RunnerError::Refused("there is no candidate".to_owned()))?;
        let mut runs = trial.runs.clone();
        let mut seconds: f64 = runs.iter().map(|run| run.seconds.0).sum();
        if let Some((exit, took)) = &trial.build {
            seconds += took.0;
            if exit != "0" {
                let exit = "build failed".to_owned();
                runs.push(RunRecord { seed: draft.seed, value: None, seconds: Seconds(0.0), exit });
            }
        }
        let failed = !matches!(judgement.status, Status::Keep | Status::Discard);
        Ok(Record {
            schema: lab::SCHEMA,
            number: trial.number,
            id: trial.id,
            writer: self.writer.clone(),
            tag: trial.tag.clone(),
            status: judgement.status,
            value: trial
                .runs
                .last()
                .and_then(|run| run.value)
                .filter(|_| !failed || judgement.status == Status::Invalid),
            delta: judgement.delta,
            confidence: judgement.confidence,
            parent: trial.parent.clone(),
            candidate,
            baseline: trial.is_baseline(),
            hypothesis: trial.hypothesis.clone(),
            proposer: trial.proposer.clone(),
            started: trial.started.unwrap_or(trial.since),
            seconds: Seconds(seconds),
            runs,
            summary: metrics.summary.clone(),
            cost: trial.cost,
            reason: judgement.reason.clone(),
            claim: (judgement.status == Status::Keep).then_some(lab::Claim::Unproven),
            author: if trial.is_of_loop() { self.author.clone() } else { trial.author.clone() },
            program: String::new(),
            rule: RULE.to_owned(),
            metric: lab.metric,
            direction: lab.direction,
            epoch: draft.epoch.clone(),
            environment: draft.environment.clone(),
            other: serde_json::Map::new(),
        })
    }

    /// Applies what a candidate changed to the best so far, as a new experiment that comes next, where the loop may
    /// still begin one.
    pub(super) async fn try_again(&self, trial: &Trial) -> Result<(), RunnerError> {
        if !self.live().has_room() {
            return Ok(());
        }
        let (Some(parent), Some(candidate)) = (&trial.parent, &trial.candidate) else { return Ok(()) };
        let draft = self.draft(parent).await?;
        let standing = self.store.standing(&trial.tag, &draft.epoch).await?;
        let Some(tip) = standing.tip.clone() else { return Ok(()) };
        let lab = draft.lab()?;
        let Some(edits) = self.store.merged(parent, candidate, &tip.record.candidate, &lab).await? else {
            tracing::info!(
                number = trial.number,
                "its change conflicts with the new best: it is proposed anew"
            );
            return Ok(());
        };
        let hypothesis = format!("{} (on top of {})", trial.hypothesis, tip.record.number);
        let merged = self.store.candidate(&tip.record.candidate, edits, &hypothesis).await?;
        if self.store.duplicate(&trial.tag, &merged, &lab, &draft.epoch).await?.is_some() {
            return Ok(());
        }
        let parent = tip.record.candidate.clone();
        self.queue_made(&trial.tag, &trial.proposer, &trial.author, parent, merged, &hypothesis, true)
            .await?;
        Ok(())
    }

    /// Reserves a number for a candidate that exists, and queues it: in front, or after the others.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn queue_made(
        &self,
        tag: &lab::Tag,
        proposer: &str,
        author: &str,
        parent: CommitId,
        candidate: CommitId,
        hypothesis: &str,
        in_front: bool,
    ) -> Result<u64, RunnerError> {
        self.hold(&candidate).await?;
        let _one = self.reserving.lock().await;
        let mut trial = self.new_trial(tag, proposer, Some(parent)).await?;
        author.clone_into(&mut trial.author);
        let proposing = Event::Proposing {
            experiment: trial.id,
            number: trial.number,
            slot: 0,
            proposer: trial.proposer.clone(),
            parent: trial.parent.clone(),
        };
        self.advance(&mut trial, proposing)?;
        let proposed = Event::Proposed {
            experiment: trial.id,
            candidate,
            hypothesis: hypothesis.to_owned(),
            cost: lab::Cost::default(),
        };
        self.advance(&mut trial, proposed)?;
        let number = trial.number;
        let mut live = self.live();
        if in_front {
            live.queue.push_front(trial);
        } else {
            live.queue_human(trial);
        }
        drop(live);
        self.wake.notify_one();
        Ok(number)
    }

    /// A trial with a number of its own. The caller holds `reserving`, or is the loop itself.
    pub(super) async fn new_trial(
        &self,
        tag: &lab::Tag,
        proposer: &str,
        parent: Option<CommitId>,
    ) -> Result<Trial, RunnerError> {
        let mut number = self.store.next_number(tag).await?;
        if number == 0 && proposer == HUMAN {
            // 0 is left to the baseline that it needs first.
            number = 1;
        }
        let mut trial = Trial::new(ExperimentId(Uuid::now_v7()), tag, jiff::Timestamp::now());
        let mut live = self.live();
        while !live.reserved.insert((tag.clone(), number)) {
            number += 1;
        }
        trial.number = number;
        proposer.clone_into(&mut trial.proposer);
        trial.parent = parent;
        Ok(trial)
    }

    /// Removes the folders of runs that ended long ago; the ledger has what they held.
    pub(super) fn prune(&self) {
        let used: Vec<String> = {
            let live = self.live();
            let trials = live.slots.iter().flatten().chain(&live.queue);
            trials.flat_map(|trial| &trial.all_runs).map(ToString::to_string).collect()
        };
        let runs = self.paths.cache.join("runs");
        let Ok(entries) = std::fs::read_dir(&runs) else { return };
        // Names are UUIDs of version 7, so their order is that of time.
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        let old = names.len().saturating_sub(FOLDERS);
        for name in names.iter().take(old).filter(|name| !used.contains(name)) {
            let folder = runs.join(name);
            // A run without its end may belong to a setup, or to an experiment of another tag.
            if crate::shim::read_end(&folder).is_some() {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
}

/// What of a build's log says why it failed: from the first error on.
fn build_error(log: &str, exit: &str) -> String {
    if exit == "timeout" {
        return "it took longer than `build_timeout`".to_owned();
    }
    let mut lines = log.lines().skip_while(|line| !line.starts_with("error"));
    let Some(error) = lines.next() else { return log.to_owned() };
    // What cargo and others print of where it came from, the deepest last.
    let lines: Vec<&str> = lines.map(str::trim).collect();
    let cause = lines.windows(2).rfind(|pair| pair[0] == "Caused by:").map(|pair| pair[1]);
    cause.map_or_else(|| error.to_owned(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::build_error;

    #[test]
    fn a_failed_build_is_told_by_its_first_error_and_the_cause_of_it() {
        let of = |log: &str| build_error(log, "exit 1");
        assert_eq!(
            of("warning: unused\nerror: expected `;`\n  --> src/main.rs:3\nerror: aborting"),
            "error: expected `;`"
        );
        let caused =
            "error: I/O Error\n\nCaused by:\n    cannot look\n\nCaused by:\n    denied\n\nStack backtrace:\n";
        assert_eq!(of(caused), "error: I/O Error: denied");
        assert_eq!(of("Killed"), "Killed");
        assert_eq!(build_error("", "timeout"), "it took longer than `build_timeout`");
    }
}
