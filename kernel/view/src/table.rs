//! A frame as a table.

use maud::html;
use polars::prelude::{AnyValue, DataFrame, DataType};

use crate::{
    Bundle,
    bundle::HTML,
    number::{count, fixed, short},
    style,
    text::{clip, one_line},
};

/// No more columns than this are drawn.
const COLUMNS: usize = 60;
/// No cell is longer than this, in columns of a terminal.
const CELL: usize = 300;

/// A frame: its shape, the types of its columns, and at most `limit` rows, the first and the last ones.
pub fn table(frame: &DataFrame, limit: usize) -> Bundle {
    Table { frame, height: frame.height(), limit, page: None }.bundle()
}

/// One page of a frame of `rows` rows each, counted from 1, and which rows these are of how many; a frame that fits
/// in one page as [`table`] shows it.
pub fn page(frame: &DataFrame, rows: usize, number: usize) -> Bundle {
    let height = frame.height();
    if height <= rows {
        return table(frame, rows);
    }
    let first = rows.saturating_mul(number.saturating_sub(1)).min(height);
    let part = frame.slice(first as i64, rows);
    let last = first + part.height();
    let shown = if part.height() == 0 {
        format!("no page {number}: there are {}", height.div_ceil(rows))
    } else {
        format!("rows {} to {last}", first + 1)
    };
    let next = if last < height && part.height() > 0 {
        format!(", --page {} shows more", number + 1)
    } else {
        String::new()
    };
    Table { frame: &part, height, limit: height, page: Some(shown + &next) }.bundle()
}

/// A frame of `height` rows of which only the first and the last ones are at hand, as many of each.
pub fn excerpt(ends: &DataFrame, height: usize) -> Bundle {
    Table { frame: ends, height, limit: ends.height().min(height), page: None }.bundle()
}

/// What is drawn.
struct Table<'a> {
    /// All rows, or the first and the last ones.
    frame: &'a DataFrame,
    /// How many rows there are.
    height: usize,
    /// How many are drawn.
    limit: usize,
    /// Which of them these are, where they are a page.
    page: Option<String>,
}

impl Table<'_> {
    fn bundle(&self) -> Bundle {
        Bundle::new(self.text()).with(HTML, self.markup().into_string())
    }

    /// The rows to show, by where they are in the frame: all, or the first and the last ones with a gap (`None`)
    /// between them.
    fn rows(&self) -> Vec<Option<usize>> {
        let there = self.frame.height();
        if self.height <= self.limit {
            return (0..there).map(Some).collect();
        }
        let first = self.limit.div_ceil(2);
        (0..first).map(Some).chain([None]).chain((there - self.limit / 2..there).map(Some)).collect()
    }

    fn shape(&self) -> String {
        format!("{} × {}", count(self.height, "row", "rows"), count(self.frame.width(), "column", "columns"))
    }

    fn cuts(&self) -> Option<String> {
        let width = self.frame.width();
        let mut cut: Vec<String> = self.page.iter().cloned().collect();
        if self.height > self.limit {
            cut.push(format!("{} not shown", count(self.height - self.limit, "row", "rows")));
        }
        if width > COLUMNS {
            cut.push(format!("{} not shown", count(width - COLUMNS, "column", "columns")));
        }
        (!cut.is_empty()).then(|| cut.join(", "))
    }

    fn text(&self) -> String {
        use crate::grid::{Align, Grid};
        let frame = self.frame;
        if frame.width() == 0 {
            return self.shape();
        }
        // A terminal takes as many columns as fit; the HTML form has all of them.
        let shown = self.rows();
        let columns: Vec<_> = frame.columns().iter().take(COLUMNS).collect();
        let cell = |column: &polars::prelude::Column, row: Option<usize>| match row {
            Some(row) => column.get(row).map_or_else(|_| String::new(), |value| clip(&plain(&value), 60)),
            None => "…".to_owned(),
        };
        let mut width = 0;
        let mut fit = Vec::new();
        for column in columns {
            let name = clip(&one_line(column.name()), 40);
            let cells: Vec<String> = [name, kind(column.dtype())]
                .into_iter()
                .chain(shown.iter().map(|row| cell(column, *row)))
                .collect();
            let wide = cells.iter().map(|cell| crate::text::columns(cell)).max().unwrap_or(0) + 2;
            if width + wide > 118 && !fit.is_empty() {
                break;
            }
            width += wide;
            fit.push((column.dtype().is_primitive_numeric(), cells));
        }
        let mut heads: Vec<_> =
            fit.iter().map(|(numeric, _)| ("", if *numeric { Align::Right } else { Align::Left })).collect();
        heads.push(("", Align::Left));
        let mut grid = Grid::new(heads);
        for row in 0..shown.len() + 2 {
            grid.row(fit.iter().map(|(_, cells)| cells[row].clone()).chain([String::new()]).collect());
        }
        let mut lines = grid.lines(usize::MAX);
        lines.remove(0);
        let hidden = frame.width() - fit.len();
        let mut last = vec![self.shape()];
        last.extend(self.page.clone());
        if self.height > self.limit {
            last.push(format!("{} not shown", count(self.height - self.limit, "row", "rows")));
        }
        if hidden > 0 {
            last.push(format!("{} not shown here", count(hidden, "column", "columns")));
        }
        lines.push(last.join(", "));
        lines.join("\n")
    }

    fn markup(&self) -> maud::Markup {
        let columns: Vec<_> = self.frame.columns().iter().take(COLUMNS).collect();
        let align = |numeric: bool| if numeric { style::NUMBER } else { style::CELL };
        html! {
            div {
                @if !columns.is_empty() {
                    table style=(style::TABLE) {
                        thead { tr {
                            @for column in &columns {
                                th style=(align(column.dtype().is_primitive_numeric())) {
                                    (clip(&one_line(column.name()), 60))
                                    div style="font-weight:400;font-size:11px;opacity:0.6" { (kind(column.dtype())) }
                                }
                            }
                        } }
                        tbody {
                            @for row in self.rows() {
                                tr {
                                    @for column in &columns {
                                        td style=(cell_style(column.dtype())) {
                                            @match row.map(|row| column.get(row)) {
                                                None => "…",
                                                Some(Ok(AnyValue::Null)) => span style="opacity:0.45" { "null" },
                                                Some(Ok(value)) => (clip(&plain(&value), CELL)),
                                                Some(Err(_)) => "",
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                div style=(style::MUTED) {
                    (self.shape())
                    @if let Some(cut) = self.cuts() { " · " (cut) }
                }
            }
        }
    }
}

fn cell_style(dtype: &DataType) -> &'static str {
    if dtype.is_primitive_numeric() {
        style::NUMBER
    } else if matches!(dtype, DataType::String) {
        "padding:3px 8px;text-align:left;vertical-align:top;white-space:normal;max-width:420px"
    } else {
        style::CELL
    }
}

fn kind(dtype: &DataType) -> String {
    match dtype {
        DataType::Datetime(..) => "datetime".to_owned(),
        dtype => dtype.to_string(),
    }
}

fn plain(value: &AnyValue) -> String {
    match value {
        AnyValue::Null => "null".to_owned(),
        AnyValue::Float64(value) => short(*value),
        AnyValue::Float32(value) => short(f64::from(*value)),
        AnyValue::Int64(value) if value.unsigned_abs() >= 100_000 => fixed(*value as f64, 0),
        AnyValue::String(text) => one_line(text),
        AnyValue::StringOwned(text) => one_line(text),
        value => one_line(&value.to_string()),
    }
}
