//! The colours of charts: those of Okabe and Ito, who chose them for colour-blind people, darkened where they would be
//! faint. Each is told apart from white and from JupyterLab's dark ground by 3 to 1 at least, so that one picture is
//! right in both.

/// Kept, better.
pub(super) const GREEN: &str = "#009e73";
/// Words about what was kept.
pub(super) const GREEN_INK: &str = "#008a68";
/// A baseline, the first of several curves.
pub(super) const BLUE: &str = "#0072b2";
/// A crash, a timeout.
pub(super) const RED: &str = "#d55e00";
/// To be looked at.
pub(super) const ORANGE: &str = "#b57c00";
/// A further curve.
pub(super) const SKY: &str = "#4490bd";
/// A further curve.
pub(super) const PURPLE: &str = "#bb6d98";
/// Of no weight.
pub(super) const GREY: &str = "#7a7a7a";
/// Axes and words: legible on white and on black.
pub(super) const INK: &str = "#808080";

/// Colours in the order in which series get them.
pub(super) const SERIES: [&str; 7] = [BLUE, RED, GREEN, PURPLE, ORANGE, SKY, GREY];

/// How opaque what was discarded is: the lowest that leaves it the contrast that all has.
pub(super) const FADED: f64 = 0.85;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parts(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()))
    }

    /// WCAG's relative luminance of what is seen where a colour covers a ground in part.
    fn luminance(colour: &str, ground: &str, opacity: f64) -> f64 {
        let [r, g, b] = [0, 1, 2].map(|i| {
            let c = (opacity * parts(colour)[i] + (1.0 - opacity) * parts(ground)[i]) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(colour: &str, ground: &str, opacity: f64) -> f64 {
        let (a, b) = (luminance(colour, ground, opacity), luminance(ground, ground, 1.0));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn all_can_be_seen_on_light_and_dark() {
        for ground in ["#ffffff", "#111111"] {
            for colour in SERIES.into_iter().chain([GREEN_INK, INK]) {
                let found = contrast(colour, ground, 1.0);
                assert!(found >= 3.0, "{colour} on {ground}: {found:.2}");
            }
            assert!(contrast(GREY, ground, FADED) >= 3.0);
        }
    }
}
