//! What is said to a proposer beside the program: a fold of the ledger's events.
//!
//! ```
//! use lab::{Event, Said};
//!
//! let idea = |text: &str, now| Event::Idea { text: text.to_owned(), proposer: None, now, cell: None };
//! let mut said = Said::default();
//! said.hear(&idea("warm up for longer", false), "Ada");
//! said.hear(&idea("halve the batch", true), "Ada");
//! let texts: Vec<&str> = said.ideas.iter().map(|idea| idea.text.as_str()).collect();
//! assert_eq!(texts, ["halve the batch", "warm up for longer"]);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Entry, Event, Hook, IdeaPlace};

/// How many ideas of proposers wait at most: the oldest go.
const IDEAS: usize = 100;

/// What people, hooks and proposers have said that the next proposal is to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// What people told, oldest first.
    pub steering: Vec<String>,
    /// Ideas that wait, the next one first.
    pub ideas: Vec<Idea>,
    /// What is ruled out: regular expressions.
    pub vetoes: Vec<String>,
    /// What each hook printed last.
    pub hooks: BTreeMap<Hook, String>,
    /// Ideas that wait no more.
    done: BTreeSet<String>,
}

/// An idea that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idea {
    /// What to try.
    pub text: String,
    /// Whose it is: a person's name, a proposer's, or `program.md`.
    pub from: String,
    /// Whether a person wants it next.
    pub now: bool,
}

impl Said {
    /// What the events of a ledger say, oldest first.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut said = Self::default();
        for entry in entries {
            said.hear(&entry.event, &entry.author);
        }
        said
    }

    /// Takes in one more event.
    pub fn hear(&mut self, event: &Event, author: &str) {
        match event {
            Event::Steered { text, .. } => self.steering.push(text.clone()),
            Event::Idea { text, proposer, now, .. } => {
                let of_person = proposer.is_none();
                // What a person strikes out stays so, but for the person.
                if of_person {
                    self.done.remove(text);
                } else if self.done.contains(text) || self.ideas.iter().any(|idea| idea.text == *text) {
                    return;
                }
                self.ideas.retain(|idea| idea.text != *text);
                let from = proposer.clone().unwrap_or_else(|| author.to_owned());
                let idea = Idea { text: text.clone(), from, now: *now };
                self.ideas.insert(if *now { 0 } else { self.ideas.len() }, idea);
                if self.ideas.len() > IDEAS
                    && let Some(oldest) = self.ideas.iter().position(|idea| !idea.now)
                {
                    self.ideas.remove(oldest);
                }
            }
            Event::IdeaMoved { text, to, .. } => self.move_idea(text, *to),
            Event::Vetoed { pattern, lifted, .. } => {
                self.vetoes.retain(|other| other != pattern);
                if !lifted {
                    self.vetoes.push(pattern.clone());
                }
            }
            Event::Hooked { hook, text } => {
                self.hooks.insert(*hook, text.clone());
            }
            _ => {}
        }
    }

    fn move_idea(&mut self, text: &str, to: IdeaPlace) {
        let found = self.ideas.iter().position(|idea| idea.text == text);
        let idea = found.map(|index| self.ideas.remove(index));
        match to {
            // One of the program's is not known here until it is moved.
            IdeaPlace::First => {
                let idea = idea.unwrap_or_else(|| Idea::of_program(text));
                self.ideas.insert(0, Idea { now: true, ..idea });
            }
            IdeaPlace::Struck | IdeaPlace::Tried => {
                self.done.insert(text.to_owned());
            }
        }
    }

    /// With the ideas that the program lists, after those of people and before those of proposers.
    #[must_use]
    pub fn with_program(mut self, ideas: &[String]) -> Self {
        let wait =
            |text: &&String| !self.done.contains(*text) && !self.ideas.iter().any(|idea| idea.text == **text);
        let of_program: Vec<Idea> = ideas.iter().filter(wait).map(|text| Idea::of_program(text)).collect();
        let (first, then): (Vec<Idea>, Vec<Idea>) =
            std::mem::take(&mut self.ideas).into_iter().partition(|idea| idea.now);
        self.ideas = first.into_iter().chain(of_program).chain(then).collect();
        self
    }
}

impl Idea {
    fn of_program(text: &str) -> Self {
        Self { text: text.to_owned(), from: "program.md".to_owned(), now: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idea(text: &str, proposer: Option<&str>, now: bool) -> Event {
        Event::Idea { text: text.to_owned(), proposer: proposer.map(str::to_owned), now, cell: None }
    }

    fn moved(text: &str, to: IdeaPlace) -> Event {
        Event::IdeaMoved { text: text.to_owned(), to, experiment: None }
    }

    fn heard(events: &[Event]) -> Said {
        let mut said = Said::default();
        for event in events {
            said.hear(event, "Ada");
        }
        said
    }

    fn waiting(said: &Said) -> Vec<String> {
        said.ideas.iter().map(|idea| format!("{} ({})", idea.text, idea.from)).collect()
    }

    #[test]
    fn ideas_wait_in_the_order_that_people_want() {
        let mut events = vec![
            idea("a", Some("m"), false),
            idea("b", None, false),
            idea("c", None, true),
            moved("a", IdeaPlace::First),
        ];
        assert_eq!(waiting(&heard(&events)), ["a (m)", "c (Ada)", "b (Ada)"]);
        events.extend([
            moved("c", IdeaPlace::Tried),
            moved("a", IdeaPlace::Struck),
            idea("a", Some("m"), false),
        ]);
        assert_eq!(
            waiting(&heard(&events)),
            ["b (Ada)"],
            "a proposer does not bring back what was struck out"
        );
        events.push(idea("a", None, false));
        assert_eq!(waiting(&heard(&events)), ["b (Ada)", "a (Ada)"], "a person does");
    }

    #[test]
    fn the_program_has_ideas_too() {
        let said = heard(&[
            idea("now", None, true),
            idea("later", Some("m"), false),
            moved("p2", IdeaPlace::Struck),
        ]);
        let program = ["p1".to_owned(), "p2".to_owned(), "later".to_owned()];
        let said = said.with_program(&program);
        assert_eq!(waiting(&said), ["now (Ada)", "p1 (program.md)", "later (m)"]);
    }

    #[test]
    fn of_too_many_ideas_the_oldest_go() {
        let events: Vec<Event> = (0..250).map(|n| idea(&n.to_string(), Some("m"), n == 7)).collect();
        let said = heard(&events);
        assert_eq!((said.ideas.len(), said.ideas[0].text.as_str()), (IDEAS, "7"));
        assert_eq!(said.ideas[IDEAS - 1].text, "249");
    }

    #[test]
    fn a_veto_can_be_lifted() {
        let veto = |pattern: &str, lifted| Event::Vetoed {
            pattern: pattern.to_owned(),
            number: None,
            lifted,
            cell: None,
        };
        let said = heard(&[veto("a", false), veto("b", false), veto("a", false), veto("b", true)]);
        assert_eq!(said.vetoes, ["a"]);
    }

    #[test]
    fn a_hook_is_heard_as_it_spoke_last() {
        let hooked = |hook, text: &str| Event::Hooked { hook, text: text.to_owned() };
        let said = heard(&[hooked(Hook::After, "x"), hooked(Hook::Before, "y"), hooked(Hook::After, "z")]);
        assert_eq!(said.hooks.values().collect::<Vec<_>>(), ["y", "z"]);
    }
}
