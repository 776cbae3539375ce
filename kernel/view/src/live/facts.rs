//! What the live view says, worked out once for both of its forms.

use jiff::{Timestamp, Zoned};
use lab::{
    Cost, Experiment, Seconds,
    status::{LoopState, LoopStatus, SlotStatus},
};

use super::{Curve, Live};
use crate::{
    chart::spark,
    experiments::headline,
    number::{count, duration, fixed, short},
    proposers::records,
    standing::{Standing, decimals, tally},
    style,
    text::{clip, one_line},
};

/// How many of the last judgements are shown.
const JUDGEMENTS: usize = 5;
/// How many candidates that wait are shown.
const QUEUED: usize = 3;
/// By how many of the last experiments the pace is told.
const PACE: usize = 12;
/// Columns of a line of blocks.
const SPARK: usize = 30;

pub(super) struct Facts<'a> {
    /// A sign, its colour, and what the loop is doing.
    pub(super) state: (&'static str, &'static str, String),
    /// Tag, proposer, since when.
    pub(super) about: String,
    /// When this view was drawn.
    pub(super) time: String,
    /// How far the night is: a name, a share where one is known, and words.
    pub(super) night: Vec<(&'static str, Option<f64>, String)>,
    /// The gain so far, the keep rate and the cost.
    pub(super) gains: Vec<String>,
    /// What each of several proposers has done.
    pub(super) proposers: Vec<String>,
    pub(super) slots: Vec<Slot>,
    /// The candidates that wait for a slot.
    pub(super) queued: Vec<String>,
    /// The newest first.
    pub(super) last: Vec<&'a Experiment>,
    pub(super) standing: Standing<'a>,
    pub(super) decimals: usize,
    /// What a person has to see to.
    pub(super) alerts: Vec<String>,
    /// What is wrong beside that.
    pub(super) problem: Option<String>,
    /// Why this may not be the present.
    pub(super) trouble: Option<String>,
    pub(super) ended: Option<String>,
    /// What may end the loop before its time.
    pub(super) warnings: Vec<String>,
}

/// What one slot is doing.
pub(super) struct Slot {
    /// Its number, where it is one.
    pub(super) number: Option<u32>,
    /// `slot 1 · experiment 18`, or only the experiment where there is one slot.
    pub(super) name: String,
    pub(super) phase: String,
    /// How far its run is, where it runs.
    pub(super) share: Option<f64>,
    pub(super) time: String,
    pub(super) hypothesis: Option<String>,
    /// Who is making its candidate, and how.
    pub(super) doing: Option<String>,
    /// The curve of its run as blocks, and what it says in words.
    pub(super) curve: Option<(String, String)>,
    /// The last metrics, by name.
    pub(super) last: Vec<(String, String)>,
    /// What its GPU does.
    pub(super) gpu: Option<String>,
}

/// The slots, and what is being proposed for them meanwhile.
fn slots(live: &Live<'_>) -> Vec<Slot> {
    let ahead = live.status.ahead.iter().map(|ahead| Slot {
        number: None,
        name: format!("experiment {}", ahead.experiment),
        phase: "proposing".to_owned(),
        share: None,
        time: duration(ahead.elapsed),
        hypothesis: None,
        doing: doing(&ahead.proposer, ahead.doing.as_deref()),
        curve: None,
        last: Vec::new(),
        gpu: None,
    });
    live.status.slots.iter().map(|slot| self::slot(slot, live)).chain(ahead).collect()
}

impl<'a> Facts<'a> {
    pub(super) fn of(live: &Live<'a>) -> Self {
        let (status, experiments) = (live.status, live.experiments);
        let decimals = decimals(experiments);
        let standing = Standing::of(experiments);
        let mut about = vec![format!("tag {}", one_line(status.tag.as_str()))];
        about.extend(status.proposer.as_deref().map(|proposer| clip(&one_line(proposer), 40)));
        about.extend(status.since.map(|since| format!("since {}", clock(since, &live.now))));
        let mut gains: Vec<String> =
            headline(&standing, live.metric, decimals, &lab::Peers::default()).into_iter().collect();
        gains.push(tally(experiments));
        gains.extend(cost(&status.cost));
        let idle = status.state == LoopState::Idle;
        let told = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| status.alerts.iter().any(|alert| alert.contains(text)))
        };
        Self {
            state: state(live),
            about: about.join(" · "),
            time: live.now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
            night: if idle { Vec::new() } else { night(live) },
            gains,
            proposers: records(experiments, &status.out, decimals),
            slots: if idle { Vec::new() } else { slots(live) },
            queued: queued(live),
            last: experiments.iter().rev().take(JUDGEMENTS).collect(),
            standing,
            decimals,
            alerts: status.alerts.iter().map(|alert| clip(&one_line(alert), 400)).collect(),
            problem: status
                .problem
                .as_deref()
                .filter(|_| !told(&status.problem))
                .map(|problem| clip(&one_line(problem), 400)),
            trouble: live.trouble.map(|trouble| clip(&one_line(trouble), 400)),
            ended: status.ended.as_deref().filter(|_| idle).map(|reason| {
                let report =
                    status.report.as_deref().map(|path| format!("; the report is in {}", one_line(path)));
                clip(&one_line(reason), 400) + &report.unwrap_or_default()
            }),
            warnings: status.warnings.iter().map(|warning| clip(&one_line(warning), 400)).collect(),
        }
    }
}

