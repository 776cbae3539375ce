//! A lab's settings, as `program.md` and its defaults give them.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Epoch, Hook, MetricName, Seconds};

/// What a program says: its settings, each with a default, and its instructions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lab {
    /// What a candidate may change: paths or globs, relative to the repository's root.
    pub editable: Vec<String>,
    /// A command to run once, in the researcher's checkout, with network.
    pub setup: Option<String>,
    /// A command to run for each candidate before its run, never counted in the budget.
    pub build: Option<String>,
    /// The command that prints the metric.
    pub run: String,
    /// The metric that decides.
    pub metric: MetricName,
    /// A JSON file that a run writes its metrics to, beside what it prints.
    pub metrics: Option<String>,
    /// Whether lower or higher is better.
    pub direction: Direction,
    /// The metric's unit, for axes and tables.
    pub unit: Option<String>,
    /// How long a run is meant to take.
    pub budget: Seconds,
    /// When a run is killed.
    pub timeout: Seconds,
    /// When a build is killed.
    pub build_timeout: Seconds,
    /// Who ends a run at its budget.
    pub at_budget: AtBudget,
    /// Untracked paths that a run needs, linked into every worktree.
    pub inputs: Vec<String>,
    /// Untracked folders of a worktree that stay between experiments, such as a build folder.
    pub caches: Vec<String>,
    /// An environment variable that the run reads its seed from, beside `OVERNIGHT_SEED`.
    pub seed_env: Option<String>,
    /// How many crashes in a row end the loop.
    pub crashes: u32,
    /// How often a proposer may mend a candidate that fails, within the same experiment.
    pub repairs: u32,
    /// Whether a candidate is made while another one runs, before it is known what comes of that.
    pub ahead: bool,
    /// Whether a coding agent that proposes remembers what it did before.
    pub agent_session: AgentSession,
    /// How long a coding agent may take for one proposal.
    pub agent_timeout: Seconds,
    /// What constants may become, by name, in the words of a comment on their line: `fixed`, `one of: 4, 6, 8`,
    /// `1e-4..1e-1 log`.
    pub space: BTreeMap<String, String>,
    /// Ideas that the proposer should try.
    pub ideas: Vec<String>,
    /// After how many experiments in a row that were not kept the loop ends; 0 is never.
    pub plateau: u32,
    /// Commands to run before a candidate is made and after an experiment is recorded; what they print steers the next
    /// proposal.
    pub hooks: BTreeMap<Hook, String>,
    /// What is told when something needs a person: a command, or the address of a webhook.
    pub alert: Option<String>,
    /// Whether builds and runs are kept in a sandbox.
    pub sandbox: bool,
    /// Whether builds and runs may use the network.
    pub network: bool,
    /// Paths that builds and runs may read although the sandbox hides them: absolute, `~/…`, or relative to the checkout.
    pub reads: Vec<String>,
    /// Paths beside the worktree that builds and runs may write: absolute, `~/…`, or relative to the checkout.
    pub writes: Vec<String>,
    /// Environment variables that builds and runs see beside the usual ones.
    pub env: Vec<String>,
    /// How much of the machine a build or a run may use.
    pub limits: Limits,
    /// The instructions: the text after the front matter.
    pub instructions: String,
    /// Whether the program has front matter at all; without it the karpathy defaults hold.
    pub declared: bool,
}

/// How much of the machine a build or a run may use, with everything that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory; `None` is most of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processes and threads at the same time.
    pub processes: u32,
    /// Bytes of its worktree, its caches and its temporary files.
    pub disk: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: None, processes: 4096, disk: 50_000_000_000 }
    }
}

/// Whether lower or higher is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Lower is better.
    #[default]
    Minimize,
    /// Higher is better.
    Maximize,
}

impl Direction {
    /// Whether `value` is strictly better than `best`.
    pub fn better(self, value: f64, best: f64) -> bool {
        match self {
            Self::Minimize => value < best,
            Self::Maximize => value > best,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minimize => "minimize",
            Self::Maximize => "maximize",
        })
    }
}

/// Who ends a run at its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtBudget {
    /// The lab's own code, which reads `OVERNIGHT_BUDGET_SECONDS` or holds a budget of its own.
    #[default]
    Code,
    /// The runner: the run is ended and its last reported metric is judged.
    Stop,
}

