//! What tokens cost.

use serde::Deserialize;

use crate::{ModelName, Usage};

/// Prices that are known, and where they were read.
const KNOWN: &str = include_str!("prices.toml");

/// Prices by model, the user's own before those that are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(Vec<Row>);

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Row {
    /// A model's name, or its beginning and `*`.
    model: String,
    #[serde(flatten)]
    price: Price,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    price: Vec<Row>,
}

/// US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Price {
    /// Read.
    pub input: f64,
    /// Written.
    pub output: f64,
    /// Read from a cache; as any other where it is not said.
    pub cached: Option<f64>,
    /// Written to a cache; as any other that is read where it is not said.
    pub stored: Option<f64>,
}

impl Prices {
    /// The known prices, after those of the user's `own` table: TOML with `[[price]]` rows of `model`, `input`,
    /// `output` and, where it matters, `cached` and `stored`.
    ///
    /// # Errors
    /// Where the user's table cannot be read: what is wrong, and in which line.
    pub fn new(own: &str) -> Result<Self, String> {
        let read = |text| toml::from_str::<Table>(text).map(|table| table.price);
        let mut rows = read(own).map_err(|error| error.to_string())?;
        rows.extend(read(KNOWN).map_err(|error| error.to_string())?);
        Ok(Self(rows))
    }

    /// The price of a model; a server of one's own asks for none unless the user's table says so.
    pub fn of(&self, name: &ModelName) -> Option<Price> {
        let row = self.0.iter().find(|row| row.is_of(&name.model));
        let own = name.url.is_some().then_some(Price::NONE);
        row.map(|row| row.price).or(own)
    }
}

impl Row {
    fn is_of(&self, model: &str) -> bool {
        if let Some(beginning) = self.model.strip_suffix('*') {
            return model.starts_with(beginning);
        }
        let version = model.strip_prefix(&self.model).map(|rest| rest.trim_start_matches('-'));
        // A date, as `claude-opus-5-20260922` and `gpt-6-sol-2026-09-22` have it.
        version.is_some_and(|version| {
            let digits = version.chars().filter(char::is_ascii_digit).count();
            version.is_empty() || (digits == 8 && version.chars().all(|c| c.is_ascii_digit() || c == '-'))
        })
    }
}

impl Price {
    /// Nothing.
    pub const NONE: Self = Self { input: 0.0, output: 0.0, cached: None, stored: None };

    /// What a turn cost, in US dollars.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let fresh = usage.input.saturating_sub(usage.cached + usage.stored);
        let dollars = fresh as f64 * self.input
            + usage.cached as f64 * self.cached.unwrap_or(self.input)
            + usage.stored as f64 * self.stored.unwrap_or(self.input)
            + usage.output as f64 * self.output;
        dollars / 1e6
    }

    /// The most that a turn can cost which reads at most `input` tokens and writes at most `output`.
    pub fn at_most(&self, input: u64, output: u64) -> f64 {
        (input as f64 * self.input.max(self.stored.unwrap_or(0.0)) + output as f64 * self.output) / 1e6
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    #[test]
    fn a_table_of_ones_own_comes_first() {
        let own = "[[price]]\nmodel = \"claude-*\"\ninput = 1\noutput = 2.5\n";
        let prices = Prices::new(own).unwrap();
        let price = prices.of(&name("anthropic:claude-x")).unwrap();
        assert_eq!((price.input, price.output, price.cached), (1.0, 2.5, None));
        assert!(Prices::new("[[price]]\nmodel = 1\n").unwrap_err().contains("line 2"));
        assert!(Prices::new("").unwrap().of(&name("openai:nobody-knows-it")).is_none());
    }

    #[test]
    fn a_name_stands_for_its_dated_versions_alone() {
        let prices = Prices::new("").unwrap();
        let input = |text| prices.of(&name(text)).map(|price| price.input);
        assert_eq!(input("anthropic:claude-opus-5-20260801"), input("anthropic:claude-opus-5"));
        assert_eq!(input("openai:gpt-6-sol-2026-09-22"), Some(2.0));
        assert_ne!(input("anthropic:claude-opus-5-5"), input("anthropic:claude-opus-5"));
        assert_eq!(input("anthropic:claude-opus-5-9"), None, "the next model has a price of its own");
    }

    #[test]
    fn a_server_of_ones_own_costs_nothing() {
        let local = name("openai:qwen@http://localhost:8000/v1");
        assert_eq!(Prices::new("").unwrap().of(&local), Some(Price::NONE));
    }

    #[test]
    fn what_is_read_from_a_cache_costs_less() {
        let price = Price { input: 3.0, output: 15.0, cached: Some(0.3), stored: Some(3.75) };
        let usage = Usage { input: 1_000_000, cached: 600_000, stored: 200_000, output: 100_000 };
        let cost = price.cost(&usage);
        assert!((cost - (0.6 + 0.18 + 0.75 + 1.5)).abs() < 1e-9, "{cost}");
        assert!(price.at_most(usage.input, usage.output) >= cost);
    }
}
