//! The judge: what became of an experiment, from what its run says. Pure.
//!
//! Rule 1: better than the best so far is kept. What else there is to say about a gain (noise,
//! repeats, a holdout) will be another rule with another name.

use lab::value::format_value;
use lab::{Direction, Judgement, MetricName, Seconds, Status};

/// The name of the rule that [`judge`] applies; each record carries it.
pub const RULE: &str = "better-than-best 1";

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// The metric that decides.
    pub metric: &'a MetricName,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// How the run ended, as in [`RunRecord::exit`](lab::RunRecord::exit); `build failed` where it never began.
    pub exit: &'a str,
    /// The metric's value, where it printed one; NaN where it printed that.
    pub value: Option<f64>,
    /// When a run is killed.
    pub timeout: Seconds,
    /// The last lines of its log, or what its shim says of its end.
    pub tail: &'a str,
    /// The files that it changed and must not, each with what was done to it.
    pub changed: &'a [String],
    /// What it is compared with.
    pub against: Against,
}

/// What an experiment is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Against {
    /// Nothing: it is the baseline.
    Nothing,
    /// The best so far, which it builds on.
    Best(Mark),
    /// Another experiment was kept since it was proposed.
    Moved {
        /// The value of its parent, where that was judged in this epoch.
        parent: Option<f64>,
        /// The best so far, which it does not build on.
        best: Mark,
    },
}

/// An experiment to be compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// Its number.
    pub number: u64,
    /// Its value.
    pub value: f64,
}

/// The judgement, and whether the change is worth another try on the best so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What to record.
    pub judgement: Judgement,
    /// It beat its parent, but the best has moved on: its change is to be merged on to that and run again.
    pub again: bool,
}

/// Judges a run.
pub fn judge(evidence: &Evidence) -> Verdict {
    let metric = evidence.metric;
    let settle = |status, reason: String, delta| Verdict {
        judgement: Judgement { status, reason, delta, confidence: None },
        again: false,
    };
    if !evidence.changed.is_empty() {
        return settle(Status::Invalid, changed(evidence), None);
    }
    match evidence.exit {
        "0" | "budget" => {}
        "timeout" => {
            return settle(
                Status::Timeout,
                format!("it was still running after {} and was killed", evidence.timeout),
                None,
            );
        }
        exit => return settle(Status::Crash, crash(exit, evidence.tail), None),
    }
    let value = match evidence.value {
        None => {
            let reason = format!("it ended without printing `{metric}`{}", said(evidence.tail));
            return settle(Status::Crash, reason, None);
        }
        Some(value) if !value.is_finite() => {
            return settle(
                Status::Crash,
                format!("`{metric}` is {}, not a number", format_value(value)),
                None,
            );
        }
        Some(value) => value,
    };
    let best = match evidence.against {
        Against::Nothing => return settle(Status::Keep, "baseline".to_owned(), None),
        Against::Best(best) | Against::Moved { best, .. } => best,
    };
    let delta = Some(value - best.value);
    let better = evidence.direction.better(value, best.value);
    let compared =
        format!("{metric} {} against {} of {}", format_value(value), format_value(best.value), best.number);
    if let Against::Moved { parent, .. } = evidence.against {
        let gained = parent.map_or(better, |parent| evidence.direction.better(value, parent));
        if gained {
            let parent = parent
                .map_or_else(String::new, |parent| format!(" and its parent's {}", format_value(parent)));
            let reason = format!(
                "better than what it builds on, but {} was kept meanwhile: {compared}{parent}",
                best.number
            );
            return Verdict { again: true, ..settle(Status::Discard, reason, delta) };
        }
        return settle(Status::Discard, format!("not better: {compared}"), delta);
    }
    if better {
        settle(Status::Keep, format!("better: {compared}"), delta)
    } else if value.total_cmp(&best.value).is_eq() {
        settle(Status::Discard, format!("no change: {compared}"), delta)
    } else {
        settle(Status::Discard, format!("worse: {compared}"), delta)
    }
}

/// What was changed that must not be, and what to do about it where the lab's own code does so.
fn changed(evidence: &Evidence) -> String {
    let files = evidence.changed.join(", ");
    match evidence.against {
        Against::Nothing => format!(
            "it {files}, which git tracks and no run may change: have the code write elsewhere, or take the file out \
             of git (`git rm --cached`)"
        ),
        Against::Best(_) | Against::Moved { .. } => {
            format!("it {files}, which is not its to change: its value says nothing")
        }
    }
}

fn crash(exit: &str, tail: &str) -> String {
    let what = match exit {
        "lost" => "the run was lost: its processes were gone and had told no end".to_owned(),
        "build failed" => "its build failed".to_owned(),
        "not started" => "it could not be started".to_owned(),
        "limit" => return tail.trim().to_owned(),
        "signal 25" => "it wrote a file larger than `limits: {disk: …}` in program.md".to_owned(),
        "signal 9" => "it was killed by signal 9 (out of memory?)".to_owned(),
        _ => match exit.strip_prefix("exit ") {
            Some(code) => format!("it ended with exit code {code}"),
            None => format!("it was ended by {exit}"),
        },
    };
    format!("{what}{}", said(tail))
}

