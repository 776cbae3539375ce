//! The `search` proposer: the declared constants of the editable files are a search space.
//!
//! ```
//! use runner::proposers::search::{Language, constants};
//!
//! let text = "const DEPTH: usize = 4; // one of: 4, 6, 8\nconst RATE: f64 = 1e-3; // 1e-4..1e-1 log\n";
//! let names: Vec<String> = constants(text, Language::Rust).into_iter().map(|c| c.name).collect();
//! assert_eq!(names, ["DEPTH", "RATE"]);
//! ```
//!
//! Read are constants of Rust and Python, the fields of dataclasses, the defaults of argparse, and the values of
//! YAML and TOML. A comment on the constant's line says what it may become; without one a scale is guessed from its
//! value and name:
//!
//! | comment | meaning |
//! |---|---|
//! | `1e-4..1e-1 log` | between the two, on a logarithmic scale |
//! | `0.0..0.5` | between the two |
//! | `one of: 4, 6, 8` | one of these |
//! | `fixed` | never changed |
//!
//! Each proposal changes constants of the best candidate, as an optimizer says that learns from everything that was
//! tried in the epoch ([`Optimizer`]). It is read from the ledger each time, so the optimizer has no state of its own,
//! and the same ledger, seed and number give the same proposal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lab::{CommitId, Cost};
use ledger::Edit;
use rand::SeedableRng;
use rand::rngs::StdRng;

mod constants;
mod domain;
mod literal;
mod optimizer;
mod surrogate;

pub use constants::{Constant, Language, Origin, constants};
pub use domain::{Domain, Scale};
pub use literal::{Literal, Value};
pub use optimizer::Optimizer;

use super::{Brief, Proposal, ProposeError, Proposer, ReadFile, Vetoes};
use crate::blocking;

/// How many of the latest trials the optimizer learns from.
const MEMORY: usize = 400;
/// How many points are drawn before the space is called exhausted.
const DRAWS: usize = 300;
/// How many of them are the optimizer's best guess.
const GUESSES: usize = 20;

/// The values of a candidate's constants, by path and name.
type Values = HashMap<(String, String), Value>;

/// Searches over the constants of the editable files.
pub struct Search {
    read: ReadFile,
    /// What was read of each candidate: small, where its files would not be.
    known: Mutex<HashMap<CommitId, Values>>,
}

/// One constant of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The file.
    pub path: String,
    /// The constant.
    pub constant: Constant,
}

impl Search {
    /// A search that reads earlier candidates by `read`.
    pub fn new(read: ReadFile) -> Self {
        Self { read, known: Mutex::default() }
    }

    /// Every constant of the files, those that stay among them; `declared` is what the program says of
    /// some, by name.
    ///
    /// # Errors
    /// Says why there is nothing to search over, or what the program says that cannot be.
    pub fn space(
        files: &BTreeMap<String, Vec<u8>>,
        declared: &BTreeMap<String, String>,
    ) -> Result<Vec<Parameter>, String> {
        let space = parameters(files, declared)?;
        if space.iter().any(|parameter| !parameter.constant.domain.is_fixed()) {
            return Ok(space);
        }
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        let place = if paths.is_empty() { "no editable file".to_owned() } else { paths.join(", ") };
        Err(format!(
            "there is no constant to search over in {place}: declare some, as `const DEPTH: usize = 8;` in Rust or \
             `DEPTH = 8` at the top level in Python (a comment `// fixed` takes one out), or use another proposer: \
             `--agent command:PROGRAM`"
        ))
    }

    /// The values of a candidate's constants, in the order of `parameters`.
    fn point(&self, commit: &CommitId, paths: &[String], parameters: &[Parameter]) -> Vec<Option<Value>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let values = known.entry(commit.clone()).or_insert_with(|| {
            let mut values = Values::new();
            for path in paths {
                let Some(text) = (self.read)(commit, path).and_then(|bytes| String::from_utf8(bytes).ok())
                else {
                    continue;
                };
                let Some(language) = Language::of(path) else { continue };
                for constant in constants(&text, language) {
                    values.insert((path.clone(), constant.name), constant.literal.value);
                }
            }
            values
        });
        let name = |p: &Parameter| (p.path.clone(), p.constant.name.clone());
        parameters.iter().map(|p| values.get(&name(p)).cloned()).collect()
    }
}

#[async_trait]
impl Proposer for Search {
    async fn propose(&self, brief: &Brief, _cost: &mut Cost) -> Result<Proposal, ProposeError> {
        blocking::here(|| self.search(brief))
    }

    /// It takes no time, and knows more after each run.
    fn ahead(&self) -> bool {
        false
    }

    fn listens(&self) -> bool {
        false
    }
}

