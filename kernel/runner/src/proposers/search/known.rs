//! What is known of a space: its parameters, and the trials that say something about them.
//!
//! A trial says something where it has the code of the best, and differs in values alone. Whatever else a person or a
//! model changed makes another function of the same parameters: how well it did, or that it crashed, says nothing about
//! their values. Once it is the best, what was told of the code before counts on, moved by what the change has brought.

use std::collections::{BTreeMap, HashMap};

use ledger::Edit;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::seen::{Names, Seen};
use super::{Brief, Constant, Domain, Optimizer, Parameter, Point, Proposal, ProposeError, Search, Value};
use crate::proposers::model::Setting;

/// How many of the latest trials the optimizer learns from.
const MEMORY: usize = 400;
/// How many points are drawn before the space is called exhausted.
const DRAWS: usize = 300;
/// How many of them are the optimizer's best guess.
const GUESSES: usize = 20;

/// A trial that says something about the parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// Its number.
    pub(crate) number: u64,
    /// Its values of the parameters.
    pub(crate) point: Point,
    /// Its metric, where it has not failed.
    pub(crate) value: Option<f64>,
    /// What later changes of the code have brought.
    pub(crate) moved: f64,
}

/// What is known.
pub(crate) struct Known<'a> {
    brief: &'a Brief,
    /// The constants that may change, as the best has them.
    pub(crate) parameters: Vec<Parameter>,
    /// The trials, oldest first.
    pub(crate) told: Vec<Told>,
    domains: Vec<Domain>,
    best: Vec<f64>,
    /// What was tried with the code of the best, and what is being tried.
    tried: Vec<Point>,
    pending: Vec<Point>,
}

impl<'a> Known<'a> {
    /// What a brief says about its `parameters`; `seen` reads candidates.
    pub(super) fn new(brief: &'a Brief, parameters: Vec<Parameter>, search: &Search) -> Self {
        let paths: Vec<String> = brief.files.keys().cloned().collect();
        let here =
            Seen::new(&paths, &mut Names::new(), |path| brief.files.get(path).cloned()).code(&parameters);
        let candidates: Vec<_> = brief.trials.iter().map(|judged| &judged.candidate).collect();
        let points = search.points(&paths, &parameters, &candidates);
        let judged: Vec<_> = brief.trials.iter().zip(points).collect();

        // The code of each best that there was, and what the changes since have brought.
        let mut bases = HashMap::from([(here, 0.0)]);
        let (mut moved, mut newer): (f64, Option<(u64, f64)>) = (0.0, None);
        for (judged, (code, _)) in judged.iter().rev().filter(|(judged, _)| judged.kept) {
            let Some(value) = judged.value else { continue };
            if let Some((_, after)) = newer.filter(|(newer, _)| newer != code) {
                moved += after - value;
            }
            bases.entry(*code).or_insert(moved);
            newer = Some((*code, value));
        }
        let (mut told, mut tried) = (Vec::new(), Vec::new());
        for (judged, (code, point)) in judged {
            if code == here {
                tried.push(point.clone());
            }
            if let Some(moved) = bases.get(&code) {
                let (number, value) = (judged.number, judged.value);
                told.push(Told { number, point, value, moved: *moved });
            }
        }
        told.drain(..told.len().saturating_sub(MEMORY));
        let trying: Vec<_> = brief.trying.iter().map(|trying| &trying.candidate).collect();
        let trying = search.points(&paths, &parameters, &trying).into_iter();
        let pending: Vec<Point> = trying.filter(|(code, _)| *code == here).map(|(_, point)| point).collect();
        tried.extend(pending.iter().cloned());
        let domains: Vec<Domain> = parameters.iter().map(|p| p.constant.domain.clone()).collect();
        let best = parameters.iter().map(|p| p.constant.domain.place(&p.constant.literal.value)).collect();
        Self { brief, parameters, told, domains, best, tried, pending }
    }

    /// Where the best is for the optimizer.
    pub(super) fn best(&self) -> &[f64] {
        &self.best
    }

