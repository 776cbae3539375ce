//! One experiment on one page: what was expected, what was changed, what came of it.

use jiff::tz::TimeZone;
use lab::{Claim, Experiment};
use maud::{Markup, html};

use crate::{
    Bundle, Metric,
    bundle::HTML,
    chart::Chart,
    diff,
    experiments::{memory, memory_mb},
    log,
    number::{count, decimals, duration, fixed, percent_change, short, signed},
    style,
    text::{clip, left, one_line, outside, wrap},
};

/// Lines of the log's tail that a page shows.
const LOG_LINES: usize = 20;

/// What a page is made of; what is not at hand is left out.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// What it is called: `17`, or `ada/17` for another clone's.
    pub label: String,
    /// The metric that decides.
    pub metric: &'a Metric,
    /// The value of its epoch's baseline.
    pub baseline: Option<f64>,
    /// What it changed: a unified diff to its parent.
    pub diff: Option<&'a str>,
    /// Its curves, beside those of its parent or the best.
    pub curve: Option<Chart>,
    /// Its log, as it was written.
    pub log: Option<&'a [u8]>,
    /// The time zone of the times shown.
    pub zone: TimeZone,
}

/// One experiment on one page.
pub fn experiment(page: &Page) -> Bundle {
    let facts = facts(page);
    Bundle::new(text(page, &facts)).with(HTML, markup(page, &facts).into_string())
}

