//! What a run has printed, as far as it was understood.

use std::collections::BTreeSet;
use std::path::Path;

use lab::metrics::Row;

/// What a run's folder says of its output.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Prints {
    /// How many steps it has printed.
    pub(super) steps: usize,
    /// The names of the steps' metrics.
    pub(super) names: BTreeSet<String>,
    /// The last lines of its log.
    pub(super) tail: String,
}

/// How many lines of a log are shown.
const LINES: usize = 8;
/// How many names are.
const NAMES: usize = 5;

impl Prints {
    /// Reads a run's folder.
    pub(super) fn of(folder: &Path) -> Self {
        let rows = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
        let mut prints = Self::default();
        for row in rows.lines().filter_map(|line| serde_json::from_str::<Row>(line).ok()) {
            prints.steps += 1;
            prints.names.extend(row.values.into_keys());
        }
        let log = std::fs::read(folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(4096)..]).into_owned();
        let lines: Vec<&str> =
            log.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty()).collect();
        prints.tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
        prints
    }

    /// `8 steps with loss, lrm and 3 more`; `None` where no step was understood.
    pub(super) fn words(&self) -> Option<String> {
        if self.steps == 0 {
            return None;
        }
        let named: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let more = named.len().saturating_sub(NAMES);
        let names = named[..named.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("{} {} with {names}{more}", self.steps, if self.steps == 1 { "step" } else { "steps" }))
    }

    /// The metric of the steps that comes nearest to what decides.
    pub(super) fn stand_in(&self, metric: &str) -> Option<&str> {
        let has = |wanted: &str| self.names.iter().map(String::as_str).find(|name| name.contains(wanted));
        self.names.get(metric).map(String::as_str).or_else(|| has("loss")).or_else(|| has("val"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn steps_are_told_and_the_loss_stands_in() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Prints::of(folder.path()).words(), None);
        let rows = "{\"step\":1,\"time\":0.1,\"loss\":3.0,\"lr\":0.1}\n{\"step\":2,\"time\":0.2,\"loss\":2.5,\"dt\":1}\n";
        std::fs::write(folder.path().join("metrics.jsonl"), rows).unwrap();
        std::fs::write(folder.path().join("log"), "a\rb\n\nc\n").unwrap();
        let prints = Prints::of(folder.path());
        assert_eq!(prints.words().as_deref(), Some("2 steps with dt, loss, lr"));
        assert_eq!(prints.stand_in("val_bpb"), Some("loss"));
        assert_eq!(prints.stand_in("lr"), Some("lr"));
        assert_eq!(prints.tail, "a\nb\nc");
    }
}