    /// What the optimizer makes of it.
    pub(crate) fn optimizer(&self) -> Optimizer<'_> {
        let learned: Vec<_> = self
            .told
            .iter()
            .map(|told| (self.place(&told.point), told.value.map(|value| value + told.moved)))
            .collect();
        let pending: Vec<_> = self.pending.iter().map(|point| self.place(point)).collect();
        Optimizer::new(&self.domains, &self.best, &learned, &pending, self.brief.direction)
    }

    /// Where a point is for the optimizer, with NaN for what is outside of its domain.
    fn place(&self, point: &Point) -> Vec<f64> {
        let place = |(value, domain): (&Option<Value>, &Domain)| {
            let value = value.as_ref().filter(|value| domain.holds(value));
            value.map_or(f64::NAN, |value| domain.place(value))
        };
        point.iter().zip(&self.domains).map(place).collect()
    }

    /// The values that the optimizer would try next, and where they are for it.
    ///
    /// # Errors
    /// Where every combination has been tried.
    pub(crate) fn next(&self, optimizer: &Optimizer<'_>) -> Result<(Vec<Value>, Vec<f64>), ProposeError> {
        let Brief { seed, number, attempt, .. } = self.brief;
        let mut random = StdRng::seed_from_u64(seed ^ (number << 16) ^ (u64::from(*attempt) << 56));
        for draw in 0..DRAWS {
            // Where the best guesses have all been tried, any other one does.
            let point =
                if draw < GUESSES { optimizer.ask(&mut random) } else { optimizer.nearby(&mut random) };
            let values: Vec<Value> = point
                .iter()
                .zip(&self.best)
                .zip(&self.parameters)
                // What was not moved keeps its literal to the last digit.
                .map(|((at, from), p)| {
                    if at.to_bits() == from.to_bits() {
                        p.constant.literal.value.clone()
                    } else {
                        p.constant.literal.written(&p.constant.domain.value(*at))
                    }
                })
                .collect();
            if values != self.unchanged() && !self.is_tried(&values) {
                return Ok((values, point));
            }
        }
        Err(ProposeError::Over(format!(
            "every combination of its {} constants has been tried",
            self.parameters.len()
        )))
    }

    /// The edits that give parameters values, each by its name.
    ///
    /// # Errors
    /// Says which value cannot be, and what could.
    pub(crate) fn set(&self, settings: &[Setting]) -> Result<Vec<Edit>, String> {
        let (names, mut values) = (self.names(), self.unchanged());
        for (name, text) in settings {
            let index = names.iter().position(|known| known == name);
            let index = index.ok_or_else(|| {
                format!("`SET {name}`: there is no such parameter; there are {}", names.join(", "))
            })?;
            let Constant { literal, domain, .. } = &self.parameters[index].constant;
            values[index] = domain
                .read(literal, text)
                .ok_or_else(|| format!("`SET {name} = {text}`: it may be {}", domain.describe(literal)))?;
        }
        if self.is_tried(&values) {
            return Err("these values have been tried".to_owned());
        }
        Ok(self.written(&values).edits)
    }

    /// What each parameter is called: by its constant, and by its file too where that is not enough.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |p: &Parameter| {
            let namesakes = self.parameters.iter().filter(|other| other.constant.name == p.constant.name);
            match namesakes.count() {
                1 => p.constant.name.clone(),
                _ => format!("{}:{}", p.path, p.constant.name),
            }
        };
        self.parameters.iter().map(name).collect()
    }

    fn unchanged(&self) -> Vec<Value> {
        self.parameters.iter().map(|p| p.constant.literal.value.clone()).collect()
    }

    fn is_tried(&self, values: &[Value]) -> bool {
        self.tried.iter().any(|point| point.iter().zip(values).all(|(a, b)| a.as_ref() == Some(b)))
    }

    /// The best's files with new literals, and what was changed in words.
    pub(crate) fn written(&self, values: &[Value]) -> Proposal {
        let mut edits: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let mut said = Vec::new();
        // From the end of each file to its beginning, so that the places stay true.
        for (parameter, value) in self.parameters.iter().zip(values).rev() {
            let Constant { name, literal, span, .. } = &parameter.constant;
            if literal.value == *value {
                continue;
            }
            let text = literal.write(value);
            let file = edits
                .entry(&parameter.path)
                .or_insert_with(|| self.brief.files.get(&parameter.path).cloned().unwrap_or_default());
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
}
