//! What a constant may become: read from its comment, or guessed from its value and name.

use super::constants::parts;
use super::{Literal, Value};

/// The values that a constant may take, each at a place: an index for a choice, from 0 to 1 for a range. A choice of
/// one is a constant that stays.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// One of these.
    Choice(Vec<Value>),
    /// A number of a range.
    Range {
        /// The lowest.
        low: f64,
        /// The highest.
        high: f64,
        /// How places are spread over it.
        scale: Scale,
        /// Whether only whole numbers are meant.
        whole: bool,
    },
}

/// How places are spread over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By the logarithm.
    Log,
    /// By the logarithm of the distance from 1: for what is nearly 1, such as a momentum.
    NearOne,
}

impl Scale {
    fn forth(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log => x.ln(),
            Self::NearOne => -(1.0 - x).ln(),
        }
    }

    fn back(self, y: f64) -> f64 {
        match self {
            Self::Linear => y,
            Self::Log => y.exp(),
            Self::NearOne => 1.0 - (-y).exp(),
        }
    }

    /// The number at a place (0 to 1) between two.
    pub fn between(self, low: f64, high: f64, place: f64) -> f64 {
        let (from, to) = (self.forth(low), self.forth(high));
        self.back(from + place.clamp(0.0, 1.0) * (to - from))
    }
}

impl Domain {
    /// The one value that it has.
    pub fn fixed(literal: &Literal) -> Self {
        Self::Choice(vec![literal.value.clone()])
    }

    /// What a comment says: `fixed`, `one of: …`, a range; `None` where it says none of them.
    pub fn declared(literal: &Literal, words: &str) -> Option<Self> {
        if words.split(|c: char| !c.is_ascii_alphanumeric()).next() == Some("fixed") {
            return Some(Self::fixed(literal));
        }
        if let Some((_, list)) = words.split_once("one of:") {
            let choices: Vec<Value> = list
                .split(',')
                .filter_map(|choice| choice_like(literal, choice.trim().trim_end_matches('.')))
                .collect();
            return Some(if choices.len() > 1 { Self::Choice(choices) } else { Self::fixed(literal) });
        }
        range(literal, words)
    }

    /// What a researcher would try first for a constant without a comment.
    pub fn guess(name: &str, literal: &Literal) -> Self {
        guess(name, &literal.value).unwrap_or_else(|| Self::fixed(literal))
    }

    /// Whether it is never changed.
    pub fn is_fixed(&self) -> bool {
        self.choices().is_some_and(|count| count < 2)
    }

    /// In words, each value as the literal would be written.
    pub fn describe(&self, literal: &Literal) -> String {
        let number = |x: f64, whole: bool| {
            literal.write(&if whole { Value::Int(x as i64) } else { Value::Float(round(x, x.abs() / 1e5)) })
        };
        match self {
            Self::Choice(_) if self.is_fixed() => "fixed".to_owned(),
            Self::Choice(values) => {
                let values: Vec<String> = values.iter().map(|value| literal.write(value)).collect();
                format!("one of {}", values.join(", "))
            }
            Self::Range { low, high, scale, whole } => {
                let scale = match scale {
                    Scale::Linear => "",
                    Scale::Log => ", by its logarithm",
                    Scale::NearOne => ", by its distance from 1",
                };
                format!("{} to {}{scale}", number(*low, *whole), number(*high, *whole))
            }
        }
    }

    /// How many places a choice has; `None` for a range.
    pub fn choices(&self) -> Option<usize> {
        match self {
            Self::Choice(values) => Some(values.len()),
            Self::Range { .. } => None,
        }
    }

    /// Whether a value is one of its values.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Choice(values) => values.contains(value),
            Self::Range { low, high, .. } => value.number().is_some_and(|x| (*low..=*high).contains(&x)),
        }
    }

    /// The value that a text says, where it is one of its values.
    pub(super) fn read(&self, literal: &Literal, text: &str) -> Option<Value> {
        choice_like(literal, text).filter(|value| self.holds(value))
    }

    /// The place of a value; the nearest one for a value outside.
    pub fn place(&self, value: &Value) -> f64 {
        match self {
            Self::Choice(values) => values.iter().position(|v| v == value).unwrap_or(0) as f64,
            Self::Range { low, high, scale, .. } => {
                let x = value.number().unwrap_or(*low).clamp(*low, *high);
                let (from, to) = (scale.forth(*low), scale.forth(*high));
                ((scale.forth(x) - from) / (to - from)).clamp(0.0, 1.0)
            }
        }
    }

    /// The value at a place, rounded as a person would write it.
    pub fn value(&self, place: f64) -> Value {
        match self {
            Self::Choice(values) => {
                let index = (place.max(0.0) as usize).min(values.len().saturating_sub(1));
                values[index].clone()
            }
            Self::Range { low, high, scale, whole } => {
                let x = scale.between(*low, *high, place);
                if *whole {
                    return Value::Int(x.round().clamp(*low, *high) as i64);
                }
                let digit = match scale {
                    Scale::Linear => (high - low) / 20.0,
                    Scale::Log => x.abs() / 10.0,
                    Scale::NearOne => (1.0 - x) / 10.0,
                };
                Value::Float(round(x, digit).clamp(*low, *high))
            }
        }
    }
}

