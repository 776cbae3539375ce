//! The live view in a terminal.

use lab::Experiment;

use super::{
    Live,
    facts::{Facts, Slot},
};
use crate::{
    chart::spark,
    experiments::hypothesis,
    grid::{Align, Grid},
    number::{duration, fixed, signed},
    style::text_bar,
    text::{clip, columns, left},
};

const WIDTH: usize = 100;

pub(super) fn text(live: &Live, facts: &Facts) -> String {
    let mut lines =
        vec![clip(&format!("{} {} · {} · {}", facts.state.0, facts.state.2, facts.about, facts.time), WIDTH)];
    for (name, share, words) in &facts.night {
        let bar = share.map(|share| text_bar(share, 30) + "  ").unwrap_or_default();
        lines.push(format!("{}  {bar}{words}", left(name, 11)));
    }
    let gains = facts.gains.join(" · ");
    match facts.gains.split_first() {
        Some((first, rest)) if columns(&gains) > WIDTH => lines.extend([first.clone(), rest.join(" · ")]),
        _ => lines.push(gains),
    }
    lines.extend(facts.proposers.iter().map(|record| clip(record, WIDTH)));
    for slot in &facts.slots {
        lines.extend(slot_lines(slot));
    }
    if let (Some(curve), Some(words)) = (&live.curve, &facts.curve) {
        let values = |points: &[(f64, f64)]| spark(&points.iter().map(|p| p.1).collect::<Vec<_>>(), 30);
        lines.push(format!("{}  {words}", values(&curve.current)));
    }
    lines.extend(facts.ended.iter().map(|reason| format!("ended: {reason}")));
    if !facts.last.is_empty() {
        lines.push(String::new());
        lines.extend(judgements(facts));
    }
    lines.extend(facts.problem.iter().map(|problem| format!("\nproblem: {problem}")));
    lines.extend(facts.warnings.iter().map(|warning| format!("\nwarning: {warning}")));
    lines.join("\n")
}

fn slot_lines(slot: &Slot) -> Vec<String> {
    let bar = slot.share.map(|share| text_bar(share, 20) + "  ").unwrap_or_default();
    let last: Vec<String> = slot.last.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut first = format!("{} · {}  {bar}{}", slot.name, slot.phase, slot.time);
    if !last.is_empty() {
        first = format!("{first}  {}", last.join(", "));
    }
    let mut lines = vec![clip(first.trim_end(), WIDTH)];
    lines.extend(slot.gpu.iter().map(|gpu| format!("    {gpu}")));
    lines.extend(slot.hypothesis.iter().map(|text| format!("    {}", clip(text, WIDTH - 4))));
    lines
}

fn judgements(facts: &Facts) -> Vec<String> {
    let heads = vec![
        ("", Align::Left),
        ("#", Align::Right),
        ("status", Align::Left),
        ("value", Align::Right),
        ("Δ best", Align::Right),
        ("time", Align::Right),
        ("hypothesis", Align::Left),
    ];
    let mut grid = Grid::new(heads);
    for e in &facts.last {
        let Experiment { record, .. } = e;
        grid.row(vec![
            if facts.standing.is_best(e) { "★" } else { "" }.to_owned(),
            record.number.to_string(),
            record.status.word().to_owned(),
            record.value.map_or_else(|| "–".to_owned(), |value| fixed(value, facts.decimals)),
            record.delta.map_or_else(String::new, |delta| signed(delta, facts.decimals)),
            duration(record.seconds),
            hypothesis(e),
        ]);
    }
    grid.lines(WIDTH)
}
