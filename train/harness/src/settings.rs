//! What the environment asks for.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::steps::{Steps, Taken};

/// One training run.
#[derive(Debug)]
pub struct Run {
    /// How long it may train.
    pub budget: Duration,
    /// Decides the weights at the beginning and the order of the data.
    pub seed: u64,
    /// Where it trains.
    pub machine: Machine,
    /// Steps after which it ends, whatever the time.
    pub(crate) limit: Option<usize>,
    /// When the program began.
    pub(crate) begun: Instant,
    /// What its steps have taken so far.
    pub(crate) taken: Cell<Taken>,
}

impl Run {
    /// Reads the settings, of which the crate's documentation has a table.
    pub fn from_environment() -> Result<Self, String> {
        let begun = Instant::now();
        let seconds = variable("OVERNIGHT_BUDGET_SECONDS")?.unwrap_or(300.0);
        let budget = Duration::try_from_secs_f64(seconds).ok().filter(|budget| !budget.is_zero());
        Ok(Self {
            budget: budget
                .ok_or_else(|| format!("OVERNIGHT_BUDGET_SECONDS is {seconds}, not a time above 0"))?,
            seed: variable("OVERNIGHT_SEED")?.unwrap_or(42),
            machine: Machine::named(variable::<String>("OVERNIGHT_DEVICE")?.as_deref())?,
            limit: variable("OVERNIGHT_STEPS")?.map(NonZeroUsize::get),
            begun,
            taken: Cell::default(),
        })
    }

    /// The steps of the run: each of `tokens`, of which each costs `flops` operations on floating-point
    /// numbers, forward and backward. Asked once more, for steps of another size, it goes on where it was.
    pub fn steps(&self, tokens: usize, flops: f64) -> Steps<'_> {
        Steps::new(self, tokens, flops)
    }
}

/// A variable that is set and not empty.
fn variable<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    match std::env::var(name) {
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => parse(name, &text).map(Some),
    }
}

fn parse<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name}: `{text}` is not a number that it takes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(parse::<u64>("OVERNIGHT_SEED", " 7 "), Ok(7));
        let error = parse::<u64>("OVERNIGHT_SEED", "-1");
        assert_eq!(error, Err("OVERNIGHT_SEED: `-1` is not a number that it takes".to_owned()));
    }
}