/// The last thing that it said, for a reason: one line.
fn said(tail: &str) -> String {
    let Some(line) = tail.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
        return String::new();
    };
    let line: String = if line.chars().count() > 200 {
        line.chars().take(199).chain(['…']).collect()
    } else {
        line.to_owned()
    };
    format!(": {line}")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn sentences() {
        let metric = MetricName::new("val_bpb");
        let best = Mark { number: 4, value: 0.9979 };
        let on_best = Against::Best(best);
        let moved = |parent| Against::Moved { parent, best };
        let cases = [
            ("0", Some(1.0), Against::Nothing, ""),
            ("0", Some(0.9932), on_best, ""),
            ("0", Some(0.9979), on_best, ""),
            ("0", Some(1.01), on_best, ""),
            ("budget", Some(0.5), on_best, ""),
            ("0", Some(0.9985), moved(Some(1.0)), ""),
            ("0", Some(1.2), moved(Some(1.0)), ""),
            ("0", Some(0.9), moved(None), ""),
            ("0", None, on_best, "done\n"),
            ("0", Some(f64::NAN), on_best, ""),
            ("0", Some(f64::INFINITY), Against::Nothing, ""),
            ("exit 1", None, on_best, "Traceback\nValueError: shapes (3, 4)\n"),
            ("signal 9", Some(0.1), on_best, ""),
            ("signal 11", None, on_best, ""),
            ("timeout", Some(0.1), on_best, ""),
            ("build failed", None, on_best, "error[E0308]: mismatched types"),
            ("limit", Some(0.1), on_best, "it used 40GB of memory, more than its limit of 32GB"),
            ("lost", None, on_best, ""),
        ];
        let mut table = String::new();
        for (exit, value, against, tail) in cases {
            let timeout = Seconds(600.0);
            let direction = Direction::Minimize;
            let verdict = judge(&Evidence {
                metric: &metric,
                direction,
                exit,
                value,
                timeout,
                tail,
                against,
                changed: &[],
            });
            let Judgement { status, reason, .. } = verdict.judgement;
            let again = if verdict.again { " (again)" } else { "" };
            let _ = writeln!(table, "{status}{again}: {reason}");
        }
        insta::assert_snapshot!(table, @r"
        keep: baseline
        keep: better: val_bpb 0.993200 against 0.997900 of 4
        discard: no change: val_bpb 0.997900 against 0.997900 of 4
        discard: worse: val_bpb 1.01000 against 0.997900 of 4
        keep: better: val_bpb 0.500000 against 0.997900 of 4
        discard (again): better than what it builds on, but 4 was kept meanwhile: val_bpb 0.998500 against 0.997900 of 4 and its parent's 1
        discard: not better: val_bpb 1.20000 against 0.997900 of 4
        discard (again): better than what it builds on, but 4 was kept meanwhile: val_bpb 0.900000 against 0.997900 of 4
        crash: it ended without printing `val_bpb`: done
        crash: `val_bpb` is NaN, not a number
        crash: `val_bpb` is inf, not a number
        crash: it ended with exit code 1: ValueError: shapes (3, 4)
        crash: it was killed by signal 9 (out of memory?)
        crash: it was ended by signal 11
        timeout: it was still running after 10m and was killed
        crash: its build failed: error[E0308]: mismatched types
        crash: it used 40GB of memory, more than its limit of 32GB
        crash: the run was lost: its processes were gone and had told no end
        ");
    }

    #[test]
    fn what_is_locked_may_not_be_changed() {
        let metric = MetricName::new("val_bpb");
        let changed = ["changed harness.py".to_owned(), "removed data.py".to_owned()];
        let best = Against::Best(Mark { number: 4, value: 0.9 });
        let said = [Against::Nothing, best].map(|against| {
            let evidence = Evidence {
                metric: &metric,
                direction: Direction::Minimize,
                exit: "0",
                value: Some(0.5),
                timeout: Seconds(1.0),
                tail: "",
                changed: &changed,
                against,
            };
            let Judgement { status, reason, .. } = judge(&evidence).judgement;
            format!("{status}: {reason}")
        });
        insta::assert_snapshot!(said.join("\n"), @r##"
        invalid: it changed harness.py, removed data.py, which git tracks and no run may change: have the code write elsewhere, or take the file out of git (`git rm --cached`)
        invalid: it changed harness.py, removed data.py, which is not its to change: its value says nothing
        "##);
    }

    #[test]
    fn higher_may_be_better() {
        let metric = MetricName::new("accuracy");
        let against = Against::Best(Mark { number: 0, value: 0.5 });
        let evidence = Evidence {
            metric: &metric,
            direction: Direction::Maximize,
            exit: "0",
            value: Some(0.6),
            timeout: Seconds(1.0),
            tail: "",
            changed: &[],
            against,
        };
        assert_eq!(judge(&evidence).judgement.status, Status::Keep);
        let lower = Evidence { value: Some(0.4), ..evidence };
        assert_eq!(judge(&lower).judgement.status, Status::Discard);
    }
}
