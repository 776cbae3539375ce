//! The sections of a report, and what stands above them: the headline, and what is known of its noise.

use lab::noise::Run;
use lab::{Claim, Experiment, Lab, Seconds};

use super::{
    Diffs, View, asked, constants,
    document::{Block, Line, code, figure, quoted, text},
    failures, kept, means, people,
};
use crate::{
    number::{count, duration, fixed, percent_change, signed},
    standing::{improved, not_kept},
    text::one_line,
};

/// Columns of a hypothesis in a sentence.
const HYPOTHESIS: usize = 160;

/// Everything, in the order in which it is read.
pub(super) fn document(view: &View<'_>, program: Option<&Lab>, diffs: &Diffs<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Title(title(view)), Block::Note(about(view))];
    blocks.extend(cards(view));
    blocks.extend(headline(view).into_iter().map(Block::Words));
    if !view.own.is_empty() {
        blocks.push(Block::Progress);
    }
    blocks.extend(asked::section(view, program));
    blocks.extend(kept::section(view, diffs));
    blocks.extend(failures::section(view));
    blocks.extend(constants::section(view));
    blocks.extend(people::section(view));
    blocks.extend(means::spent(view));
    blocks.extend(means::again(view));
    blocks
}

fn unit(view: &View<'_>) -> String {
    view.metric.unit.as_deref().map(|unit| format!(" {}", one_line(unit))).unwrap_or_default()
}

fn name(view: &View<'_>) -> String {
    one_line(&view.metric.name)
}

/// The best and its value, and the value of the baseline that it is compared with, unless it is that itself.
fn best<'a>(view: &View<'a>) -> Option<(&'a Experiment, f64, Option<f64>)> {
    let best = view.standing.best?;
    let first = view.standing.baseline_of(best).filter(|_| !best.record.baseline);
    Some((best, best.record.value?, first))
}

fn title(view: &View<'_>) -> Line {
    let tried = count(view.tried(), "experiment", "experiments");
    match best(view) {
        Some((_, value, Some(first))) => vec![
            text(format!("{} ", name(view))),
            figure("title.baseline", fixed(first, view.decimals)),
            text(" → "),
            figure("title.best", fixed(value, view.decimals)),
            text(format!("{} in ", unit(view))),
            figure("title.tried", tried),
        ],
        Some((_, value, None)) if view.tried() == 0 => {
            vec![
                text(format!("The baseline: {} ", name(view))),
                figure("title.best", fixed(value, view.decimals) + &unit(view)),
            ]
        }
        Some((_, value, None)) => vec![
            text(format!("No gain on {} ", name(view))),
            figure("title.best", fixed(value, view.decimals)),
            text(format!("{} in ", unit(view))),
            figure("title.tried", tried),
        ],
        None if view.own.is_empty() => vec![text("No experiments yet")],
        None => vec![
            text(format!("No value of {} in ", name(view))),
            figure("title.tried", count(view.own.len(), "experiment", "experiments")),
        ],
    }
}

/// Which lab, which line of research, when.
fn about(view: &View<'_>) -> Line {
    let source = view.source;
    let mut line = vec![text("Lab "), code(one_line(&source.lab)), text(", line of research ")];
    line.push(code(source.tag.as_str()));
    if let (Some(first), Some(last)) = (view.own.first(), view.own.last()) {
        line.extend([
            text(", "),
            figure("about.from", view.time(first.record.started)),
            text(" to "),
            figure("about.to", view.time(last.record.ended())),
        ]);
    }
    line.push(text(format!(
        ". Times are UTC{}. Written {} by Overnight {}",
        source.offset,
        view.time(source.made),
        source.version
    )));
    line.push(text(match &source.commit {
        Some(commit) => format!(" from the ledger as it was at {}.", commit.short()),
        None => ", before anything was recorded.".to_owned(),
    }));
    line
}

fn cards(view: &View<'_>) -> Option<Block> {
    let mut cards = Vec::new();
    if let Some((_, value, first)) = best(view) {
        let axis = if first.is_some() { "baseline" } else { "baseline, and best" };
        let shown = first.unwrap_or(value);
        cards.push((axis, vec![figure("headline.baseline", fixed(shown, view.decimals) + &unit(view))]));
        if let Some(first) = first {
            cards.push(("best", vec![figure("headline.best", fixed(value, view.decimals) + &unit(view))]));
            let change = percent_change(value, first).unwrap_or_else(|| signed(value - first, view.decimals));
            cards.push(("change", vec![figure("headline.change", change)]));
        }
    }
    if view.own.is_empty() {
        return None;
    }
    let kept = view.own.iter().filter(|e| improved(e)).count();
    cards.push((
        "kept of tried",
        vec![figure(
            "headline.kept",
            format!("{} of {}", fixed(kept as f64, 0), fixed(view.tried() as f64, 0)),
        )],
    ));
    let seconds: f64 = view.own.iter().map(|e| e.record.seconds.0).sum();
    cards.push(("time of runs", vec![figure("headline.time", duration(Seconds(seconds)))]));
    let cost = means::cost(view.own);
    if cost.usd > 0.0 {
        cards.push(("cost of proposals", vec![figure("headline.cost", format!("${}", fixed(cost.usd, 2)))]));
    }
    Some(Block::Cards(cards))
}