fn state(live: &Live) -> (&'static str, &'static str, String) {
    let (sign, colour) = match live.status.state {
        LoopState::Idle if live.status.ended.is_some() => ("■", style::GREY),
        LoopState::Idle => ("○", style::GREY),
        LoopState::Proposing => ("●", style::LIVE),
        LoopState::Running => ("●", style::GREEN),
        LoopState::Paused => ("‖", style::ORANGE),
        LoopState::Stopping => ("●", style::ORANGE),
    };
    let word = word(live.status.state, live.status);
    let ended = live.status.ended_at.filter(|_| live.status.state == LoopState::Idle);
    let at = ended.map(|at| format!(" {}{}", moment(at, &live.now), ago(at, &live.now))).unwrap_or_default();
    (sign, colour, format!("{word}{at}"))
}

/// What the loop is doing, in a word.
pub(super) fn word(state: LoopState, status: &LoopStatus) -> &'static str {
    match state {
        LoopState::Idle if status.ended.is_some() => "Ended",
        LoopState::Idle => "No loop runs",
        LoopState::Proposing => "Proposing",
        LoopState::Running => "Running",
        LoopState::Paused => "Paused",
        LoopState::Stopping => "Stopping after the current runs",
    }
}

/// `06:10`, `yesterday 06:10`, or with the date.
fn moment(at: Timestamp, now: &Zoned) -> String {
    let zoned = at.to_zoned(now.time_zone().clone());
    if now.date().yesterday().is_ok_and(|yesterday| yesterday == zoned.date()) {
        return zoned.strftime("yesterday %H:%M").to_string();
    }
    clock(at, now)
}

/// `, 9 h ago`; nothing where it has just been.
fn ago(at: Timestamp, now: &Zoned) -> String {
    let seconds = (now.timestamp().as_second() - at.as_second()).max(0);
    match seconds {
        0..90 => String::new(),
        90..5400 => format!(", {} min ago", (seconds + 30) / 60),
        5400..129_600 => format!(", {} h ago", (seconds + 1800) / 3600),
        _ => format!(", {} days ago", (seconds + 43_200) / 86_400),
    }
}

/// `acp:claude reads and edits in its own worktree`.
fn doing(proposer: &str, doing: Option<&str>) -> Option<String> {
    let words = format!("{} {}", clip(&one_line(proposer), 60), one_line(doing?));
    Some(words.trim().to_owned())
}

/// The candidates that are made and wait.
fn queued(live: &Live) -> Vec<String> {
    let queued = &live.status.queued;
    let mut lines: Vec<String> = queued
        .iter()
        .take(QUEUED)
        .map(|one| {
            let by = clip(&one_line(&one.proposer), 24);
            format!("experiment {}: {} ({by})", one.experiment, clip(&one_line(&one.hypothesis), 200))
        })
        .collect();
    if queued.len() > QUEUED {
        lines.push(format!("{} more", queued.len() - QUEUED));
    }
    lines
}

/// `22:10`, with the date where it is not today's.
fn clock(at: Timestamp, now: &Zoned) -> String {
    let at = at.to_zoned(now.time_zone().clone());
    let format = if at.date() == now.date() { "%H:%M" } else { "%a %-d %b %H:%M" };
    at.strftime(format).to_string()
}

fn night(live: &Live) -> Vec<(&'static str, Option<f64>, String)> {
    let status = live.status;
    let now = live.now.timestamp();
    let elapsed = status.since.map(|since| (now.as_second() - since.as_second()).max(0) as f64);
    let until = |time: Timestamp| (time.as_second() - now.as_second()) as f64;
    let mut rows = Vec::new();
    let done = status.experiments;
    if let Some(planned) = status.planned {
        let left = planned.saturating_sub(done) as f64;
        let each = pace(live).or_else(|| elapsed.filter(|_| done > 0).map(|elapsed| elapsed / done as f64));
        let eta = each.filter(|_| left > 0.0).map(|each| each * left);
        // What the deadline cuts off is told there.
        let eta = eta.filter(|eta| status.deadline.is_none_or(|deadline| *eta <= until(deadline)));
        let eta = eta.map(|eta| format!(" · about {} left", duration(Seconds(eta)))).unwrap_or_default();
        let share = if planned == 0 { 1.0 } else { done as f64 / planned as f64 };
        rows.push(("experiments", Some(share), format!("{done} of {planned}{eta}")));
    }
    if let (Some(since), Some(deadline), Some(elapsed)) = (status.since, status.deadline, elapsed) {
        let whole = (deadline.as_second() - since.as_second()).max(1) as f64;
        let text = format!(
            "{} of {} · ends {}",
            duration(Seconds(elapsed)),
            duration(Seconds(whole)),
            clock(deadline, &live.now)
        );
        rows.push(("time", Some(elapsed / whole), text));
    }
    if rows.is_empty() {
        let time = elapsed.map(|elapsed| format!(" in {}", duration(Seconds(elapsed)))).unwrap_or_default();
        rows.push((
            "so far",
            None,
            format!("{}{time}, until it is stopped", count(done as usize, "experiment", "experiments")),
        ));
    }
    rows
}

