//! The live view in a terminal.

use lab::Experiment;

use super::facts::{Facts, Slot};
use crate::{
    experiments::hypothesis,
    grid::{Align, Grid},
    number::{duration, fixed, signed},
    style::{self, text_bar},
    text::{clip, columns, left, wrap},
};

/// The view in lines of at most `width` columns.
pub(super) fn text(facts: &Facts, width: usize) -> String {
    let first = format!("{} {} · {} · {}", facts.state.0, facts.state.2, facts.about, facts.time);
    let mut lines = wrap(&first, width);
    lines.extend(facts.alerts.iter().flat_map(|alert| wrap(&format!("needs you: {alert}"), width)));
    let (long, short) = if width < 70 { (10, 8) } else { (30, 20) };
    for (name, share, words) in &facts.night {
        let bar = share.map(|share| text_bar(share, long) + "  ").unwrap_or_default();
        lines.push(format!("{}  {bar}{words}", left(name, 11)));
    }
    let gains = facts.gains.join(" · ");
    match facts.gains.split_first() {
        Some((first, rest)) if columns(&gains) > width => lines.extend([first.clone(), rest.join(" · ")]),
        _ => lines.push(gains),
    }
    lines.extend(facts.proposers.iter().map(|record| clip(record, width)));
    for slot in &facts.slots {
        lines.extend(slot_lines(slot, short));
    }
    lines.extend(facts.queued.iter().map(|next| format!("next: {next}")));
    let told = |name: &str, text: &Option<String>| {
        text.iter().flat_map(|text| wrap(&format!("{name}: {text}"), width)).collect::<Vec<_>>()
    };
    lines.extend(told("ended", &facts.ended));
    if !facts.last.is_empty() {
        lines.push(String::new());
        lines.extend(judgements(facts, width));
    }
    let mut below = told("problem", &facts.problem);
    below.extend(facts.warnings.iter().flat_map(|warning| wrap(&format!("warning: {warning}"), width)));
    below.extend(told("not up to date", &facts.trouble));
    if !below.is_empty() {
        lines.push(String::new());
        lines.extend(below);
    }
    let lines: Vec<String> = lines.iter().map(|line| clip(line, width)).collect();
    lines.join("\n")
}

fn slot_lines(slot: &Slot, bar: usize) -> Vec<String> {
    let bar = slot.share.map(|share| text_bar(share, bar) + "  ").unwrap_or_default();
    let last: Vec<String> = slot.last.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut first = format!("{} · {}  {bar}{}", slot.name, slot.phase, slot.time);
    if !last.is_empty() {
        first = format!("{first}  {}", last.join(", "));
    }
    let mut lines = vec![first.trim_end().to_owned()];
    lines.extend(slot.gpu.iter().map(|gpu| format!("    {gpu}")));
    lines.extend(slot.hypothesis.iter().map(|text| format!("    {text}")));
    lines.extend(slot.doing.iter().map(|text| format!("    {text}")));
    lines.extend(slot.curve.iter().map(|(blocks, words)| format!("    {blocks}  {words}")));
    lines
}

fn judgements(facts: &Facts, width: usize) -> Vec<String> {
    let sure = facts.last.iter().any(|e| e.record.confidence.is_some());
    let mut heads = vec![
        ("", Align::Left),
        ("#", Align::Right),
        ("status", Align::Left),
        ("value", Align::Right),
        ("Δ best", Align::Right),
    ];
    heads.extend(sure.then_some(("sure", Align::Right)));
    heads.extend([("time", Align::Right), ("hypothesis", Align::Left)]);
    let mut grid = Grid::new(heads);
    for e in &facts.last {
        let Experiment { record, .. } = e;
        let mut cells = vec![
            if facts.standing.is_best(e) { "★" } else { "" }.to_owned(),
            record.number.to_string(),
            format!("{} {}", style::status_letter(record.status), record.status.word()),
            record.value.map_or_else(|| "–".to_owned(), |value| fixed(value, facts.decimals)),
            record.delta.map_or_else(String::new, |delta| signed(delta, facts.decimals)),
        ];
        cells.extend(
            sure.then(|| record.confidence.map_or(String::new(), |sure| format!("{:.0}%", sure * 100.0))),
        );
        cells.extend([duration(record.seconds), hypothesis(e)]);
        grid.row(cells);
    }
    grid.lines(width)
}
