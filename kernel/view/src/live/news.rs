//! What a log has of a night: a line where something was judged, begins, ends or goes wrong.

use jiff::Zoned;
use lab::{
    Experiment,
    status::{LoopState, LoopStatus},
};

use super::facts;
use crate::{
    Metric,
    experiments::hypothesis,
    number::{duration, fixed, signed},
    standing::decimals,
    text::{clip, one_line},
};

/// `23:40:20  experiment 16: discard, val_bpb 1.029943 (+0.008632) in 5m 03s: a wider model`.
pub fn judged(experiment: &Experiment, all: &[Experiment], metric: &Metric, now: &Zoned) -> String {
    let record = &experiment.record;
    let decimals = decimals(all);
    let delta = record.delta.map(|delta| format!(" ({})", signed(delta, decimals))).unwrap_or_default();
    let value =
        record.value.map(|value| format!(", {} {}{delta}", one_line(&metric.name), fixed(value, decimals)));
    let text = format!(
        "experiment {}: {}{} in {}: {}",
        record.number,
        record.status,
        value.unwrap_or_default(),
        duration(record.seconds),
        hypothesis(experiment)
    );
    line(&text, now)
}

/// What the loop does now, and what is wrong, where that is not what it was `before`; a line each.
pub fn state(before: Option<&LoopStatus>, status: &LoopStatus, now: &Zoned) -> Vec<String> {
    // A slot that is free for a moment is no news.
    let rough = |status: &LoopStatus| match status.state {
        LoopState::Proposing => LoopState::Running,
        state => state,
    };
    let mut lines = Vec::new();
    if before.map(rough) != Some(rough(status)) {
        let reason = status.ended.as_ref().filter(|_| status.state == LoopState::Idle);
        let reason = reason.map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
        lines.push(format!("{}{reason}", facts::word(rough(status), status)));
    }
    let was = |text: &String| {
        before.is_some_and(|before| before.problem.as_ref() == Some(text) || before.alerts.contains(text))
    };
    let wrong = status.problem.iter().filter(|problem| !status.alerts.contains(problem));
    lines.extend(
        wrong.filter(|problem| !was(problem)).map(|problem| format!("problem: {}", one_line(problem))),
    );
    let alerts = status.alerts.iter().filter(|alert| !was(alert));
    lines.extend(alerts.map(|alert| format!("needs you: {}", one_line(alert))));
    lines.iter().map(|text| line(text, now)).collect()
}

fn line(text: &str, now: &Zoned) -> String {
    format!("{}  {}", now.strftime("%H:%M:%S"), clip(text, 400))
}
