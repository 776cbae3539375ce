//! A report as one HTML file: no script, nothing from elsewhere, light, dark and on paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Report,
    document::{Block, Change, Line, Side, Span},
    markdown, stamp,
};
use crate::{
    answer, diff,
    text::{clean, one_line},
};

/// Nothing is run and nothing is fetched, whatever the words of others may say.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2024; --pale: #667079; --edge: #d9dee3; --ground: #ffffff; --raised: #f5f7f9; --green: #00694d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --pale: #98a2ab; --edge: #343b42; --ground: #16191c; --raised: #1f2428; --green: #4fd1a5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 920px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 6px; font-variant-numeric: tabular-nums; }
h2 { font-size: 20px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid var(--edge); }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 10px 0; max-width: 76ch; }
.note { color: var(--pale); font-size: 14px; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; margin: 22px 0; }
.card { flex: 1 1 120px; border: 1px solid var(--edge); border-radius: 8px; background: var(--raised); padding: 10px 14px; }
.card > span { display: block; color: var(--pale); font-size: 13px; }
.card b { font-size: 21px; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums; }
.card.best b { color: var(--green); }
figure { margin: 20px 0; }
figure img { display: block; width: 100%; max-width: 760px; height: auto; margin: 0 auto; border-radius: 8px; border: 1px solid var(--edge); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--pale); border-bottom: 1px solid var(--edge); }
th, td { padding: 5px 16px 5px 0; vertical-align: top; }
td { border-bottom: 1px solid var(--edge); overflow-wrap: break-word; }
.right { text-align: right; white-space: nowrap; }
code, pre, .diff { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
code { background: var(--raised); border-radius: 4px; padding: 1px 4px; overflow-wrap: anywhere; }
pre, .diff { border: 1px solid var(--edge); border-radius: 8px; padding: 10px 12px; margin: 10px 0; overflow-x: auto; background: var(--raised); line-height: 1.45; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
li { margin: 4px 0; max-width: 84ch; overflow-wrap: anywhere; }
.summary { border-left: 3px solid #e69f00; padding: 2px 16px; margin: 18px 0; background: var(--raised); }
@media print {
  :root { color-scheme: light; --ink: #000000; --pale: #444444; --edge: #cccccc; --ground: #ffffff; --raised: #ffffff; --green: #00694d; }
  body { font-size: 11pt; } main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } figure, .cards, tr, .diff { break-inside: avoid; } .scroll, pre, .diff { overflow: visible; }
}
";

/// The document.
pub(super) fn write(report: &Report) -> String {
    let title = report.title();
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(format!("Overnight {}", report.source.version));
                title { (title) " · " (one_line(&report.source.lab)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { @for block in &report.blocks { (self::block(block, report)) } } }
        }
    };
    let text = body.into_string();
    let stamp = stamp::of(report, &[], true, &stamp::hash(text.as_bytes()));
    format!("{text}{}{}{}\n", stamp::HTML.0, stamp::json(&stamp), stamp::HTML.1)
}

fn block(block: &Block, report: &Report) -> Markup {
    match block {
        Block::Title(line) => html! { h1 { (spans(line)) } },
        Block::Section(title) => html! { h2 { (title) } },
        Block::Words(line) => html! { p { (spans(line)) } },
        Block::Note(line) if line.is_empty() => html! {},
        Block::Note(line) => html! { p.note { (spans(line)) } },
        Block::Cards(cards) => html! {
            div.cards { @for (name, line) in cards {
                div class=(if *name == "best" || *name == "change" { "card best" } else { "card" }) {
                    span { (name) } b { (spans(line)) }
                }
            } }
        },
        Block::List(lines) => html! { ul { @for line in lines { li { (spans(line)) } } } },
        Block::Table { heads, rows } => table(heads, rows),
        Block::Verbatim(text) => html! { pre { (clean(text)) } },
        Block::Commands(commands) => html! { pre { (commands.join("\n")) } },
        Block::Progress => picture(report),
        Block::Change(change) => self::change(change),
        Block::Summary { by, text } => html! {
            div.summary { p.note { "Written by " (one_line(by)) ", not checked:" } (answer::prose(text)) }
        },
    }
}

fn picture(report: &Report) -> Markup {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (width, height) = report.chart.size;
    let data = format!("{}{}", stamp::PICTURE, STANDARD.encode(&report.picture));
    html! { figure { img alt=(markdown::plain(&vec![Span::Text(one_line(&report.chart.text()))])) width=(width) height=(height) src=(data); } }
}

fn change(change: &Change) -> Markup {
    html! {
        h3 { (spans(&change.title)) }
        @if !change.unified.is_empty() { div.diff { (diff::fragment(&change.unified)) } }
        @if let Some(note) = &change.note { p.note { (spans(note)) } }
    }
}

fn table(heads: &[(String, Side)], rows: &[Vec<Line>]) -> Markup {
    let class = |side: Side| (side == Side::Right).then_some("right");
    html! {
        div.scroll { table {
            thead { tr { @for (name, side) in heads { th class=[class(*side)] { (name) } } } }
            tbody { @for row in rows { tr {
                @for (line, (_, side)) in row.iter().zip(heads) { td class=[class(*side)] { (spans(line)) } }
            } } }
        } }
    }
}

fn spans(line: &Line) -> Markup {
    html! {
        @for span in line {
            @match span {
                Span::Text(words) => (clean(words)),
                Span::Code(words) => code { (one_line(words)) },
                Span::Figure(figure) => (PreEscaped(stamp::figure(figure, &html! { (clean(&figure.text)) }.into_string()))),
            }
        }
    }
}