/// Whether a coding agent that proposes remembers what it did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentSession {
    /// Each proposal is made in a session of its own, which is told everything.
    #[default]
    Fresh,
    /// One session makes all proposals, and is told what is new.
    Kept,
}

/// What makes two numbers comparable, beside the lab's own settings.
#[derive(Clone, Copy, Debug)]
pub struct EpochInputs<'a> {
    /// Hash of the locked files: all but the editable ones and the program.
    pub locked: &'a str,
    /// Fingerprint of each input, by path.
    pub inputs: &'a BTreeMap<String, String>,
    /// The hardware that the run had.
    pub hardware: &'a str,
    /// The time that a run is meant to take.
    pub budget: Seconds,
}

impl Lab {
    /// What a value may be compared with: values of one epoch only. It changes with the metric and its
    /// direction, the commands, the locked files, the inputs, the budget and the hardware.
    pub fn epoch(&self, given: &EpochInputs<'_>) -> Epoch {
        let mut hash = Sha256::new();
        // Each part with its length, so that no two lists of parts are the same bytes.
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        };
        add("overnight epoch 1");
        add(self.metric.as_str());
        add(&self.direction.to_string());
        add(&self.run);
        add(self.build.as_deref().unwrap_or_default());
        add(given.locked);
        add(&given.inputs.len().to_string());
        for (path, fingerprint) in given.inputs {
            add(path);
            add(fingerprint);
        }
        add(&given.budget.0.to_string());
        add(given.hardware);
        // Last, so that the epochs of labs without it are what they were.
        if let Some(file) = &self.metrics {
            add(file);
        }
        let digits = hex::encode(hash.finalize());
        Epoch::new(&digits[..16])
    }
}

/// Reads a length of time: `5m`, `20s`, `1h30m`, `1h 30m`, `1.5h`, `500ms`; a plain number is seconds.
///
/// # Errors
/// A sentence that says what is expected.
///
/// ```
/// use lab::{Seconds, settings::parse_seconds};
/// assert_eq!(parse_seconds("1h30m"), Ok(Seconds(5400.0)));
/// assert_eq!(parse_seconds("90"), Ok(Seconds(90.0)));
/// assert!(parse_seconds("5 parsecs").is_err());
/// ```
pub fn parse_seconds(text: &str) -> Result<Seconds, String> {
    read_seconds(text)
        .filter(|seconds| seconds.is_finite())
        .map(Seconds)
        .ok_or_else(|| format!("`{text}` is not a length of time: write one such as `20s`, `5m` or `1h30m`"))
}

fn read_seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    if let Some(seconds) = read_decimal(rest) {
        return Some(seconds);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    // Each unit is smaller than the one before it, so that `5m 1h` and `5m5m` are refused.
    let mut above = f64::INFINITY;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let size = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" | "min" => 60.0,
            "s" | "sec" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        if size >= above {
            return None;
        }
        above = size;
        seconds += read_decimal(number.trim_end())? * size;
        rest = after.trim_start();
    }
    Some(seconds)
}

/// Reads a size: `32GB`, `1.5 TB`, `512 MiB`; a plain number is bytes.
///
/// # Errors
/// A sentence that says what is expected.
///
/// ```
/// use lab::settings::parse_bytes;
/// assert_eq!(parse_bytes("32GB"), Ok(32_000_000_000));
/// assert_eq!(parse_bytes("512 MiB"), Ok(536_870_912));
/// assert!(parse_bytes("much").is_err());
/// ```
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write one such as `500MB` or `32GB`");
    let plain = text.trim();
    let (number, unit) = plain.split_at(plain.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(plain.len()));
    let size = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KIB" => 1024.0,
        "MIB" => 1_048_576.0,
        "GIB" => 1_073_741_824.0,
        "TIB" => 1_099_511_627_776.0,
        _ => return Err(wrong()),
    };
    let bytes = read_decimal(number.trim()).ok_or_else(wrong)? * size;
    if bytes < 9e18 { Ok(bytes.round() as u64) } else { Err(wrong()) }
}

/// A size as people write it, and as [`parse_bytes`] reads it: `32 GB`, `1.5 GB`, `17 B`.
pub fn format_bytes(bytes: u64) -> String {
    let tenths = |size: f64| (bytes as f64 / size * 10.0).round() / 10.0;
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let (size, unit) = units.into_iter().find(|(size, _)| tenths(*size) >= 1.0).unwrap_or((1.0, "B"));
    format!("{} {unit}", tenths(size))
}

