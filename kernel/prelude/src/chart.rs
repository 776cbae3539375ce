//! Charts of frames. The kernel draws them as it draws its own: Vega-Lite, a picture, and text.

use polars::prelude::DataFrame;
use serde_json::{Value, json};

use crate::display::{drawn, failed};
use crate::{Error, Result, frames};

/// A chart that is drawn where it is the end of a cell, or by [`Plot::show`].
#[derive(Clone)]
pub struct Plot {
    frame: DataFrame,
    title: String,
    layers: Vec<Layer>,
    by: Option<String>,
    axes: [Option<String>; 2],
}

#[derive(Clone)]
struct Layer {
    kind: &'static str,
    x: String,
    y: String,
}

/// Begins a chart of a frame: `plot(&m).line("step", "loss").title("experiment 17")`.
pub fn plot(frame: &DataFrame) -> Plot {
    Plot { frame: frame.clone(), title: String::new(), layers: Vec::new(), by: None, axes: [None, None] }
}

impl Plot {
    /// A line through the values of two columns.
    #[must_use]
    pub fn line(self, x: &str, y: &str) -> Self {
        self.layer("line", x, y)
    }

    /// A line in steps: each value holds until the next.
    #[must_use]
    pub fn steps(self, x: &str, y: &str) -> Self {
        self.layer("steps", x, y)
    }

    /// A point for each row.
    #[must_use]
    pub fn points(self, x: &str, y: &str) -> Self {
        self.layer("points", x, y)
    }

    /// A line or kind of points for each value of this column, in its own colour.
    #[must_use]
    pub fn by(mut self, column: &str) -> Self {
        self.by = Some(column.to_owned());
        self
    }

    /// What stands above it.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// What stands at the horizontal axis, instead of the column's name.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.axes[0] = Some(label.into());
        self
    }

    /// What stands at the vertical axis, instead of the column's name.
    #[must_use]
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.axes[1] = Some(label.into());
        self
    }

    /// Draws it now, also in the middle of a cell.
    pub fn show(&self) {
        match self.description() {
            Ok(description) => drawn("chart", &description),
            Err(error) => failed(&error),
        }
    }

    fn layer(mut self, kind: &'static str, x: &str, y: &str) -> Self {
        self.layers.push(Layer { kind, x: x.to_owned(), y: y.to_owned() });
        self
    }

    /// What the kernel draws: the frame, of which it needs these columns, and what to make of them.
    fn description(&self) -> Result<Value> {
        let Some(first) = self.layers.first() else {
            return Err(Error::new("the chart has nothing to draw: `.line(\"step\", \"loss\")` adds a line"));
        };
        let mut names: Vec<&str> =
            self.layers.iter().flat_map(|layer| [layer.x.as_str(), &layer.y]).collect();
        names.extend(self.by.as_deref());
        names.sort_unstable();
        names.dedup();
        // Of a column that is not there the kernel says what there is instead.
        let needed = self.frame.select(names).unwrap_or_else(|_| self.frame.clone());
        let layers: Vec<Value> =
            self.layers.iter().map(|layer| json!({"kind": layer.kind, "x": layer.x, "y": layer.y})).collect();
        Ok(json!({
            "path": frames::leave(&needed)?,
            "title": self.title,
            "x": self.axes[0].as_ref().unwrap_or(&first.x),
            "y": self.axes[1].as_ref().unwrap_or(&first.y),
            "by": self.by,
            "layers": layers,
        }))
    }
}

impl std::fmt::Debug for Plot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a chart of {} rows with {} layers", self.frame.height(), self.layers.len())
    }
}
