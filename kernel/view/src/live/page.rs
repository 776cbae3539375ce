//! The live view in a notebook.

use lab::{Experiment, status::LoopState};
use maud::{Markup, PreEscaped, html};

use super::{
    Live,
    facts::{Facts, Slot},
};
use crate::{
    experiments::hypothesis,
    number::{duration, fixed, signed},
    style,
    text::{clip, one_line, outside},
};

const BOX: &str = "border:1px solid #80808040;border-radius:6px;padding:10px 14px;margin:2px 0;max-width:860px;line-height:1.45";
const ROW: &str = "margin:6px 0 0 0";
const FIGURE: &str = "display:inline-block;vertical-align:top;width:46%;min-width:330px;margin:8px 12px 0 0";
/// Two of them, or one and a figure, stand beside each other.
const SLOT: &str = "display:inline-block;vertical-align:top;width:46%;min-width:330px;margin:8px 8px 0 0;\
                    padding:6px 10px;border-radius:4px;background-color:#80808014";
const CAPTION: &str = "font-size:12px;opacity:0.75";

pub(super) fn markup(live: &Live, facts: &Facts) -> Markup {
    let (sign, colour, state) = &facts.state;
    html! {
        div style=(BOX) {
            div {
                span style=(format!("color:{colour};font-size:15px")) { (sign) } " "
                b style="font-size:15px" { (state) }
                span style=(style::MUTED) { " · " (outside(&facts.about)) }
            }
            @for alert in &facts.alerts {
                div style=(format!("{};{ROW}", style::callout(style::RED))) { b { "Needs you: " } (outside(alert)) }
            }
            @for (name, share, words) in &facts.night { (night(name, *share, words)) }
            div style=(ROW) { @for (i, gain) in facts.gains.iter().enumerate() {
                @if i == 0 && facts.gains.len() > 1 { b { (gain) } } @else { (gain) }
                @if i + 1 < facts.gains.len() { " · " }
            } }
            @for record in &facts.proposers { div style=(CAPTION) { (record) } }
            @for slot in &facts.slots { (slot_box(slot, live)) }
            @if !facts.queued.is_empty() {
                div style=(format!("{CAPTION};{ROW}")) { "next: " @for (i, next) in facts.queued.iter().enumerate() {
                    @if i > 0 { "; " } (outside(next))
                } }
            }
            @if let Some(night) = live.pictures.night() {
                div style=(FIGURE) { div style=(CAPTION) { (live.metric.axis()) " by experiment" @if live.pictures.is_thinned() { ", some of the points" } } (PreEscaped(night)) }
            }
            @if let Some(reason) = &facts.ended { div style=(format!("{};{ROW}", style::callout(style::GREY))) { "Ended: " (outside(reason)) } }
            @if let Some(problem) = &facts.problem {
                div style=(format!("{};{ROW}", style::callout(style::RED))) { b { "Problem: " } (outside(problem)) }
            }
            @if let Some(trouble) = &facts.trouble {
                div style=(format!("{};{ROW}", style::callout(style::ORANGE))) { b { "Not up to date: " } (outside(trouble)) }
            }
            @for warning in &facts.warnings { div style=(format!("{};{ROW}", style::callout(style::ORANGE))) { (outside(warning)) } }
            @if !facts.last.is_empty() { (judgements(live, facts)) }
            div style=(format!("{CAPTION};{ROW}")) {
                "As of " (facts.time)
                @if live.status.state != LoopState::Idle { "; " code { "%loop watch" } " shows the present" }
            }
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

fn slot_box(slot: &Slot, live: &Live) -> Markup {
    let picture = slot.number.filter(|_| slot.curve.is_some()).and_then(|number| live.pictures.curve(number));
    html! {
        div style=(SLOT) {
            div {
                b { (slot.name) } " · " (slot.phase)
                @if !slot.time.is_empty() { span style=(style::MUTED) { " · " (slot.time) } }
            }
            @if let Some(text) = &slot.hypothesis { div style="font-style:italic;margin:2px 0" { (outside(&clip(text, 200))) } }
            @if let Some(doing) = &slot.doing { div style=(CAPTION) { (outside(doing)) } }
            @if let Some(share) = slot.share { div style="margin:4px 0" { (style::bar(share, style::GREEN, "100%")) } }
            @if let Some((_, words)) = &slot.curve {
                div style=(CAPTION) { (words) @if picture.is_some() && words.contains("best run") { " (dashed)" } }
                @if let Some(picture) = picture { div style="max-width:400px" { (PreEscaped(picture)) } }
            }
            @if let Some(gpu) = &slot.gpu { div style=(CAPTION) { (gpu) } }
            @if !slot.last.is_empty() {
                div style=(CAPTION) { @for (i, (name, value)) in slot.last.iter().enumerate() {
                    @if i > 0 { " · " } (name) " " b { (value) }
                } }
            }
        }
    }
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
            td style=(style::PROSE) { (outside(&clip(&hypothesis(e), 160))) }
        }
    }
}
