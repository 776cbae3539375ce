//! Columns of text that line up in a terminal.

use crate::text::{clip, columns, left, right};

/// Rows of cells under a heading.
pub(crate) struct Grid {
    heads: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Grid {
    pub(crate) fn new(heads: Vec<(&'static str, Align)>) -> Self {
        Self { heads, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, the heading first; the last column is cut so that none is longer than `width`.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let last = self.heads.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|i| {
                self.rows
                    .iter()
                    .map(|row| columns(&row[i]))
                    .chain([columns(self.heads[i].0)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let rest = width.saturating_sub(widths.iter().map(|w| w + 2).sum()).max(10);
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut out = String::new();
            for (i, cell) in cells.enumerate() {
                out.push_str(&match (i == last, self.heads[i].1) {
                    (true, _) => clip(cell, rest),
                    (false, Align::Left) => left(cell, widths[i]) + "  ",
                    (false, Align::Right) => right(cell, widths[i]) + "  ",
                });
            }
            out.truncate(out.trim_end().len());
            out
        };
        let mut lines = vec![line(&mut self.heads.iter().map(|head| head.0))];
        lines.extend(self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
        lines
    }
}
