//! Numbers as people print them: thousands separators, units, percent, NaN.

/// Units that may follow a number, beside rates such as `tok/s`.
const UNITS: [&str; 37] = [
    "%", "s", "sec", "secs", "second", "seconds", "ms", "us", "µs", "μs", "ns", "m", "min", "mins", "h",
    "hr", "d", "x", "k", "K", "M", "G", "B", "T", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB",
    "Hz", "W", "J", "°C",
];

/// Reads a number at the start of `text`, with its unit; gives it and the text after it.
///
/// The number must end where `text` does, at white space, or before a comma or bracket that closes it.
pub(super) fn take(text: &str) -> Option<(f64, &str)> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (token, rest) = text.split_at(end);
    let token = token.trim_end_matches([',', ')', ']']);
    let (number, unit) = split(token)?;
    if !unit.is_empty() {
        return is_unit(unit).then_some((number, rest));
    }
    // A unit of its own after a space: `12.3 GiB`.
    let after = rest.trim_start();
    let word = after.split(char::is_whitespace).next().unwrap_or_default();
    Some((number, if is_unit(word) { &after[word.len()..] } else { rest }))
}

/// Reads text that is a number and nothing else.
pub(super) fn whole(text: &str) -> Option<f64> {
    let (number, unit) = split(text.trim())?;
    unit.is_empty().then_some(number)
}

fn is_unit(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.len() <= 12 && word.chars().all(char::is_alphabetic);
    UNITS.contains(&text) || text.split_once('/').is_some_and(|(what, per)| is_word(what) && is_word(per))
}

/// Splits text into the number that it starts with and what follows that.
pub(super) fn split(token: &str) -> Option<(f64, &str)> {
    let (sign, unsigned) = match token.as_bytes().first()? {
        b'-' => (-1.0, &token[1..]),
        b'+' => (1.0, &token[1..]),
        _ => (1.0, token),
    };
    if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let end = length(unsigned.as_bytes())?;
        let (digits, rest) = unsigned.split_at(end);
        let number: f64 =
            if digits.contains(',') { digits.replace(',', "").parse().ok()? } else { digits.parse().ok()? };
        return Some((sign * number, rest));
    }
    let word = |name: &str| unsigned.eq_ignore_ascii_case(name);
    if word("nan") {
        Some((f64::NAN, ""))
    } else if word("inf") || word("infinity") {
        Some((sign * f64::INFINITY, ""))
    } else {
        None
    }
}

/// The length of the number that `text` starts with: `1`, `1.5`, `.5`, `1,690,000`, `5e-05`.
fn length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let first = digits(0);
    let mut at = first;
    if (1..=3).contains(&first) {
        while text.get(at) == Some(&b',') {
            if digits(at + 1) != 3 {
                return None;
            }
            at += 4;
        }
    }
    if text.get(at) == Some(&b'.') {
        at += 1;
        let fraction = digits(at);
        if first == 0 && fraction == 0 {
            return None;
        }
        at += fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(at + 1), Some(b'-' | b'+')));
        let exponent = digits(at + 1 + signed);
        if exponent > 0 {
            at += 1 + signed + exponent;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_units() {
        let read = |text| take(text).map(|(number, rest)| (number, rest.trim()));
        for (text, number) in [
            ("3.214567", 3.214_567),
            ("310ms", 310.0),
            ("39.8%", 39.8),
            ("1,690,000", 1_690_000.0),
            ("17s", 17.0),
            ("-0.5", -0.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("5e-05", 5e-5),
            ("1E+3", 1000.0),
            ("50.3M", 50.3),
            ("12.5 GiB", 12.5),
            ("81tok/s", 81.0),
            ("5.0 it/s", 5.0),
            ("7,", 7.0),
            ("0.5]", 0.5),
            ("1,234.5", 1234.5),
        ] {
            assert_eq!(read(text), Some((number, "")), "{text}");
        }
        assert_eq!(read("inf"), Some((f64::INFINITY, "")));
        assert_eq!(read("-Infinity"), Some((f64::NEG_INFINITY, "")));
        assert!(read("NaN").is_some_and(|(number, _)| number.is_nan()));
        assert_eq!(read("0.5 acc: 1"), Some((0.5, "acc: 1")));
    }

    #[test]
    fn what_only_begins_like_a_number_is_none() {
        for text in [
            "",
            "-",
            ".",
            "e5",
            "0x1F",
            "5abcdef",
            "3rd",
            "1.2.3",
            "12:30:45",
            "1,69,000",
            "1,5",
            "2024-01-01",
            "10/20",
            "1m30s",
            "infinite",
            "nano",
            "//host",
            "e",
            "١٢",
        ] {
            assert_eq!(take(text), None, "{text}");
        }
    }
}
