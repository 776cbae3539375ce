//! Numbers for people: as many digits as tell two values apart, and no more.

use lab::Seconds;

/// How many decimals show the differences between `values`: 4 for metrics around 1 that differ by thousandths.
pub(crate) fn decimals(values: impl IntoIterator<Item = f64>) -> usize {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let mut gaps: Vec<f64> =
        values.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let Some(largest) = values.iter().map(|value| value.abs()).max_by(f64::total_cmp) else { return 4 };
    // Five significant digits of the largest value, or enough for a typical difference.
    let before = if largest >= 1.0 { largest.log10().floor() as i32 + 1 } else { 0 };
    let by_size = (5 - before).clamp(0, 4);
    let by_gap = gaps.get(gaps.len() / 4).map_or(0, |gap| 1 - gap.log10().floor() as i32);
    let all_whole = values.iter().all(|value| value.fract() == 0.0);
    if all_whole { 0 } else { by_size.max(by_gap.min(by_size + 2)) as usize }
}

/// `0.9932`, `1,690,000`: so many decimals, and groups of three digits.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".to_owned()
        } else {
            format!("{}inf", if value < 0.0 { "−" } else { "" })
        };
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// `+0.0021` or `−0.0021`: a difference.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) { format!("+{text}") } else { text }
}

/// A number of unknown size, short: `0.9932`, `3.21`, `1,690,000`, `1.2e-7`.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    if !(1e-4..1e12).contains(&size) {
        return format!("{value:.2e}").replace('-', "−");
    }
    if value.fract() == 0.0 {
        return fixed(value, 0);
    }
    let before = if size >= 1.0 { size.log10().floor() as i32 + 1 } else { 0 };
    let text = fixed(value, (5 - before).clamp(0, 4) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A round number: `0.02`, `1,000`, `1e−5`.
pub(crate) fn plain(value: f64) -> String {
    if value == 0.0 || (1e-4..1e7).contains(&value.abs()) { short(value) } else { exponent(value) }
}

fn exponent(value: f64) -> String {
    format!("{value:.1e}").replace(".0e", "e").replace('-', "−")
}

/// The words for the ticks of an axis, which are `step` apart: all with the same decimals and the same unit, as
/// `0.95`, `20k`, `1.5M`.
pub(crate) fn ticks(values: &[f64], step: f64) -> Vec<String> {
    let largest = values.iter().map(|value| value.abs()).fold(0.0, f64::max);
    // In thousands only what is long otherwise, and nothing that would need more than one decimal.
    let units = [(1e9, "G", 1e9), (1e6, "M", 1e6), (1e3, "k", 1e4)];
    let (unit, suffix, _) = units
        .into_iter()
        .find(|(unit, _, from)| largest >= *from && step >= unit / 10.0)
        .unwrap_or((1.0, "", 0.0));
    let step = step / unit;
    if step < 1e-6 || largest / unit >= 1e12 {
        return values.iter().map(|value| exponent(*value)).collect();
    }
    let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    let word = |value: &f64| {
        let text = fixed(value / unit, decimals);
        if *value == 0.0 || suffix.is_empty() { text } else { format!("{text}{suffix}") }
    };
    values.iter().map(word).collect()
}

/// `−2.9%`: how far `value` is from `from`, if that can be said.
pub(crate) fn percent_change(value: f64, from: f64) -> Option<String> {
    let change = (value - from) / from.abs() * 100.0;
    change.is_finite().then(|| format!("{}%", signed(change, if change.abs() < 0.1 { 2 } else { 1 })))
}

/// A length of time as the tables show it: `5m 02s`, `42.1s`, `1h 03m`.
pub(crate) fn duration(seconds: Seconds) -> String {
    let all = seconds.0.max(0.0);
    if all < 59.95 {
        return format!("{all:.1}s");
    }
    let whole = all.round() as u64;
    if whole < 3600 {
        format!("{}m {:02}s", whole / 60, whole % 60)
    } else {
        format!("{}h {:02}m", whole / 3600, whole / 60 % 60)
    }
}

/// `3 keeps`, `1 keep`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", fixed(n as f64, 0), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_decimals_as_tell_apart() {
        assert_eq!(decimals([0.9979, 0.9932, 1.0230]), 4);
        assert_eq!(decimals([0.99791, 0.99792, 0.99794]), 6);
        assert_eq!(decimals([41.5, 39.25]), 3);
        assert_eq!(decimals([1_690_000.0, 1_700_000.0]), 0);
        assert_eq!(decimals([f64::NAN]), 4);
        assert_eq!(decimals([]), 4);
    }

    #[test]
    fn shows_numbers() {
        assert_eq!(fixed(1_690_000.0, 0), "1,690,000");
        assert_eq!(fixed(-0.000_01, 3), "0.000");
        assert_eq!(fixed(f64::NAN, 3), "nan");
        assert_eq!(fixed(f64::NEG_INFINITY, 3), "−inf");
        assert_eq!(signed(-0.0021, 4), "−0.0021");
        assert_eq!(signed(0.0021, 4), "+0.0021");
        assert_eq!(signed(0.0, 4), "0.0000");
        assert_eq!(
            (short(0.9932), short(3.2), short(1e-7)),
            ("0.9932".into(), "3.2".into(), "1.00e−7".into())
        );
        assert_eq!(percent_change(0.9932, 1.023).as_deref(), Some("−2.9%"));
        assert_eq!(percent_change(1.0, 0.0), None);
    }

    #[test]
    fn ticks_and_durations() {
        assert_eq!(ticks(&[0.95, 1.0], 0.05), ["0.95", "1.00"]);
        assert_eq!(ticks(&[0.0, 5e3, 1e4, 1.5e4], 5e3), ["0", "5k", "10k", "15k"]);
        assert_eq!(ticks(&[5e5, 1e6, 1.5e6], 5e5), ["0.5M", "1.0M", "1.5M"]);
        assert_eq!(ticks(&[0.0, 200.0, 1200.0], 200.0), ["0", "200", "1,200"]);
        assert_eq!(ticks(&[1e7, 1e7 + 1.0], 1.0), ["10,000,000", "10,000,001"]);
        assert_eq!(ticks(&[2e-8, 4e-8], 2e-8), ["2e−8", "4e−8"]);
        assert_eq!(duration(Seconds(302.0)), "5m 02s");
        assert_eq!(duration(Seconds(42.11)), "42.1s");
        assert_eq!(duration(Seconds(3780.0)), "1h 03m");
        assert_eq!(duration(Seconds(59.97)), "1m 00s");
        assert_eq!(count(1, "keep", "keeps"), "1 keep");
    }
}
