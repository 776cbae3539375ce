//! The morning: what has happened since somebody last looked, in one screen.

use jiff::Zoned;
use lab::{
    Claim, Cost, Experiment, Seconds, Status,
    status::{LoopState, LoopStatus},
};
use maud::{Markup, html};

use crate::{
    Bundle, Metric,
    bundle::{HTML, JSON},
    diff,
    number::{count, duration, fixed, percent_change, signed},
    report::patterns,
    standing::{self, improved, not_kept},
    style,
    text::{clip, left, one_line, wrap},
};

/// Columns of a terminal.
const WIDTH: usize = 100;
/// Lines of each change that are shown, and their columns.
const LINES: usize = 16;
const COLUMNS: usize = 160;
/// Columns of a hypothesis.
const HYPOTHESIS: usize = 120;
/// Patterns of failures, and experiments that are named for one thing.
const PATTERNS: usize = 4;
const EXAMPLES: usize = 5;

/// What a morning is told from.
#[derive(Clone, Debug)]
pub struct Morning<'a> {
    /// The line of research.
    pub tag: &'a str,
    /// Since when; `None` is from its beginning.
    pub since: Option<Zoned>,
    /// Now; times of day are shown in its zone.
    pub now: Zoned,
    /// This clone's experiments that have come since, in the order of their numbers.
    pub new: &'a [Experiment],
    /// All of its experiments, in that order.
    pub all: &'a [Experiment],
    /// How many of other clones have come since.
    pub others: usize,
    /// The metric that decides.
    pub metric: &'a Metric,
    /// The best as it was then, where there was one.
    pub before: Option<&'a Experiment>,
    /// What gained most, the best first.
    pub gains: Vec<Gain<'a>>,
    /// What the loop does.
    pub status: &'a LoopStatus,
    /// Ideas that wait.
    pub ideas: usize,
}

/// Something that was kept, and what it changed.
#[derive(Clone, Debug)]
pub struct Gain<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its unified diff.
    pub diff: String,
}

/// Everything that both forms say.
struct Facts {
    title: String,
    sentences: Vec<String>,
    gains: Vec<(String, String, Option<String>)>,
    failed: Vec<String>,
    needs: Vec<String>,
    next: Option<String>,
}

/// The morning, and the cell that goes on from it.
pub fn morning(morning: &Morning<'_>) -> (Bundle, Option<String>) {
    let facts = Facts::of(morning);
    let value = serde_json::json!({
        "schema": lab::SCHEMA,
        "tag": morning.tag,
        "since": morning.since.as_ref().map(|since| since.timestamp().to_string()),
        "experiments": morning.new.len(),
        "said": facts.sentences,
        "gains": morning.gains.iter().map(|gain| gain.experiment.record.number).collect::<Vec<_>>(),
        "failed": facts.failed,
        "needs": facts.needs,
    });
    let bundle = Bundle::new(facts.text()).with(HTML, facts.html().into_string()).with(JSON, value);
    (bundle, facts.next)
}

