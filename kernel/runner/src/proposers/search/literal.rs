//! Literals: their value, and how they were written, so that a new value is written alike.

/// The value of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A string without escapes, without its quotes.
    Text(String),
}

impl Value {
    /// It as a number, where it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(x) => Some(*x),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

/// A literal of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// As it stands in the file.
    pub source: String,
    /// Its value.
    pub value: Value,
}

impl Literal {
    /// Reads a literal of Rust or Python; `None` where it is anything else, such as an expression.
    pub fn parse(source: &str) -> Option<Self> {
        let value = match source {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            _ if source.starts_with(['"', '\'']) => Value::Text(unquote(source)?.to_owned()),
            _ => Power::parse(source)
                .and_then(|power| power.value())
                .map(Value::Int)
                .or_else(|| number(source))?,
        };
        Some(Self { source: source.to_owned(), value })
    }

    /// Reads a word without quotes, as YAML has them, where `words` say that it is one of several.
    pub fn bare(source: &str, words: &str) -> Option<Self> {
        let is_word = source.chars().all(|c| c.is_alphanumeric() || "_-./".contains(c));
        (is_word && words.contains("one of:"))
            .then(|| Self { source: source.to_owned(), value: Value::Text(source.to_owned()) })
    }

    /// `value` in the style of this literal: exponent, underscores, decimals, quotes, suffix.
    pub fn write(&self, value: &Value) -> String {
        let (body, suffix) = split_suffix(&self.source);
        match value {
            Value::Bool(b) => {
                let capital = self.source.starts_with(['T', 'F']);
                match (b, capital) {
                    (true, true) => "True",
                    (false, true) => "False",
                    (true, false) => "true",
                    (false, false) => "false",
                }
                .to_owned()
            }
            Value::Text(text) => {
                let quote = self.source.chars().next().filter(|c| matches!(c, '"' | '\''));
                quote.map_or_else(|| text.clone(), |quote| format!("{quote}{text}{quote}"))
            }
            Value::Int(n) => {
                let power = Power::parse(&self.source).and_then(|power| power.write(*n));
                power.unwrap_or_else(|| {
                    let digits = n.to_string();
                    let digits = if body.contains('_') { grouped(&digits) } else { digits };
                    format!("{digits}{suffix}")
                })
            }
            Value::Float(x) => {
                let text = if body.contains(['e', 'E']) {
                    let text = format!("{x:e}");
                    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                    let point = if body.contains('.') && !mantissa.contains('.') { ".0" } else { "" };
                    let mark = if body.contains('E') { 'E' } else { 'e' };
                    format!("{mantissa}{point}{mark}{exponent}")
                } else {
                    let text = x.to_string();
                    if text.contains('.') { text } else { format!("{text}.0") }
                };
                format!("{text}{suffix}")
            }
        }
    }

    /// What `value` is once it was written in this style and read back.
    pub fn written(&self, value: &Value) -> Value {
        Self::parse(&self.write(value)).map_or_else(|| value.clone(), |literal| literal.value)
    }
}

/// A whole number as a power: `2**19`, `1 << 19`.
struct Power<'s> {
    base: i64,
    /// The operator, with the spaces around it.
    operator: &'s str,
    exponent: u32,
}

impl<'s> Power<'s> {
    fn parse(source: &'s str) -> Option<Self> {
        let at = source.find("**").or_else(|| source.find("<<"))?;
        let (base, exponent) = (source[..at].trim_end(), source[at + 2..].trim_start());
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let operator = &source[base.len()..source.len() - exponent.len()];
        (plain(base) && plain(exponent)).then_some(())?;
        Some(Self { base: base.parse().ok()?, operator, exponent: exponent.parse().ok()? })
    }

    fn value(&self) -> Option<i64> {
        self.raised(self.exponent)
    }

    fn raised(&self, exponent: u32) -> Option<i64> {
        if self.operator.trim() == "**" {
            self.base.checked_pow(exponent)
        } else {
            self.base.checked_mul(2_i64.checked_pow(exponent)?)
        }
    }

