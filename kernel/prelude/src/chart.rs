//! Charts of frames. The kernel draws them as it draws its own: Vega-Lite, a picture, and text.

use polars::prelude::{Column, DataFrame, DataType};
use serde_json::{Value, json};

use crate::display::drawn;

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
            Err(message) => drawn("error", &json!({"message": message})),
        }
    }

    fn layer(mut self, kind: &'static str, x: &str, y: &str) -> Self {
        self.layers.push(Layer { kind, x: x.to_owned(), y: y.to_owned() });
        self
    }

    fn description(&self) -> Result<Value, String> {
        let Some(first) = self.layers.first() else {
            return Err("the chart has nothing to draw: `.line(\"step\", \"loss\")` adds a line".to_owned());
        };
        let groups = self.by.as_ref().map(|by| self.words(by)).transpose()?;
        let mut layers = Vec::new();
        for layer in &self.layers {
            let (x, y) = (self.numbers(&layer.x)?, self.numbers(&layer.y)?);
            let mut series: Vec<(String, Vec<[f64; 2]>)> = Vec::new();
            for row in 0..self.frame.height() {
                let (Some(x), Some(y)) = (x[row], y[row]) else { continue };
                let name = groups.as_ref().map_or(layer.y.as_str(), |groups| groups[row].as_str());
                let found = series.iter().position(|(known, _)| known == name);
                let at = found.unwrap_or_else(|| {
                    series.push((name.to_owned(), Vec::new()));
                    series.len() - 1
                });
                series[at].1.push([x, y]);
            }
            layers.push(json!({
                "kind": layer.kind,
                "series": series.into_iter().map(|(name, points)| json!({"name": name, "points": points})).collect::<Vec<_>>(),
            }));
        }
        Ok(json!({
            "title": self.title,
            "x": self.axes[0].as_ref().unwrap_or(&first.x),
            "y": self.axes[1].as_ref().unwrap_or(&first.y),
            "layers": layers,
        }))
    }

    fn column(&self, name: &str) -> Result<&Column, String> {
        self.frame.column(name).map_err(|_| {
            let names: Vec<_> = self.frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
            format!("the frame has no column `{name}`; it has {}", names.join(", "))
        })
    }

    fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, String> {
        let column = self.column(name)?;
        let cast = column.cast(&DataType::Float64).map_err(|error| format!("column `{name}`: {error}"))?;
        let values = cast.f64().map_err(|error| format!("column `{name}`: {error}"))?;
        Ok(values.iter().map(|value| value.filter(|value| value.is_finite())).collect())
    }

    fn words(&self, name: &str) -> Result<Vec<String>, String> {
        let cast = self.column(name)?.cast(&DataType::String).map_err(|error| format!("column `{name}`: {error}"))?;
        let values = cast.str().map_err(|error| format!("column `{name}`: {error}"))?;
        Ok(values.iter().map(|value| value.unwrap_or("null").to_owned()).collect())
    }
}

impl std::fmt::Debug for Plot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a chart of {} rows with {} layers", self.frame.height(), self.layers.len())
    }
}
