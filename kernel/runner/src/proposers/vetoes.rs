//! What people have ruled out.

use regex::{Regex, RegexBuilder};

/// Patterns that no candidate may match.
#[derive(Clone, Debug, Default)]
pub struct Vetoes(Vec<Regex>);

impl Vetoes {
    /// Those that can be read: one that cannot was refused when it was said ([`Vetoes::check`]).
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().filter_map(|pattern| read(pattern).ok()).collect())
    }

    /// Whether a pattern can be read.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(pattern: &str) -> Result<(), String> {
        read(pattern).map(|_| ()).map_err(|error| error.to_string())
    }

    /// The pattern that a text matches.
    pub fn of(&self, text: &str) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.is_match(text)).map(Regex::as_str)
    }

    /// The pattern that a candidate matches: by what it is meant to do, or by a line that its diff adds.
    pub fn of_candidate(&self, hypothesis: &str, diff: &str) -> Option<&str> {
        let added = diff.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++"));
        self.of(hypothesis).or_else(|| added.into_iter().find_map(|line| self.of(&line[1..])))
    }
}

fn read(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_ruled_out_by_its_words_or_by_what_it_adds() {
        let vetoes = Vetoes::new(&["dropout".to_owned(), "^WIDTH".to_owned(), "(".to_owned()]);
        assert_eq!(vetoes.of_candidate("add Dropout of 0.1", ""), Some("dropout"));
        let diff = "--- a/WIDTH\n+++ b/WIDTH\n@@ -1 +1 @@\n-dropout = 1\n+WIDTH = 8\n";
        assert_eq!(vetoes.of_candidate("wider", diff), Some("^WIDTH"));
        assert_eq!(vetoes.of_candidate("narrower", "-dropout = 1\n+DEPTH = WIDTH\n"), None);
        assert!(Vetoes::check("(").is_err());
    }
}