impl Facts {
    fn of(morning: &Morning<'_>) -> Self {
        let since = match &morning.since {
            Some(since) => format!("Since {}", clock(since, &morning.now)),
            None => "Since the beginning".to_owned(),
        };
        let decimals = standing::decimals(morning.all);
        let gains = morning.gains.iter().map(|gain| told(gain, morning, decimals)).collect();
        Self {
            title: format!("{since} · {}", one_line(morning.tag)),
            sentences: vec![happened(morning), gained(morning, decimals), goes_on(morning)],
            gains,
            failed: failed(morning),
            needs: needs(morning),
            next: next(morning),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![self.title.clone(), String::new()];
        lines.extend(wrap(&self.sentences.join(" "), WIDTH));
        for (title, unified, note) in &self.gains {
            lines.extend([String::new(), clip(title, WIDTH)]);
            lines.extend(diff::diff(unified).text().lines().map(|line| format!("  {line}")));
            lines.extend(note.iter().map(|note| format!("  {note}")));
        }
        for (title, points) in [("What failed", &self.failed), ("What needs you", &self.needs)] {
            if !points.is_empty() {
                lines.extend([String::new(), title.to_owned()]);
                for point in points {
                    for (i, line) in wrap(point, WIDTH - 4).into_iter().enumerate() {
                        lines.push(format!("{}{line}", left(if i == 0 { "  · " } else { "" }, 4)));
                    }
                }
            }
        }
        if let Some(next) = &self.next {
            lines.extend([String::new(), "Next".to_owned()]);
            lines.extend(next.lines().map(|line| format!("  {}", line.trim_start_matches('%'))));
        }
        lines.join("\n")
    }

    fn html(&self) -> Markup {
        const HEAD: &str = "font-weight:600;margin:14px 0 4px 0";
        html! {
            div style="max-width:900px;line-height:1.45" {
                div style=(style::MUTED) { (self.title) }
                div style="font-size:15px;margin:4px 0" { (self.sentences.join(" ")) }
                @for (title, unified, note) in &self.gains {
                    div style=(HEAD) { (title) }
                    @if !unified.is_empty() { (diff::fragment(unified)) }
                    @if let Some(note) = note { div style=(style::MUTED) { (note) } }
                }
                @for (title, points, colour) in [("What failed", &self.failed, style::GREY), ("What needs you", &self.needs, style::ORANGE)] {
                    @if !points.is_empty() {
                        div style=(HEAD) { (title) }
                        @for point in points { div style=(style::callout(colour)) { (point) } }
                    }
                }
            }
        }
    }
}

/// `22:10`, with the date where it is not today's.
fn clock(at: &Zoned, now: &Zoned) -> String {
    let at = at.with_time_zone(now.time_zone().clone());
    at.strftime(if at.date() == now.date() { "%H:%M" } else { "%a %-d %b %H:%M" }).to_string()
}

/// The first sentence: how many, what became of them, in what time and for how much.
fn happened(morning: &Morning<'_>) -> String {
    let new = morning.new;
    let others = match morning.others {
        0 => String::new(),
        n => format!(", and {} of other clones came", count(n, "experiment", "experiments")),
    };
    if new.is_empty() {
        return format!("No experiment was finished{others}.");
    }
    let of = |status| new.iter().filter(|e| e.record.status == status).count();
    let kept = new.iter().filter(|e| improved(e)).count();
    let mut parts = vec![format!("{kept} kept")];
    parts.extend(not_kept(of));
    let seconds = Seconds(new.iter().map(|e| e.record.seconds.0).sum());
    let mut cost = Cost::default();
    for experiment in new {
        cost += experiment.record.cost;
    }
    let cost = if cost.usd > 0.0 { format!(" and ${}", fixed(cost.usd, 2)) } else { String::new() };
    format!(
        "{} ran in {}{cost}: {}{others}.",
        count(new.len(), "experiment", "experiments"),
        duration(seconds),
        parts.join(", ")
    )
}

/// The second sentence: the gain, with what may be said of it.
fn gained(morning: &Morning<'_>, decimals: usize) -> String {
    let name = one_line(&morning.metric.name);
    let unit = morning.metric.unit.as_deref().map(|unit| format!(" {}", one_line(unit))).unwrap_or_default();
    let found = lab::experiment::best(morning.all).and_then(|best| Some((best, best.record.value?)));
    let Some((best, value)) = found else { return format!("Nothing has a value of {name} yet.") };
    let shown = fixed(value, decimals);
    let label = best.record.number;
    let same_epoch =
        |other: &&Experiment| other.record.epoch == best.record.epoch && other.record.value.is_some();
    let before = morning.before.filter(same_epoch).or_else(|| {
        morning
            .all
            .iter()
            .find(|e| e.record.baseline && e.record.epoch == best.record.epoch && e.record.value.is_some())
    });
    let is_new = morning.new.iter().any(|e| e.record.id == best.record.id);
    match before.and_then(|before| before.record.value) {
        Some(first) if is_new && !best.record.baseline => {
            let change = percent_change(value, first).map(|it| format!(" ({it})")).unwrap_or_default();
            format!(
                "The best {name} went from {} to {shown}{unit}{change}, {}, by experiment {label}.",
                fixed(first, decimals),
                claim(best)
            )
        }
        _ if best.record.baseline => {
            format!("Nothing is better than the baseline's {name} {shown}{unit} (experiment {label}).")
        }
        _ => format!("The best {name} is still {shown}{unit}, {}, of experiment {label}.", claim(best)),
    }
}

fn claim(best: &Experiment) -> &'static str {
    match best.record.claim {
        Some(Claim::Certified) => "certified by repeats",
        _ => "unproven",
    }
}