/// Reads digits with at most one point: no sign, no exponent, no `inf`.
fn read_decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_time() {
        let read = |text| parse_seconds(text).map(|seconds| seconds.0).ok();
        assert_eq!(read("5m"), Some(300.0));
        assert_eq!(read(" 20 s "), Some(20.0));
        assert_eq!(read("1h 30m"), Some(5400.0));
        assert_eq!(read("1d2h"), Some(93_600.0));
        assert_eq!(read("0.5"), Some(0.5));
        assert_eq!(read("250ms"), Some(0.25));
        for wrong in ["", "m", "5x", "-5m", "1e3", "inf", "5m1h", "5m5m", "1h30", "1.2.3s", "5µs", "५s"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let error = parse_seconds("soon").unwrap_err();
        insta::assert_snapshot!(error, @"`soon` is not a length of time: write one such as `20s`, `5m` or `1h30m`");
    }

    #[test]
    fn sizes() {
        let read = |text| parse_bytes(text).ok();
        assert_eq!(read("50GB"), Some(50_000_000_000));
        assert_eq!(read(" 1.5 tb "), Some(1_500_000_000_000));
        assert_eq!(read("1GiB"), Some(1 << 30));
        assert_eq!(read("4096"), Some(4096));
        for wrong in ["", "GB", "-1GB", "5 parsecs", "1e3", "1GB2", "99999999999TB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let shown = [0, 949, 1_500, 20_000_000, 999_960_000, 32_000_000_000, 2_500_000_000_000];
        let shown = shown.map(format_bytes).join(", ");
        insta::assert_snapshot!(shown, @"0 B, 949 B, 1.5 kB, 20 MB, 1 GB, 32 GB, 2.5 TB");
    }

    #[test]
    fn an_epoch_changes_with_everything_that_values_depend_on() {
        let inputs = BTreeMap::from([("data".to_owned(), "f1".to_owned())]);
        let given = EpochInputs { locked: "abc", inputs: &inputs, hardware: "cpu", budget: Seconds(300.0) };
        let lab = Lab::default();
        let first = lab.epoch(&given);
        insta::assert_snapshot!(first, @"c0b4f4e4fb70e69e");

        let other_inputs = BTreeMap::from([("data".to_owned(), "f2".to_owned())]);
        let none = BTreeMap::new();
        let others = [
            Lab { metric: MetricName::new("loss"), ..lab.clone() }.epoch(&given),
            Lab { direction: Direction::Maximize, ..lab.clone() }.epoch(&given),
            Lab { run: "make".to_owned(), ..lab.clone() }.epoch(&given),
            Lab { build: Some("make".to_owned()), ..lab.clone() }.epoch(&given),
            lab.epoch(&EpochInputs { locked: "abd", ..given }),
            lab.epoch(&EpochInputs { inputs: &other_inputs, ..given }),
            lab.epoch(&EpochInputs { inputs: &none, ..given }),
            lab.epoch(&EpochInputs { hardware: "gpu", ..given }),
            lab.epoch(&EpochInputs { budget: Seconds(301.0), ..given }),
            // The same letters, cut elsewhere.
            Lab { run: lab.run[..3].to_owned(), build: Some(lab.run[3..].to_owned()), ..lab.clone() }
                .epoch(&given),
        ];
        let all: std::collections::BTreeSet<_> = others.iter().chain([&first]).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn an_epoch_does_not_change_with_the_instructions() {
        let none = BTreeMap::new();
        let given = EpochInputs { locked: "", inputs: &none, hardware: "", budget: Seconds(1.0) };
        let lab = Lab { instructions: "Be bold.".to_owned(), timeout: Seconds(7.0), ..Lab::default() };
        let lab = Lab { network: true, reads: vec!["/data".to_owned()], ..lab };
        assert_eq!(lab.epoch(&given), Lab::default().epoch(&given));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(minutes in 0_u32..100_000) {
            let seconds = Seconds(f64::from(minutes) * 60.0);
            prop_assert_eq!(parse_seconds(&seconds.to_string()), Ok(seconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,12}") {
            let _ = parse_seconds(&text);
        }
    }
}
