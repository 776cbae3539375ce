//! What a proposer is doing at this moment, for whoever looks.

use std::sync::{Arc, Mutex, PoisonError};

use super::worktree::one_line;

/// How much of it is told, in characters.
const LONGEST: usize = 120;

/// A note that a proposer keeps up to date while it makes a candidate; its clones are the same note.
#[derive(Clone, Debug, Default)]
pub struct Doing(Arc<Mutex<Option<String>>>);

impl Doing {
    /// Writes down what it does now: what follows its name in a sentence, such as `looks up experiment 7`.
    pub(crate) fn says(&self, words: &str) {
        let mut words = one_line(words);
        if let Some((end, _)) = words.char_indices().nth(LONGEST) {
            words.truncate(end);
            words.push('…');
        }
        *self.note() = Some(words);
    }

    /// It has ended.
    pub(crate) fn ends(&self) {
        *self.note() = None;
    }

    /// What was written down last.
    pub(crate) fn said(&self) -> Option<String> {
        self.note().clone()
    }

    fn note(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_tells_the_same_and_a_long_one_is_cut() {
        let doing = Doing::default();
        let seen = doing.clone();
        assert_eq!(seen.said(), None);
        doing.says("reads\n train.py");
        assert_eq!(seen.said().as_deref(), Some("reads train.py"));
        doing.says(&"é".repeat(300));
        assert_eq!(seen.said().map(|words| words.chars().count()), Some(LONGEST + 1));
        doing.ends();
        assert_eq!(seen.said(), None);
    }
}