/// Names and values, in the order in which they are read.
fn facts(page: &Page) -> Vec<(&'static str, String)> {
    let record = &page.experiment.record;
    let all =
        [record.value, page.baseline, record.value.zip(record.delta).map(|(value, delta)| value - delta)];
    let decimals = decimals(all.into_iter().flatten());
    let mut facts = vec![("status", status(page.experiment))];
    if let Some(value) = record.value {
        let unit = page.metric.unit.as_deref().map(|unit| format!(" {}", one_line(unit))).unwrap_or_default();
        let mut words = vec![format!("{} {}{unit}", one_line(&page.metric.name), fixed(value, decimals))];
        words.extend(
            record.delta.map(|delta| format!("{} to the best it was compared with", signed(delta, decimals))),
        );
        if let Some(first) = page.baseline.filter(|_| !record.baseline) {
            let change =
                percent_change(value, first).map(|change| format!(" ({change})")).unwrap_or_default();
            words.push(format!("{}{change} to the baseline", signed(value - first, decimals)));
        }
        facts.push(("value", words.join(", ")));
    }
    if let Some(confidence) = record.confidence {
        facts.push(("confidence", format!("{:.0}% that the difference is real", confidence * 100.0)));
    }
    facts.push(("reason", one_line(&record.reason)));
    let commit = |id: &lab::CommitId| one_line(id.short());
    let parent = record.parent.as_ref().map(|parent| format!("{} → ", commit(parent))).unwrap_or_default();
    facts.push(("candidate", format!("{parent}{}", commit(&record.candidate))));
    facts.push((
        "by",
        format!("{}, under the name of {}", one_line(&record.proposer), one_line(&record.author)),
    ));
    let started = record.started.to_zoned(page.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    facts.push(("started", format!("{started}, took {}", duration(record.seconds))));
    facts.push(("runs", runs(page.experiment)));
    if record.cost != lab::Cost::default() {
        let tokens = record.cost.input_tokens + record.cost.output_tokens;
        let usd = (record.cost.usd > 0.0).then(|| format!("${}", fixed(record.cost.usd, 4)));
        let tokens = (tokens > 0).then(|| count(tokens as usize, "token", "tokens"));
        facts.push(("cost", [usd, tokens].into_iter().flatten().collect::<Vec<_>>().join(", ")));
    }
    if !record.summary.is_empty() {
        let summary: Vec<String> = record
            .summary
            .iter()
            .map(|(name, value)| format!("{} {}", one_line(name), short(*value)))
            .collect();
        facts.push(("summary", summary.join(", ")));
    }
    let memory = memory_mb(record).map(memory).filter(|_| !record.summary.is_empty());
    facts.extend(memory.map(|memory| ("memory", format!("{memory} at most"))));
    let machine = &record.environment;
    let named = |files: &std::collections::BTreeMap<String, String>| {
        let short = |hash: &str| one_line(hash.get(..10).unwrap_or(hash));
        let files: Vec<String> =
            files.iter().map(|(path, hash)| format!("{} {}", one_line(path), short(hash))).collect();
        files.join(", ")
    };
    let (locks, inputs) = (named(&machine.locks), named(&machine.inputs));
    let machine = [Some(&machine.host), Some(&machine.cpu), machine.gpu.as_ref(), machine.toolchain.as_ref()];
    let machine: Vec<String> =
        machine.into_iter().flatten().map(|part| one_line(part)).filter(|p| !p.is_empty()).collect();
    if !machine.is_empty() {
        facts.push(("machine", machine.join(", ")));
    }
    facts.extend([("locks", locks), ("inputs", inputs)]);
    facts.extend(page.experiment.notes.iter().map(|note| ("note", one_line(note))));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

/// `keep, unproven`; with what the judge had said where a person decided otherwise.
fn status(experiment: &Experiment) -> String {
    let record = &experiment.record;
    let claim = record.claim.map(|claim| match claim {
        Claim::Unproven => ", unproven: one run said so",
        Claim::Certified => ", certified by repeats",
    });
    let judged = experiment.judged.map(|judged| format!(" (the judge said {judged})")).unwrap_or_default();
    let baseline = if record.baseline { ", baseline" } else { "" };
    format!("{}{baseline}{}{judged}", record.status, claim.filter(|_| !record.baseline).unwrap_or_default())
}

/// `seed 42: 0.9932 in 5m 01s`, one after the other; how it ended where not well.
fn runs(experiment: &Experiment) -> String {
    let run = |run: &lab::RunRecord| {
        let value = run.value.map_or_else(|| "no value".to_owned(), short);
        let exit =
            if run.exit == "0" { String::new() } else { format!(" ({})", clip(&one_line(&run.exit), 60)) };
        format!("seed {}: {value} in {}{exit}", run.seed, duration(run.seconds))
    };
    experiment.record.runs.iter().map(run).collect::<Vec<_>>().join("; ")
}

fn title(page: &Page) -> String {
    format!(
        "Experiment {}: {}",
        one_line(&page.label),
        clip(&crate::experiments::hypothesis(page.experiment), 300)
    )
}

fn text(page: &Page, facts: &[(&'static str, String)]) -> String {
    let mut lines = wrap(&title(page), 100);
    lines.push(String::new());
    for (name, value) in facts {
        for (i, line) in wrap(value, 86).into_iter().enumerate() {
            lines.push(format!("{}  {line}", left(if i == 0 { name } else { "" }, 10)));
        }
    }
    if let Some(chart) = &page.curve {
        lines.extend([String::new(), chart.text()]);
    }
    if let Some(unified) = page.diff {
        lines.extend([String::new(), format!("diff ({})", diff::size(unified)), diff::plain(unified)]);
    }
    if let Some(bytes) = page.log {
        lines.extend([String::new(), "log".to_owned(), log::log(bytes, LOG_LINES).text().to_owned()]);
    }
    lines.join("\n")
}

fn markup(page: &Page, facts: &[(&'static str, String)]) -> Markup {
    const HEAD: &str = "font-weight:600;margin:12px 0 4px 0";
    html! {
        div style="max-width:900px" {
            div style="font-size:16px;font-weight:600;margin:2px 0 6px 0" { (outside(&title(page))) }
            table style=(style::TABLE) { tbody {
                @for (name, value) in facts {
                    tr {
                        td style=(format!("{};opacity:0.65", style::CELL)) { (name) }
                        td style="padding:3px 8px;text-align:left;vertical-align:top;white-space:normal" {
                            @if *name == "status" { (style::badge(page.experiment.record.status)) (value.strip_prefix(page.experiment.record.status.word()).unwrap_or(value)) }
                            @else { (outside(&clip(value, 2000))) }
                        }
                    }
                }
            } }
            @if let Some(chart) = &page.curve {
                (chart.img(&chart.title))
            }
            @if let Some(unified) = page.diff {
                div style=(HEAD) { "Diff " span style="font-weight:400;opacity:0.65" { (diff::size(unified)) } }
                @if unified.trim().is_empty() { div { "No difference." } } @else { (diff::fragment(unified)) }
            }
            @if let Some(bytes) = page.log {
                details { summary style=(HEAD) { "Log" } (log::fragment(bytes, LOG_LINES * 5)) }
            }
        }
    }
}
