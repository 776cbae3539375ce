//! A metric's value as people read it: in tables, in the live view, in commit messages.

/// Shows a value with six significant digits, as loops print them, whole numbers whole and in groups.
///
/// ```
/// use lab::value::format_value;
/// let shown = [0.9979, 3.2145678, 310.0, 1_690_000.0, 45_060.24, 0.0000123, -0.0021].map(format_value);
/// assert_eq!(shown, ["0.997900", "3.21457", "310", "1,690,000", "45,060.2", "1.23e-5", "-0.002100"]);
/// ```
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e15).contains(&size) {
        return short_exponent(value);
    }
    if value.fract() == 0.0 {
        return grouped(&format!("{value:.0}"));
    }
    // Below 1 six decimals, as `val_bpb` is printed; above it as many as make six digits.
    let whole_digits = if size < 1.0 { 0 } else { size.log10() as usize + 1 };
    grouped(&format!("{value:.*}", 6_usize.saturating_sub(whole_digits)))
}

/// Shows a difference: [`format_value`] with its sign, `+0.002100` or `-0.002100`.
pub fn format_delta(delta: f64) -> String {
    let shown = format_value(delta);
    if delta > 0.0 { format!("+{shown}") } else { shown }
}

/// `1.23e-5`: at most six digits, without zeros at their end.
fn short_exponent(value: f64) -> String {
    let shown = format!("{value:.5e}");
    match shown.split_once('e') {
        Some((digits, exponent)) => {
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        None => shown,
    }
}

/// Puts a comma between each three digits before the point.
fn grouped(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = number.find('.').map_or((number, ""), |point| number.split_at(point));
    let mut shown = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown + fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_at_the_edges() {
        let values =
            [0.0, -0.0, 1.0, 0.1, 999_999.5, 1e15, 123.456_789, 0.000_123_4, f64::NAN, f64::NEG_INFINITY];
        let shown = values.map(format_value).join("  ");
        insta::assert_snapshot!(shown, @"0  0  1  0.100000  1,000,000  1e15  123.457  1.234e-4  NaN  -inf");
        assert_eq!(
            [format_delta(0.5), format_delta(-0.5), format_delta(0.0)],
            ["+0.500000", "-0.500000", "0"]
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_near_the_value(value in -1e12..1e12_f64) {
            let read: f64 = format_value(value).replace(',', "").parse().map_err(|_| TestCaseError::fail("no number"))?;
            prop_assert!((read - value).abs() <= value.abs() * 1e-5 + 1e-6);
        }
    }
}
