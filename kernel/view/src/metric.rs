//! The metric that decides, as axes and tables name it.

use lab::{Direction, Experiment, Lab};

use crate::text::one_line;

/// A metric's name, direction and unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, such as `val_bpb`.
    pub name: String,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// Its unit, where it has one.
    pub unit: Option<String>,
}

impl Metric {
    /// The metric that an experiment was judged by, where no lab is at hand; without a unit.
    pub fn of(experiment: &Experiment) -> Self {
        let record = &experiment.record;
        Self { name: record.metric.as_str().to_owned(), direction: record.direction, unit: None }
    }

    /// For an axis: `val_bpb (lower is better)`, `tokens, M/s (higher is better)`.
    pub fn axis(&self) -> String {
        let unit = self.unit.as_deref().map(|unit| format!(", {}", one_line(unit))).unwrap_or_default();
        format!("{}{unit} ({} is better)", one_line(&self.name), self.better())
    }

    /// `lower` or `higher`.
    pub fn better(&self) -> &'static str {
        match self.direction {
            Direction::Minimize => "lower",
            Direction::Maximize => "higher",
        }
    }
}

impl From<&Lab> for Metric {
    fn from(lab: &Lab) -> Self {
        Self { name: lab.metric.as_str().to_owned(), direction: lab.direction, unit: lab.unit.clone() }
    }
}
