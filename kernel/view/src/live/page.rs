//! The live view in a notebook.

use lab::Experiment;
use maud::{Markup, html};

use super::{
    Live,
    facts::{Facts, Slot},
};
use crate::{
    chart::{self, Layer},
    experiments::hypothesis,
    number::{duration, fixed, signed},
    style,
    text::{clip, one_line},
};

const BOX: &str = "border:1px solid #80808040;border-radius:6px;padding:10px 14px;margin:2px 0;max-width:860px;line-height:1.45";
const ROW: &str = "margin:6px 0 0 0";
const FIGURE: &str =
    "display:inline-block;vertical-align:bottom;width:400px;max-width:100%;margin:8px 12px 0 0";
const CAPTION: &str = "font-size:12px;opacity:0.75";

pub(super) fn markup(live: &Live, facts: &Facts) -> Markup {
    let (sign, colour, state) = &facts.state;
    html! {
        div style=(BOX) {
            div {
                span style=(format!("color:{colour};font-size:15px")) { (sign) } " "
                b style="font-size:15px" { (state) }
                span style=(style::MUTED) { " · " (facts.about) " · " (facts.time) }
            }
            @for (name, share, words) in &facts.night { (night(name, *share, words)) }
            div style=(ROW) { @for (i, gain) in facts.gains.iter().enumerate() {
                @if i == 0 && facts.gains.len() > 1 { b { (gain) } } @else { (gain) }
                @if i + 1 < facts.gains.len() { " · " }
            } }
            @for record in &facts.proposers { div style=(CAPTION) { (record) } }
            @for slot in &facts.slots { (slot_box(slot)) }
            (figures(live, facts))
            @if let Some(reason) = &facts.ended { div style=(format!("{};{ROW}", style::callout(style::GREY))) { "Ended: " (reason) } }
            @if let Some(problem) = &facts.problem {
                div style=(format!("{};{ROW}", style::callout(style::RED))) { b { "Problem: " } (problem) }
            }
            @for warning in &facts.warnings { div style=(format!("{};{ROW}", style::callout(style::ORANGE))) { (warning) } }
            @if !facts.last.is_empty() { (judgements(live, facts)) }
        }
    }
}

fn night(name: &str, share: Option<f64>, words: &str) -> Markup {
    html! {
        div style=(ROW) {
            @if let Some(share) = share { (style::bar(share, style::LIVE, "100%")) }
            div style=(CAPTION) { (name) ": " (words) }
        }
    }
}

fn slot_box(slot: &Slot) -> Markup {
    html! {
        div style="margin:8px 0 0 0;padding:6px 10px;border-radius:4px;background-color:#80808014" {
            div {
                b { (slot.name) } " · " (slot.phase)
                @if !slot.time.is_empty() { span style=(style::MUTED) { " · " (slot.time) } }
            }
            @if let Some(text) = &slot.hypothesis { div style="font-style:italic;margin:2px 0" { (clip(text, 200)) } }
            @if let Some(share) = slot.share { div style="margin:4px 0" { (style::bar(share, style::GREEN, "100%")) } }
            @if let Some(gpu) = &slot.gpu { div style=(CAPTION) { (gpu) } }
            @if !slot.last.is_empty() {
                div style=(CAPTION) { @for (i, (name, value)) in slot.last.iter().enumerate() {
                    @if i > 0 { " · " } (name) " " b { (value) }
                } }
            }
        }
    }
}

/// The curve of the run beside the best run's, and the running best of the night.
fn figures(live: &Live, facts: &Facts) -> Markup {
    html! {
        @if let (Some(curve), Some(words)) = (&live.curve, &facts.curve) {
            div style=(FIGURE) {
                div style=(CAPTION) { (words) @if !curve.best.is_empty() { " (dashed: the best run)" } }
                (chart::small(&curve.current, &curve.best, (400, 140)).img(words))
            }
        }
        @if live.experiments.len() > 1 {
            div style=(FIGURE) {
                div style=(CAPTION) { (live.metric.axis()) " by experiment" }
                (night_chart(live).img("the running best"))
            }
        }
    }
}

fn night_chart(live: &Live) -> chart::Chart {
    let mut chart = chart::progress(live.experiments, live.metric);
    chart.layers.retain(|layer| !matches!(layer, Layer::Labels { .. } | Layer::Rules(_)));
    for layer in &mut chart.layers {
        if let Layer::Points(points) = layer {
            points.diameter *= 0.75;
        }
    }
    chart.compact = true;
    chart.size = (400, 140);
    chart
}

fn judgements(live: &Live, facts: &Facts) -> Markup {
    html! {
        table style=(format!("{};margin:10px 0 0 0", style::TABLE)) {
            thead { tr {
                th style=(style::NUMBER) { "#" }
                th style=(style::CELL) { "last judged" }
                th style=(style::NUMBER) { (one_line(&live.metric.name)) }
                th style=(style::NUMBER) { "Δ best" }
                th style=(style::NUMBER) { "time" }
                th style=(style::CELL) { "hypothesis" }
            } }
            tbody { @for e in &facts.last { (judgement(e, facts)) } }
        }
    }
}

fn judgement(e: &Experiment, facts: &Facts) -> Markup {
    let record = &e.record;
    html! {
        tr {
            td style=(style::NUMBER) { @if facts.standing.is_best(e) { span title="best" { "★ " } } (e.record.number) }
            td style=(style::CELL) title=(clip(&one_line(&record.reason), 300)) { (style::badge(record.status)) }
            td style=(style::NUMBER) { @if let Some(value) = record.value { (fixed(value, facts.decimals)) } @else { "–" } }
            td style=(style::NUMBER) {
                @if let Some(delta) = record.delta { (signed(delta, facts.decimals)) }
                @if let Some(sure) = record.confidence { span style=(style::MUTED) { (format!(" {:.0}%", sure * 100.0)) } }
            }
            td style=(style::NUMBER) { (duration(record.seconds)) }
            td style=(style::PROSE) { (clip(&hypothesis(e), 160)) }
        }
    }
}