/// `x` to the decimal place of `digit`, exactly as its decimal digits read.
fn round(x: f64, digit: f64) -> f64 {
    let places = -(digit.log10().floor());
    if !places.is_finite() {
        return x;
    }
    let exponent = places as i32;
    if exponent > 0 {
        format!("{x:.*}", exponent as usize).parse().unwrap_or(x)
    } else {
        let unit = 10f64.powi(-exponent);
        (x / unit).round() * unit
    }
}

/// A choice of the same kind as the literal; a string may stand without quotes.
fn choice_like(literal: &Literal, choice: &str) -> Option<Value> {
    let read = Literal::parse(choice).map(|literal| literal.value);
    match (&literal.value, read) {
        (Value::Int(_), Some(value @ Value::Int(_)))
        | (Value::Bool(_), Some(value @ Value::Bool(_)))
        | (Value::Text(_), Some(value @ Value::Text(_))) => Some(value),
        (Value::Float(_), Some(value)) => value.number().map(Value::Float),
        (Value::Text(_), _) if !choice.is_empty() && !choice.contains(['"', '\'', '\\']) => {
            Some(Value::Text(choice.to_owned()))
        }
        _ => None,
    }
}

/// A range that the comment gives: `1e-4..1e-1 log`, `0.0..=0.5`.
fn range(literal: &Literal, comment: &str) -> Option<Domain> {
    literal.value.number()?;
    let at = comment.find("..")?;
    let low = comment[..at].rsplit([' ', '\t', ',', '(', '[', ':']).next()?;
    let high = comment[at..].trim_start_matches(['.', '=']);
    let high = high.split([' ', '\t', ',', ';', ')', ']']).next()?.trim_end_matches('.');
    let number = |text: &str| Literal::parse(text).and_then(|literal| literal.value.number());
    let (low, high) = (number(low)?, number(high)?);
    let log = comment[at..].split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "log");
    let scale = if log && low > 0.0 { Scale::Log } else { Scale::Linear };
    (low < high).then(|| Domain::Range { low, high, scale, whole: matches!(literal.value, Value::Int(_)) })
}

/// Words of a name that say that the constant is a share of something: at most 1.
const SHARES: [&str; 4] = ["RATIO", "FRAC", "FRACTION", "PROB"];

fn guess(name: &str, value: &Value) -> Option<Domain> {
    let range = |low: f64, high: f64, scale| Some(Domain::Range { low, high, scale, whole: false });
    match value {
        Value::Bool(_) => Some(Domain::Choice(vec![Value::Bool(false), Value::Bool(true)])),
        // A string may mean anything: only its comment can say what.
        Value::Text(_) => None,
        Value::Int(n) if *n >= 2 && (*n as u64).is_power_of_two() => {
            let near = [n / 4, n / 2, *n, n.checked_mul(2)?, n.checked_mul(4)?];
            Some(Domain::Choice(near.into_iter().filter(|n| *n >= 1).map(Value::Int).collect()))
        }
        Value::Int(0) => None,
        Value::Int(n) => {
            let (a, b) = (*n as f64 * 0.5, *n as f64 * 2.0);
            let (low, high) = (a.min(b), a.max(b));
            let low = if *n > 0 { low.max(1.0).floor() } else { low };
            Some(Domain::Range { low, high: high.ceil(), scale: Scale::Linear, whole: true })
        }
        Value::Float(x) if *x == 0.0 => {
            let drop = name.contains("DROP");
            range(0.0, if drop { 0.3 } else { 0.1 }, Scale::Linear)
        }
        // 0.9 and 0.95 are a momentum's or an average's: what matters is the distance from 1.
        Value::Float(x) if (0.8..1.0).contains(x) => {
            let distance = 1.0 - x;
            range(1.0 - (distance * 4.0).min(0.5), 1.0 - distance / 4.0, Scale::NearOne)
        }
        Value::Float(x) if *x > 0.0 && *x < 1.0 => {
            let share = parts(name).any(|part| SHARES.contains(&part));
            range(x / 4.0, if share { (x * 4.0).min(1.0) } else { x * 4.0 }, Scale::Log)
        }
        Value::Float(x) => range((x * 0.5).min(x * 2.0), (x * 0.5).max(x * 2.0), Scale::Linear),
    }
}
