//! What a search has learned of each constant, for people to look at.

use super::{Brief, Domain, Parameter, Search, Value};
use crate::proposers::ProposeError;

/// In so many places of a range it is asked.
const PLACES: usize = 25;

/// A constant, and what is to be expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The constant, as the best candidate has it.
    pub parameter: Parameter,
    /// Over its range or its choices; empty where too little is known.
    pub expected: Vec<Expectation>,
}

/// What is to be expected of one value, everything else as in the best candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The value.
    pub value: Value,
    /// The metric.
    pub metric: f64,
    /// How far off that may be: a standard deviation.
    pub spread: f64,
}

impl Search {
    /// What was learned of each constant that may change, from the trials of a brief.
    ///
    /// # Errors
    /// Where there is nothing to search over.
    pub fn effects(&self, brief: &Brief) -> Result<Vec<Effect>, ProposeError> {
        let known = self.known(brief)?;
        let (optimizer, best) = (known.optimizer(), known.best());
        let effect = |(i, parameter): (usize, &Parameter)| {
            let expected = places(&parameter.constant.domain).into_iter().map(|(place, value)| {
                let mut point = best.to_vec();
                point[i] = place;
                optimizer.expects(&point).map(|(metric, spread)| Expectation { value, metric, spread })
            });
            Effect {
                parameter: parameter.clone(),
                expected: expected.collect::<Option<_>>().unwrap_or_default(),
            }
        };
        Ok(known.parameters.iter().enumerate().map(effect).collect())
    }
}

/// Places of a domain, and their values.
fn places(domain: &Domain) -> Vec<(f64, Value)> {
    match domain {
        Domain::Choice(values) => {
            values.iter().enumerate().map(|(i, value)| (i as f64, value.clone())).collect()
        }
        Domain::Range { low, high, scale, .. } => (0..PLACES)
            .map(|i| i as f64 / (PLACES - 1) as f64)
            .map(|place| (place, Value::Float(scale.between(*low, *high, place))))
            .collect(),
    }
}
