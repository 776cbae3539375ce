//! Colours and the few inline styles that everything shares.
//!
//! Only inline styles, only hexadecimal colours (with alpha as two more digits), and text in the
//! colour that the page gives it: so the same HTML is right in a light and a dark theme, and survives
//! the sanitizer that `JupyterLab` puts before untrusted notebooks (it drops `<style>`, SVG, flex
//! properties, `rgb()` and `var()`). The colours are Okabe and Ito's, told apart by every kind of
//! colour vision; status is never told by colour alone.

use lab::Status;

/// Kept, better.
pub(crate) const GREEN: &str = "#009e73";
/// A baseline, the first of several curves.
pub(crate) const BLUE: &str = "#0072b2";
/// The current run and the night's progress: blue that is legible on white and on black.
pub(crate) const LIVE: &str = "#3a96d0";
/// A crash, an error, worse.
pub(crate) const RED: &str = "#d55e00";
/// To be looked at.
pub(crate) const ORANGE: &str = "#e69f00";
/// A third.
pub(crate) const PURPLE: &str = "#cc79a7";
/// Discarded, of no weight.
pub(crate) const GREY: &str = "#8a8a8a";

/// The empty part of a bar.
pub(crate) const TRACK: &str = "#80808033";

/// The colour of a status.
pub(crate) fn status_colour(status: Status) -> &'static str {
    match status {
        Status::Keep => GREEN,
        Status::Discard => GREY,
        Status::Crash | Status::Timeout => RED,
        Status::Invalid => PURPLE,
        Status::Suspect => ORANGE,
        Status::Waiting => BLUE,
    }
}

/// The letter of a status, for those who see no colour and for narrow columns.
pub(crate) fn status_letter(status: Status) -> &'static str {
    match status {
        Status::Keep => "K",
        Status::Discard => "D",
        Status::Crash => "C",
        Status::Timeout => "T",
        Status::Invalid => "I",
        Status::Suspect => "S",
        Status::Waiting => "W",
    }
}

/// The letter in a coloured box, then the word.
pub(crate) fn badge(status: Status) -> maud::Markup {
    maud::html! {
        span style=(format!(
            "display:inline-block;width:16px;border-radius:3px;background-color:{};color:{};\
             text-align:center;font-weight:600;font-size:11px;line-height:16px",
            status_colour(status), ink(status_colour(status))
        )) { (status_letter(status)) }
        " " (status.word())
    }
}

/// White or black, whichever can be read on a colour: white only where its contrast is 4.5 to 1 or more.
pub(crate) fn ink(colour: &str) -> &'static str {
    if contrast(colour, "#ffffff") >= 4.5 { "#ffffff" } else { "#111111" }
}

/// The contrast of two colours as the WCAG counts it: 1 to 21.
fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let byte = colour.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let share = f64::from(byte) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

/// A box with a coloured edge.
pub(crate) fn callout(colour: &str) -> String {
    format!("border-left:3px solid {colour};background-color:{colour}1a;padding:6px 10px;margin:2px 0")
}

/// A horizontal bar filled to `share` (0 to 1).
pub(crate) fn bar(share: f64, colour: &str, width: &str) -> maud::Markup {
    let filled = format!("{:.1}%", share.clamp(0.0, 1.0) * 100.0);
    maud::html! {
        div style=(format!("width:{width};height:8px;border-radius:4px;overflow:hidden;background-color:{TRACK}")) {
            div style=(format!("width:{filled};height:8px;border-radius:4px;background-color:{colour}")) {}
        }
    }
}

/// The same bar for a terminal, `width` columns wide.
pub(crate) fn text_bar(share: f64, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let mut bar = "█".repeat(full) + PARTS[part];
    bar.push_str(&"·".repeat(width.saturating_sub(full + usize::from(part > 0))));
    bar
}

/// A table cell: its alignment and the white space around it.
pub(crate) const CELL: &str = "padding:3px 8px;text-align:left;vertical-align:top;white-space:nowrap";
/// A table cell of a number.
pub(crate) const NUMBER: &str = "padding:3px 8px;text-align:right;vertical-align:top;white-space:nowrap";
/// A table cell of running text.
pub(crate) const PROSE: &str =
    "padding:3px 8px;text-align:left;vertical-align:top;white-space:normal;min-width:180px;max-width:520px";
/// The table itself.
pub(crate) const TABLE: &str = "border-collapse:collapse;font-size:13px;margin:2px 0";
/// Less important text.
pub(crate) const MUTED: &str = "opacity:0.65";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_read_on_every_colour() {
        for status in Status::ALL {
            let colour = status_colour(status);
            assert!(contrast(colour, ink(colour)) >= 4.5, "{status}");
        }
        assert_eq!((ink(ORANGE), ink(BLUE)), ("#111111", "#ffffff"));
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 0.01);
    }

    #[test]
    fn bars_fill() {
        assert_eq!(text_bar(0.5, 4), "██··");
        assert_eq!(text_bar(0.53, 4), "██▏·");
        assert_eq!(text_bar(7.0, 4), "████");
        assert_eq!(text_bar(f64::NAN, 4), "····");
    }
}