/// The third sentence: what the loop does, or why it ended.
fn goes_on(morning: &Morning<'_>) -> String {
    let status = morning.status;
    let until = status
        .deadline
        .map(|at| format!(" until {}", clock(&at.to_zoned(morning.now.time_zone().clone()), &morning.now)));
    let until = until.unwrap_or_default();
    match (status.state, &status.ended) {
        (LoopState::Idle, Some(reason)) => {
            let report = status.report.as_deref().map(|path| format!("; its report is {}", one_line(path)));
            let reason = clip(one_line(reason).trim_end_matches('.'), 200);
            format!("The loop ended: {reason}{}.", report.unwrap_or_default())
        }
        (LoopState::Idle, None) => "No loop runs.".to_owned(),
        (LoopState::Paused, _) => "The loop is paused.".to_owned(),
        (LoopState::Stopping, _) => "The loop ends after what runs now.".to_owned(),
        (LoopState::Proposing | LoopState::Running, _) => format!("The loop goes on{until}."),
    }
}

/// A gain: its title, its change, and what was cut of that.
fn told(gain: &Gain<'_>, morning: &Morning<'_>, decimals: usize) -> (String, String, Option<String>) {
    let record = &gain.experiment.record;
    let delta = record.delta.map(|delta| format!(", {}", signed(delta, decimals))).unwrap_or_default();
    let value = record.value.map(|value| format!(" to {}", fixed(value, decimals))).unwrap_or_default();
    let title = format!(
        "Experiment {}{delta}{value} {}: {}",
        record.number,
        one_line(&morning.metric.name),
        clip(&one_line(&record.hypothesis), HYPOTHESIS)
    );
    let lines: Vec<&str> = gain
        .diff
        .lines()
        .filter(|line| !line.starts_with("index ") && !line.starts_with("diff --git "))
        .collect();
    let shown: Vec<String> = lines.iter().take(LINES).map(|line| clip(line, COLUMNS)).collect();
    let more = lines.len().saturating_sub(LINES);
    let note =
        (more > 0).then(|| format!("… {} more: `diff {}`", count(more, "line", "lines"), record.number));
    (title, shown.join("\n"), note)
}

fn named<'a>(experiments: impl Iterator<Item = &'a Experiment>) -> String {
    let mut numbers: Vec<String> = experiments.map(|e| e.record.number.to_string()).collect();
    if numbers.len() > EXAMPLES {
        numbers.truncate(EXAMPLES);
        numbers.push("…".to_owned());
    }
    numbers.join(", ")
}

fn failed(morning: &Morning<'_>) -> Vec<String> {
    let patterns = patterns(morning.new);
    let mut points: Vec<String> = patterns
        .iter()
        .take(PATTERNS)
        .map(|pattern| {
            let its = named(pattern.experiments.iter().copied());
            format!("{} {} ({its}): {}", pattern.experiments.len(), pattern.status, pattern.stem)
        })
        .collect();
    if patterns.len() > PATTERNS {
        points.push(format!("… and {} more", count(patterns.len() - PATTERNS, "reason", "reasons")));
    }
    points
}

/// What a person has to look at or to decide.
fn needs(morning: &Morning<'_>) -> Vec<String> {
    let status = morning.status;
    let mut points: Vec<String> =
        status.problem.iter().map(|problem| clip(&one_line(problem), 400)).collect();
    points.extend(status.warnings.iter().map(|warning| clip(&one_line(warning), 400)));
    let of = |wanted: Status| morning.all.iter().filter(move |e| e.record.status == wanted);
    for (wanted, what) in [
        (Status::Suspect, "too good to be believed, to be checked"),
        (Status::Waiting, "waiting for a metric that comes later"),
    ] {
        let n = of(wanted).count();
        if n > 0 {
            points.push(format!("{} {what}: {}", count(n, "experiment", "experiments"), named(of(wanted))));
        }
    }
    let invalid = || morning.new.iter().filter(|e| e.record.status == Status::Invalid);
    let n = invalid().count();
    if n > 0 {
        points.push(format!(
            "{} broke a rule of the lab: {}",
            count(n, "experiment", "experiments"),
            named(invalid())
        ));
    }
    if morning.ideas > 0 {
        points.push(format!("{} to be tried (`plan`)", count(morning.ideas, "idea waits", "ideas wait")));
    }
    if status.state == LoopState::Paused && status.problem.is_none() {
        points.push("the loop is paused: `loop resume` goes on".to_owned());
    }
    points
}

/// The next cell.
fn next(morning: &Morning<'_>) -> Option<String> {
    if morning.all.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    if let Some(first) = morning.gains.first() {
        let number = first.experiment.record.number;
        lines.extend([format!("%experiment {number}"), format!("%diff {number}")]);
    } else if let Some(last) = morning.new.last() {
        lines.push(format!("%experiment {}", last.record.number));
    }
    lines.extend(["%plot progress".to_owned(), "%report".to_owned()]);
    Some(lines.join("\n"))
}
