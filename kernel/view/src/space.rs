//! The search space: what constants are, and what they may become.

use maud::html;

use crate::{
    Bundle,
    bundle::HTML,
    grid::{Align, Grid},
    style,
    text::clean,
};

/// One constant.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands: file and line.
    pub place: String,
    /// Its value, as it is written.
    pub now: String,
    /// What it may become, in words.
    pub becomes: String,
    /// What says so, in words.
    pub origin: &'static str,
    /// Whether it is never changed.
    pub fixed: bool,
}

/// The columns, by their heads.
const HEADS: [&str; 5] = ["constant", "now", "may become", "says", "where"];
/// Columns of a terminal line.
const WIDTH: usize = 120;

/// Every constant, and what to write to change what it may become.
pub fn space(parameters: &[Parameter]) -> Bundle {
    let mut grid = Grid::new(HEADS.map(|head| (head, Align::Left)).to_vec());
    let cells = |one: &Parameter| [&one.name, &one.now, &one.becomes, one.origin, &one.place].map(clean);
    for one in parameters {
        grid.row(cells(one).to_vec());
    }
    let free = parameters.iter().filter(|one| !one.fixed).count();
    let summary = format!("{free} of {} constants are searched", parameters.len());
    let hint = "A comment on its line, or `space:` in program.md, says what a constant may become: \
                `1e-4..1e-1 log`, `one of: 4, 6, 8`, `fixed`.";
    let text = format!("{summary}\n\n{}\n\n{hint}", grid.lines(WIDTH).join("\n"));
    let html = html! {
        div { (summary) }
        table style=(style::TABLE) {
            thead { tr { @for head in HEADS { th style=(style::CELL) { (head) } } } }
            tbody {
                @for one in parameters {
                    tr style=(if one.fixed { "opacity:0.6" } else { "" }) {
                        @for cell in cells(one) { td style=(style::CELL) { (cell) } }
                    }
                }
            }
        }
        div style=(style::MUTED) { (hint) }
    };
    Bundle::new(text).with(HTML, html.into_string())
}