    /// Another number by another exponent, where there is one.
    fn write(&self, n: i64) -> Option<String> {
        let exponent = (0..i64::BITS).find(|exponent| self.raised(*exponent) == Some(n))?;
        Some(format!("{}{}{exponent}", self.base, self.operator))
    }
}

fn unquote(source: &str) -> Option<&str> {
    let quote = source.chars().next()?;
    let inner = source.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\', '\n'])).then_some(inner)
}

/// The literal without its Rust type suffix, and the suffix with the underscore before it.
fn split_suffix(source: &str) -> (&str, &str) {
    let types = [
        "usize", "isize", "u128", "i128", "u64", "i64", "u32", "i32", "u16", "i16", "u8", "i8", "f64", "f32",
    ];
    for name in types {
        if let Some(body) = source.strip_suffix(name)
            && body.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        {
            let body = body.trim_end_matches('_');
            return source.split_at(body.len());
        }
    }
    (source, "")
}

fn number(source: &str) -> Option<Value> {
    let (body, suffix) = split_suffix(source);
    let digits = body.strip_prefix('-').unwrap_or(body);
    let leading = digits.chars().next()?;
    let proper = leading.is_ascii_digit() || (leading == '.' && digits.len() > 1);
    let known = digits.chars().all(|c| c.is_ascii_digit() || "._eE+-".contains(c));
    // `007` is not decimal in Python, and `1__0` nothing that we would write back alike.
    if !proper || !known || body.ends_with('_') || body.contains("__") {
        return None;
    }
    let plain = body.replace('_', "");
    if plain.contains(['.', 'e', 'E']) || suffix.trim_start_matches('_').starts_with('f') {
        return plain.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Float);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    plain.parse().ok().map(Value::Int)
}

/// `12345` as `12_345`.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_literal_and_how_it_is_written_back() {
        let cases = [
            ("1e-3", Value::Float(0.0003), "3e-4"),
            ("1.0e-3", Value::Float(0.002), "2.0e-3"),
            ("0.001", Value::Float(0.003), "0.003"),
            ("1.0", Value::Float(2.0), "2.0"),
            ("3_000", Value::Int(12_500), "12_500"),
            ("8usize", Value::Int(16), "16usize"),
            ("0.1_f32", Value::Float(0.25), "0.25_f32"),
            ("-4", Value::Int(-8), "-8"),
            ("True", Value::Bool(false), "False"),
            ("'SSSL'", Value::Text("SL".into()), "'SL'"),
            ("2**19", Value::Int(1 << 18), "2**18"),
            ("1 << 19", Value::Int(1 << 20), "1 << 20"),
            ("2**19", Value::Int(300_000), "300000"),
        ];
        for (source, value, written) in cases {
            let literal = Literal::parse(source).unwrap();
            assert_eq!(literal.write(&literal.value), source, "unchanged");
            assert_eq!(literal.write(&value), written);
        }
        for source in [
            "2**19 + 1",
            "2**-1",
            "2**64",
            "-2**2",
            "**2",
            "0xff",
            "a",
            "(1, 2)",
            "\"a\\n\"",
            "1 + 1",
            "007",
            "",
            "-",
            "None",
            "f32",
            "1e999",
        ] {
            assert_eq!(Literal::parse(source), None, "{source}");
        }
    }

    proptest! {
        #[test]
        fn parse_write_parse_is_stable(source in "-?[0-9]{1,6}(\\.[0-9]{1,5})?(e-?[0-9])?(f32|f64)?|[2-9]( ?<< ?|\\*\\*)[0-9]", x in -1e6f64..1e6) {
            if let Some(literal) = Literal::parse(&source) {
                let value = match literal.value { Value::Int(_) => Value::Int(x as i64), _ => Value::Float(x) };
                let text = literal.write(&value);
                let again = Literal::parse(&text).unwrap();
                prop_assert_eq!(&again.value, &value);
                prop_assert_eq!(again.write(&again.value), text);
            }
        }
    }
}
