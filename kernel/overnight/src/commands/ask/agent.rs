//! Which model answers.

use lab::{Event, Tag};
use ledger::Ledger;
use models::ModelName;
use runner::Variables;

use crate::env;
use crate::failure::{ExitCode, Failure};

/// How to have one.
pub(super) const SET_UP: &str = "`--agent anthropic:MODEL` (its key in ANTHROPIC_API_KEY), `openai:MODEL` (OPENAI_API_KEY) or \
     `openai:MODEL@http://localhost:8000/v1` (a server of your own) names one, OVERNIGHT_AGENT one for good; `ask --local` \
     answers without";

/// The name of the model: the one asked for, else that of the environment, else that of the last loop which had one.
pub(super) fn choose(
    asked: Option<&str>,
    variables: &Variables,
    ledger: &Ledger,
    tag: &Tag,
) -> Result<String, Failure> {
    let named = asked.or(variables.get(env::AGENT).filter(|name| !name.trim().is_empty()));
    if let Some(name) = named {
        return match name.parse::<ModelName>() {
            Ok(_) => Ok(name.to_owned()),
            Err(_) if is_proposer(name) => {
                Err(Failure::new(format!("`{name}` makes candidates and answers no questions")).hint(SET_UP))
            }
            Err(error) => Err(Failure::new(error.to_string()).hint(SET_UP)),
        }
        .map_err(|failure| failure.code(ExitCode::Usage));
    }
    let proposers = ledger.events(tag)?.into_iter().rev().filter_map(|entry| match entry.event {
        Event::LoopStarted { proposer, .. } => Some(proposer),
        _ => None,
    });
    let last = proposers.into_iter().find(|name| name.parse::<ModelName>().is_ok());
    last.ok_or_else(|| Failure::new("no model is set up that could answer").hint(SET_UP))
}

/// Whether a loop would know it.
fn is_proposer(name: &str) -> bool {
    name == "search" || name.starts_with("acp:") || name.starts_with("command:")
}
