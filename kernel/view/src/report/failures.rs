//! What failed, and the pattern in it: how many, and the reasons grouped by what they have in common.

use std::collections::HashMap;

use lab::{Experiment, Status};

use super::{
    View,
    document::{Block, Side, figure, text},
    sections::outcomes,
};
use crate::{
    number::{count, fixed},
    text::{clip, one_line},
};

/// Patterns that are told.
const PATTERNS: usize = 12;
/// Columns of a reason.
const REASON: usize = 160;
/// Experiments that are named for each.
const EXAMPLES: usize = 5;

/// Reasons that have the same stem.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern<'a> {
    /// What became of all of them.
    pub(crate) status: Status,
    /// What the reasons have in common; numbers are `N`, names `…`.
    pub(crate) stem: String,
    /// The experiments, in the order of their numbers.
    pub(crate) experiments: Vec<&'a Experiment>,
}

pub(super) fn section(view: &View<'_>) -> Vec<Block> {
    let mut blocks = vec![Block::Section("What failed")];
    let outcomes = outcomes(view);
    if outcomes.is_empty() {
        let words = if view.tried() == 0 {
            "Nothing has been tried yet."
        } else {
            "Nothing: whatever was tried was kept."
        };
        blocks.push(Block::Words(vec![text(words)]));
        return blocks;
    }
    blocks.push(Block::Words(vec![
        text("Of "),
        figure("failed.tried", fixed(view.tried() as f64, 0)),
        text(" that were tried: "),
        figure("failed.outcomes", outcomes),
        text("."),
    ]));
    let patterns = patterns(view.own);
    if patterns.is_empty() {
        return blocks;
    }
    let rows = patterns.iter().take(PATTERNS).enumerate().map(|(i, pattern)| {
        let n = pattern.experiments.len();
        let mut named: Vec<String> =
            pattern.experiments.iter().take(EXAMPLES).map(|e| view.label(e)).collect();
        named.extend((n > EXAMPLES).then(|| "…".to_owned()));
        vec![
            vec![text(pattern.status.word())],
            vec![figure(format!("failed.{i}.count"), n.to_string())],
            vec![text(pattern.stem.clone())],
            vec![text(named.join(", "))],
        ]
    });
    let head = |name: &str, side| (name.to_owned(), side);
    let heads = vec![
        head("what became of it", Side::Left),
        head("how many", Side::Right),
        head("why", Side::Left),
        head("experiments", Side::Left),
    ];
    blocks.push(Block::Table { heads, rows: rows.collect() });
    if patterns.len() > PATTERNS {
        let more = patterns.len() - PATTERNS;
        blocks.push(Block::Note(vec![text(format!(
            "… {} more, each of fewer.",
            count(more, "pattern", "patterns")
        ))]));
    }
    blocks
}

/// Why experiments failed, the most frequent first; what was only no better is no failure.
pub(crate) fn patterns(experiments: &[Experiment]) -> Vec<Pattern<'_>> {
    let mut patterns: Vec<Pattern<'_>> = Vec::new();
    let mut known: HashMap<(Status, String), usize> = HashMap::new();
    let failed =
        |e: &&Experiment| !matches!(e.record.status, Status::Keep | Status::Discard | Status::Waiting);
    for experiment in experiments.iter().filter(failed) {
        let (status, stem) = (experiment.record.status, stem(&experiment.record.reason));
        let at = *known.entry((status, stem.clone())).or_insert_with(|| {
            patterns.push(Pattern { status, stem, experiments: Vec::new() });
            patterns.len() - 1
        });
        patterns[at].experiments.push(experiment);
    }
    patterns.sort_by(|a, b| b.experiments.len().cmp(&a.experiments.len()).then_with(|| a.stem.cmp(&b.stem)));
    patterns
}

/// A reason without what differs from one experiment to the next: numbers, and names in quotes.
fn stem(reason: &str) -> String {
    let reason = clip(&one_line(reason), REASON);
    let mut out = String::with_capacity(reason.len());
    let mut rest = reason.as_str();
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let begins_word =
            out.chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        if "`\"'".contains(c)
            && begins_word
            && let Some((_, after)) = after.split_once(c)
        {
            out.push_str(&format!("{c}…{c}"));
            rest = after;
        } else if c.is_ascii_digit() && begins_word {
            let end =
                after.find(|c: char| !(c.is_ascii_alphanumeric() || ".,".contains(c))).unwrap_or(after.len());
            // A point or a comma after a number belongs to the sentence.
            let number = after[..end].trim_end_matches(['.', ',']);
            out.push('N');
            rest = &after[number.len()..];
        } else {
            out.push(c);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reasons_of_one_kind_have_one_stem() {
        let stems = [
            "the run ended with exit 137 after 3.2s.",
            "exit 1: KeyError: 'n_head'",
            "the build failed: `train/src/main.rs:12` does not compile",
            "it's 5 times over",
            "conv2d of 64x64",
            "",
        ]
        .map(stem);
        insta::assert_snapshot!(stems.join("\n"), @r"
        the run ended with exit N after N.
        exit N: KeyError: '…'
        the build failed: `…` does not compile
        it's N times over
        conv2d of N
        ");
    }

    proptest! {
        #[test]
        fn a_stem_is_one_line_without_numbers_in_words(reason in ".{0,200}") {
            let stem = stem(&reason);
            prop_assert!(!stem.contains('\n'));
            prop_assert!(stem.chars().count() <= 2 * REASON);
        }
    }
}
