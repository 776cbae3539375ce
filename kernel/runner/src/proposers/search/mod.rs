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
//! Each proposal changes constants of the best candidate, as an optimizer says ([`Optimizer`]) that learns from
//! everything that was tried in the epoch and has the same code. It is read from the ledger each time, so the optimizer has no state of its own,
//! and the same ledger, seed and number give the same proposal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lab::{CommitId, Cost};

mod constants;
mod domain;
mod effects;
mod factor;
mod known;
mod literal;
mod optimizer;
mod seen;
mod surrogate;

pub use constants::{Constant, Language, Origin, constants};
pub use domain::{Domain, Scale};
pub use effects::{Effect, Expectation};
pub use literal::{Literal, Value};
pub use optimizer::Optimizer;

pub(crate) use known::{Known, Told};
pub(crate) use optimizer::ENOUGH;
use seen::{Names, Seen};

use super::{Brief, Proposal, ProposeError, Proposer, ReadFile, Vetoes};
use crate::blocking;

/// Searches over the constants of the editable files.
pub struct Search {
    read: ReadFile,
    read_before: Mutex<ReadBefore>,
}

/// What was read of candidates.
#[derive(Default)]
struct ReadBefore {
    /// The files that were read.
    paths: Vec<String>,
    seen: HashMap<CommitId, Seen>,
    constants: Names,
    /// The parameters that the points are of: path and name.
    names: Vec<(String, String)>,
    /// What each candidate has of them: see [`Seen::code`] and [`Seen::point`].
    points: HashMap<CommitId, (u64, Point)>,
}

/// The values of a candidate's parameters; `None` where it has no such constant.
type Point = Arc<[Option<Value>]>;

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
        Self { read, read_before: Mutex::default() }
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
             `--agent acp:claude` (a coding agent), `--agent anthropic:MODEL`, `--agent openai:MODEL@URL` or `--agent \
             command:PROGRAM`"
        ))
    }

    /// What a brief says about its space.
    ///
    /// # Errors
    /// Where there is nothing to search over.
    pub(super) fn known<'a>(&self, brief: &'a Brief) -> Result<Known<'a>, ProposeError> {
        let mut parameters = Self::space(&brief.files, &brief.space).map_err(ProposeError::Over)?;
        let vetoes = Vetoes::new(&brief.vetoes);
        parameters.retain(|Parameter { constant, .. }| {
            !constant.domain.is_fixed() && vetoes.of(&constant.name).is_none()
        });
        if parameters.is_empty() {
            return Err(ProposeError::Over("every constant that it may change is ruled out".to_owned()));
        }
        Ok(Known::new(brief, parameters, self))
    }

    /// The code of candidates and their values of `parameters`. Each is read once.
    fn points(&self, paths: &[String], parameters: &[Parameter], of: &[&CommitId]) -> Vec<(u64, Point)> {
        let mut before = self.read_before.lock().unwrap_or_else(PoisonError::into_inner);
        let ReadBefore { paths: known, seen, constants, names, points } = &mut *before;
        // Other files, other code.
        if known != paths {
            seen.clear();
            names.clear();
            paths.clone_into(known);
        }
        let are = |it: &Parameter, name: &(String, String)| it.path == name.0 && it.constant.name == name.1;
        if names.len() != parameters.len() || !parameters.iter().zip(&*names).all(|(it, name)| are(it, name))
        {
            points.clear();
            *names = parameters.iter().map(|it| (it.path.clone(), it.constant.name.clone())).collect();
        }
        let mut point = |commit: &CommitId| {
            if let Some(known) = points.get(commit) {
                return known.clone();
            }
            let read = || Seen::new(paths, constants, |path| (self.read)(commit, path));
            let seen = seen.entry(commit.clone()).or_insert_with(read);
            let found = (seen.code(parameters), seen.point(parameters));
            points.insert(commit.clone(), found.clone());
            found
        };
        of.iter().map(|commit| point(commit)).collect()
    }

    fn search(&self, brief: &Brief) -> Result<Proposal, ProposeError> {
        let known = self.known(brief)?;
        let (values, _) = known.next(&known.optimizer())?;
        Ok(known.written(&values))
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

#[cfg(test)]
pub(crate) mod tests;