/// Seconds from the end of one experiment of this loop to that of the next, at the median of the latest: a first build
/// that takes long is none of them.
fn pace(live: &Live) -> Option<f64> {
    let since = live.status.since?;
    let ends = live.experiments.iter().rev().map(|experiment| experiment.record.ended());
    let ends: Vec<f64> = ends.take_while(|end| *end >= since).take(PACE).map(seconds).collect();
    let mut gaps: Vec<f64> = ends.windows(2).map(|pair| (pair[0] - pair[1]).abs()).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// What a GPU tells while a run is on.
const GPU: [&str; 3] = ["gpu_utilization", "gpu_memory_mb", "gpu_power_w"];

/// `GPU 93%, 45.1 GB, 410 W`, where the run has one.
fn gpu(slot: &SlotStatus) -> Option<String> {
    let of = |name: &str| slot.last.get(name).filter(|value| value.is_finite());
    let [utilization, memory, power] = GPU.map(of);
    let parts: Vec<String> = [
        utilization.map(|it| format!("{}%", fixed(*it, 0))),
        memory.map(|it| format!("{} GB", fixed(*it / 1000.0, 1))),
        power.map(|it| format!("{} W", fixed(*it, 0))),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| format!("GPU {}", parts.join(", ")))
}

fn slot(slot: &SlotStatus, live: &Live) -> Slot {
    let place = (live.status.slots.len() > 1).then(|| format!("slot {}", slot.slot));
    let parts = [place, slot.experiment.map(|number| format!("experiment {number}"))];
    let mut name = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    if name.is_empty() {
        "slot".clone_into(&mut name);
    }
    let running = slot.phase == "running" && slot.budget.0 > 0.0;
    let time = if running {
        format!("{} of {}", duration(slot.elapsed), duration(slot.budget))
    } else {
        duration(slot.elapsed)
    };
    let rank = |name: &str| match name {
        "step" => 0,
        name if name == live.metric.name => 1,
        "loss" => 2,
        _ => 3,
    };
    let mut last: Vec<(&String, &f64)> =
        slot.last.iter().filter(|(name, _)| !GPU.contains(&name.as_str())).collect();
    last.sort_by_key(|(name, _)| rank(name));
    let curve = live.curves.iter().find(|curve| curve.slot == slot.slot && slot.phase == "running");
    let curve = curve.filter(|curve| curve.experiment.is_none() || curve.experiment == slot.experiment);
    let blocks = |curve: &Curve| spark(&curve.current.iter().map(|point| point.1).collect::<Vec<_>>(), SPARK);
    Slot {
        number: Some(slot.slot),
        name,
        phase: one_line(&slot.phase),
        share: running.then(|| slot.elapsed.0 / slot.budget.0),
        time: if slot.phase == "idle" { String::new() } else { time },
        hypothesis: slot.hypothesis.as_deref().map(one_line).filter(|text| !text.is_empty()),
        doing: doing(slot.proposer.as_deref().unwrap_or_default(), slot.doing.as_deref()),
        curve: curve.and_then(|curve| Some((blocks(curve), words(curve)?))),
        last: last
            .into_iter()
            .take(5)
            .map(|(name, value)| (clip(&one_line(name), 24), short(*value)))
            .collect(),
        gpu: gpu(slot),
    }
}

/// `loss 3.21 at step 1,200, the best run had 3.25`.
fn words(curve: &Curve) -> Option<String> {
    let (step, value) = curve.current.iter().rev().find(|(_, value)| value.is_finite())?;
    let best = curve.best.iter().rfind(|(x, y)| x <= step && y.is_finite());
    // Only where the best run got about as far.
    let best = best.filter(|_| curve.best.last().is_some_and(|(x, _)| x >= step));
    let best = best.map(|(_, y)| format!(", the best run had {}", short(*y))).unwrap_or_default();
    Some(format!("{} {} at step {}{best}", clip(&one_line(&curve.name), 40), short(*value), fixed(*step, 0)))
}

fn cost(cost: &Cost) -> Option<String> {
    let tokens = cost.input_tokens + cost.output_tokens;
    let mut parts = Vec::new();
    if cost.usd > 0.0 {
        parts.push(format!("${}", fixed(cost.usd, 2)));
    }
    if tokens > 0 {
        parts.push(count(tokens as usize, "token", "tokens"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
