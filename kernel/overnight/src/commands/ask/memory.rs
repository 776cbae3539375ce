//! What was asked and answered before in one kernel.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runner::proposers::prompt::data;

/// How many questions are remembered.
const QUESTIONS: usize = 6;
/// How much of each answer, in bytes.
const ANSWER: usize = 3_000;

/// The latest questions and answers, shared by the commands of one kernel; a terminal's is always empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<VecDeque<Exchange>>>);

#[derive(Debug)]
struct Exchange {
    /// The lab that it was about.
    lab: PathBuf,
    question: String,
    answer: String,
}

impl Memory {
    /// Remembers an answer about the lab at `lab`.
    pub(super) fn keep(&self, lab: &Path, question: &str, answer: &str) {
        let mut exchanges = self.exchanges();
        if exchanges.len() == QUESTIONS {
            exchanges.pop_front();
        }
        let cut = answer.floor_char_boundary(ANSWER);
        let mark = if cut < answer.len() { " […]" } else { "" };
        exchanges.push_back(Exchange {
            lab: lab.to_owned(),
            question: question.to_owned(),
            answer: format!("{}{mark}", &answer[..cut]),
        });
    }

    /// What a model is told of it.
    pub(super) fn told(&self, lab: &Path) -> String {
        let mut told = String::new();
        for exchange in self.exchanges().iter().filter(|exchange| exchange.lab == lab) {
            let Exchange { question, answer, .. } = exchange;
            // An answer may quote a log, which must not be taken for words of the researcher.
            let (question, answer) = (data(question), data(answer));
            let _ = write!(told, "The researcher asked:\n\n{question}\nYou answered:\n\n{answer}\n");
        }
        if told.is_empty() { told } else { format!("# Earlier in this session\n\n{told}") }
    }

    fn exchanges(&self) -> MutexGuard<'_, VecDeque<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_one_lab_are_told_and_long_ones_cut() {
        let (memory, here) = (Memory::default(), Path::new("/here"));
        assert_eq!(memory.told(here), "");
        for n in 0..QUESTIONS {
            memory.keep(here, &format!("question {n}?"), "so");
        }
        memory.keep(Path::new("/there"), "of another lab?", "so");
        memory.keep(here, "the last?", &"é".repeat(ANSWER));
        let told = memory.told(here);
        assert!(!told.contains("question 1?") && told.contains("question 2?") && told.contains("the last?"));
        assert!(!told.contains("another lab") && told.contains("é […]") && told.len() < 2 * ANSWER);
    }
}