impl Search {
    fn search(&self, brief: &Brief) -> Result<Proposal, ProposeError> {
        let mut parameters = Self::space(&brief.files, &brief.space).map_err(ProposeError::Over)?;
        let vetoes = Vetoes::new(&brief.vetoes);
        parameters.retain(|Parameter { constant, .. }| {
            !constant.domain.is_fixed() && vetoes.of(&constant.name).is_none()
        });
        if parameters.is_empty() {
            return Err(ProposeError::Over("every constant that it may change is ruled out".to_owned()));
        }
        let paths: Vec<String> = brief.files.keys().cloned().collect();
        let domains: Vec<Domain> = parameters.iter().map(|p| p.constant.domain.clone()).collect();
        let best: Vec<f64> =
            parameters.iter().map(|p| p.constant.domain.place(&p.constant.literal.value)).collect();

        let point = |commit: &CommitId| self.point(commit, &paths, &parameters);
        let judged: Vec<_> = brief.trials.iter().map(|(commit, value)| (point(commit), *value)).collect();
        let pending: Vec<_> = brief.trying.iter().map(|trying| point(&trying.candidate)).collect();
        let place = |point: &Vec<Option<Value>>| -> Vec<f64> {
            let place = |(value, domain): (&Option<Value>, &Domain)| {
                value
                    .as_ref()
                    .filter(|value| domain.holds(value))
                    .map_or(f64::NAN, |value| domain.place(value))
            };
            point.iter().zip(&domains).map(place).collect()
        };
        let latest = &judged[judged.len().saturating_sub(MEMORY)..];
        let learned: Vec<_> = latest.iter().map(|(point, value)| (place(point), *value)).collect();
        let waiting: Vec<_> = pending.iter().map(place).collect();
        let optimizer = Optimizer::new(&domains, &best, &learned, &waiting, brief.direction);
        let tried: Vec<_> = judged.into_iter().map(|(point, _)| point).chain(pending).collect();

        let seed = brief.seed ^ (brief.number << 16) ^ (u64::from(brief.attempt) << 56);
        let mut random = StdRng::seed_from_u64(seed);
        for draw in 0..DRAWS {
            // Where the best guesses have all been tried, any other one does.
            let point =
                if draw < GUESSES { optimizer.ask(&mut random) } else { optimizer.nearby(&mut random) };
            let values: Vec<Value> = point
                .iter()
                .zip(&best)
                .zip(&parameters)
                // What was not moved keeps its literal to the last digit.
                .map(|((at, from), p)| {
                    if at.to_bits() == from.to_bits() {
                        p.constant.literal.value.clone()
                    } else {
                        p.constant.literal.written(&p.constant.domain.value(*at))
                    }
                })
                .collect();
            let same =
                |point: &Vec<Option<Value>>| point.iter().zip(&values).all(|(a, b)| a.as_ref() == Some(b));
            let unchanged =
                parameters.iter().zip(&values).all(|(p, value)| p.constant.literal.value == *value);
            if unchanged || tried.iter().any(same) {
                continue;
            }
            return Ok(write(brief, &parameters, &values));
        }
        Err(ProposeError::Over(format!(
            "every combination of its {} constants has been tried",
            parameters.len()
        )))
    }
}

fn parameters(
    files: &BTreeMap<String, Vec<u8>>,
    declared: &BTreeMap<String, String>,
) -> Result<Vec<Parameter>, String> {
    let mut found = Vec::new();
    for (path, bytes) in files {
        let (Some(language), Ok(text)) = (Language::of(path), std::str::from_utf8(bytes)) else { continue };
        for constant in constants(text, language) {
            found.push(Parameter { path: path.clone(), constant });
        }
    }
    for (name, words) in declared {
        let mut meant = found.iter_mut().filter(|parameter| parameter.constant.name == *name).peekable();
        if meant.peek().is_none() {
            let known: Vec<&str> = found.iter().map(|parameter| parameter.constant.name.as_str()).collect();
            return Err(format!(
                "the program's `space` has {name}, and the editable files have {}",
                known.join(", ")
            ));
        }
        if !meant.all(|parameter| parameter.constant.declare(words)) {
            return Err(format!(
                "the program's `space` says `{name}: {words}`; write `fixed`, `one of: 4, 6, 8` or `1e-4..1e-1 log`"
            ));
        }
    }
    Ok(found)
}

/// The parent's files with new literals, and what was changed in words.
fn write(brief: &Brief, parameters: &[Parameter], values: &[Value]) -> Proposal {
    let mut edits: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut said = Vec::new();
    // From the end of each file to its beginning, so that the places stay true.
    for (parameter, value) in parameters.iter().zip(values).rev() {
        let Constant { name, literal, span, .. } = &parameter.constant;
        if literal.value == *value {
            continue;
        }
        let text = literal.write(value);
        let file = edits
            .entry(&parameter.path)
            .or_insert_with(|| brief.files.get(&parameter.path).cloned().unwrap_or_default());
        file.splice(span.clone(), text.bytes());
        said.push(format!("{name} {} → {text}", literal.source));
    }
    said.reverse();
    Proposal {
        edits: edits
            .into_iter()
            .map(|(path, content)| Edit { path: path.to_owned(), content: Some(content) })
            .collect(),
        hypothesis: said.join(", "),
        ..Proposal::default()
    }
}

#[cfg(test)]
mod tests;
