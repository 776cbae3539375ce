//! Steps and epochs, as lines name them: `step 00123`, `step=7`, `iter 100:`, `Epoch [1/10]`.

use super::{is_name_char, number};

/// A step or an epoch that a line names.
pub(super) struct Counter<'a> {
    /// Whether it counts epochs.
    pub(super) is_epoch: bool,
    pub(super) value: f64,
    /// The text before it.
    pub(super) before: &'a str,
    /// The text after it and after what ends it, such as `:` or `]`.
    pub(super) rest: &'a str,
}

const WORDS: [(&str, bool); 5] =
    [("step", false), ("iter", false), ("iteration", false), ("global_step", false), ("epoch", true)];

impl<'a> Counter<'a> {
    /// Finds the first one in `text`.
    pub(super) fn find(text: &'a str) -> Option<Self> {
        let mut inside = false;
        for (at, c) in text.char_indices() {
            let begins = !inside && matches!(c, 's' | 'S' | 'i' | 'I' | 'g' | 'G' | 'e' | 'E');
            inside = is_name_char(c);
            if begins && let Some(counter) = Self::at(text, at) {
                return Some(counter);
            }
        }
        None
    }

    fn at(text: &'a str, at: usize) -> Option<Self> {
        let word = &text[at..];
        let end = word.find(|c| !is_name_char(c))?;
        let (_, is_epoch) = WORDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(&word[..end]))?;
        let rest = word[end..].trim_start_matches([' ', ':', '=', '#', '[', '(']);
        if !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (value, rest) = number::split(rest)?;
        let rest = total(rest);
        if rest.starts_with(is_name_char) || (!is_epoch && value.fract() != 0.0) {
            return None;
        }
        let rest = rest.trim_start_matches([' ', ':', ']', ')', '>']);
        Some(Self { is_epoch, value, before: text[..at].trim(), rest })
    }
}

/// The text after `/100` or ` of 100`.
fn total(rest: &str) -> &str {
    let after = rest.strip_prefix('/').or_else(|| rest.strip_prefix(" of "));
    after.and_then(|total| number::split(total.trim_start())).map_or(rest, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_epochs() {
        let read = |text| Counter::find(text).map(|found| (found.is_epoch, found.value, found.rest));
        assert_eq!(read("step 00123 (12.9%)"), Some((false, 123.0, "(12.9%)")));
        assert_eq!(read("step=7 loss=2"), Some((false, 7.0, "loss=2")));
        assert_eq!(read("[INFO] iter 1,000: loss 2"), Some((false, 1000.0, "loss 2")));
        assert_eq!(read("Step [100/600]"), Some((false, 100.0, "")));
        assert_eq!(read("step 3 of 10 x=1"), Some((false, 3.0, "x=1")));
        assert_eq!(read("epoch: 0.01"), Some((true, 0.01, "")));
        for none in [
            "steps: 5",
            "step",
            "time/step: 3",
            "step_time: 3",
            "5.0ms/step",
            "step 1.5",
            "epoch=3-step=500.ckpt",
            "step 3rd",
            "footstep 3",
            "step -3",
            "step x",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