/// What was gained, in sentences: by what, how much, and what may be said of it.
fn headline(view: &View<'_>) -> Vec<Line> {
    let metric = format!("{} ({} is better)", name(view), view.metric.better());
    let Some((best, value, first)) = best(view) else {
        return vec![if view.own.is_empty() {
            vec![text("The ledger has no experiments yet.")]
        } else {
            vec![text(format!("No experiment has a value of {metric} to be compared."))]
        }];
    };
    let Some(first) = first else {
        return vec![
            vec![
                text(format!("Nothing was better than the baseline: {metric} is ")),
                figure("gain.best", fixed(value, view.decimals)),
                text(format!("{}, experiment ", unit(view))),
                figure("gain.experiment", view.label(best)),
                text("."),
            ],
            noise(view),
        ];
    };
    let mut gain = vec![
        text(format!("{metric} went from ")),
        figure("gain.baseline", fixed(first, view.decimals)),
        text(" to "),
        figure("gain.best", fixed(value, view.decimals)),
        text(unit(view)),
        text(", by "),
        figure("gain.absolute", signed(value - first, view.decimals)),
    ];
    if let Some(percent) = percent_change(value, first) {
        gain.extend([text(" ("), figure("gain.percent", percent), text(")")]);
    }
    gain.extend([text(". The best is experiment "), figure("gain.experiment", view.label(best))]);
    let hypothesis = one_line(&best.record.hypothesis);
    if hypothesis.is_empty() {
        gain.push(text("."));
    } else {
        gain.extend([text(": "), quoted(&hypothesis, HYPOTHESIS), text(".")]);
    }
    let mut claim = vec![text("Its claim is "), figure("gain.claim", claim(best))];
    claim.push(text(match best.record.claim {
        Some(Claim::Certified) => ": repeats with paired seeds agree.",
        _ => ": nobody has repeated it against the baseline.",
    }));
    if let Some(confidence) = best.record.confidence {
        claim.extend([
            text(" When it was judged, the probability that it is better than the best before it was "),
            figure("gain.confidence", format!("{:.0}%", confidence * 100.0)),
            text("."),
        ]);
    }
    claim.push(text(" "));
    claim.extend(noise(view));
    let mut lines = vec![gain, claim];
    lines.extend(epochs(view));
    lines
}

fn claim(best: &Experiment) -> String {
    best.record.claim.unwrap_or_default().to_string()
}

/// What repeats say of the noise, and no more.
fn noise(view: &View<'_>) -> Line {
    let values = lab::noise::repeats(view.own);
    if values.is_empty() {
        return Vec::new();
    }
    let repeated: Vec<&Vec<Run>> = values.values().filter(|runs| runs.len() > 1).collect();
    let apart = |runs: &Vec<Run>| {
        let values = || runs.iter().map(|run| run.value);
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let Some(widest) = repeated.iter().map(|runs| apart(runs)).reduce(f64::max) else {
        return vec![text("One run each; the noise was not measured.")];
    };
    let runs: usize = repeated.iter().map(|runs| runs.len()).sum();
    vec![
        text("Of the noise this is known: the same code, run again, gave values up to "),
        figure("noise.apart", fixed(widest, view.decimals)),
        text(" apart ("),
        figure("noise.repeated", count(repeated.len(), "candidate", "candidates")),
        text(", "),
        figure("noise.runs", count(runs, "run", "runs")),
        text("); all others were run once."),
    ]
}

/// That only a part of the ledger is compared, where there are several epochs.
fn epochs(view: &View<'_>) -> Option<Line> {
    let mut seen = Vec::new();
    for experiment in view.own {
        if !seen.contains(&&experiment.record.epoch) {
            seen.push(&experiment.record.epoch);
        }
    }
    (seen.len() > 1).then(|| {
        vec![
            text("Metric, commands, locked files, inputs, budget or hardware changed on the way: the ledger has "),
            figure("epochs", count(seen.len(), "epoch", "epochs")),
            text(", and values are compared within one only. These are of the last."),
        ]
    })
}

/// What became of what was tried, in words: `22 discarded, 4 crashed`.
pub(super) fn outcomes(view: &View<'_>) -> String {
    not_kept(|status| view.with_status(status)).join(", ")
}
