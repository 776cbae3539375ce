//! The lines by which a model or an agent says what it means: a word in capitals, a colon, and the rest.

/// How many ideas of one answer are kept.
const IDEAS: usize = 5;

/// What was said beside the change itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Words {
    /// What is tried, in a sentence.
    pub(super) hypothesis: String,
    /// What it is expected to bring.
    pub(super) expected: Option<String>,
    /// What could be tried later.
    pub(super) ideas: Vec<String>,
    /// Which of the ideas that wait it takes up, from 1.
    pub(super) takes: Option<usize>,
}

impl Words {
    /// Everything that a text says.
    pub(super) fn of(text: &str) -> Self {
        let mut words = Self::default();
        for (word, rest) in text.lines().filter_map(split) {
            words.hear(&word, rest);
        }
        words
    }

    /// Takes in one line; of two that say the same the later one holds.
    pub(super) fn hear(&mut self, word: &str, rest: &str) {
        match word {
            _ if rest.is_empty() => {}
            "HYPOTHESIS" => rest.clone_into(&mut self.hypothesis),
            "EXPECTED" => self.expected = Some(rest.to_owned()),
            "IDEA" if self.ideas.len() < IDEAS => self.ideas.push(rest.to_owned()),
            "TAKES" => {
                let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                self.takes = digits[..end].parse().ok();
            }
            _ => {}
        }
    }
}

/// A line without the Markdown around it.
pub(super) fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '-' | '>'))
}

/// A line's word, in capitals, and what follows it; Markdown around them is taken off.
pub(super) fn split(line: &str) -> Option<(String, &str)> {
    let (word, rest) = bare(line).split_once(':')?;
    let word = word.trim_matches('*').to_ascii_uppercase();
    Some((word, rest.trim_matches(|c: char| c.is_whitespace() || c == '*')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_so_holds() {
        let told = "HYPOTHESIS: a first thought\n\nI edited it.\n**HYPOTHESIS:** halve the rate\n- TAKES: idea 12, more or \
                    less\nIDEA: a\nidea: b\nDone.\nHYPOTHESIS:";
        let words = Words::of(told);
        assert_eq!((words.hypothesis.as_str(), words.takes), ("halve the rate", Some(12)));
        assert_eq!(words.ideas, ["a", "b"]);
        assert_eq!(Words::of("I did something"), Words::default());
        assert_eq!(Words::of("TAKES: none").takes, None);
    }
}
