//! Which model answers.

use lab::{Event, Tag};
use ledger::Ledger;
use models::{Client, ModelName, Price, Settings};
use runner::proposers::model_client;
use runner::{Host, Variables};

use crate::env;
use crate::failure::{ExitCode, Failure};

/// How to have one.
const SET_UP: &str = "`--agent anthropic:MODEL` (its key in ANTHROPIC_API_KEY), `openai:MODEL` (OPENAI_API_KEY) or \
     `openai:MODEL@http://localhost:8000/v1` (a server of your own) names one, OVERNIGHT_AGENT one for good; `ask --local` \
     answers without";

/// The model, with its name and its price.
pub(super) fn model(
    asked: Option<&str>,
    host: &Host,
    ledger: &Ledger,
    tag: &Tag,
    settings: Settings,
) -> Result<(String, Client, Option<Price>), Failure> {
    let name = choose(asked, &host.variables, ledger, tag)?;
    let (client, price) =
        model_client(&name, host, settings).map_err(|why| Failure::new(why).hint(SET_UP))?;
    Ok((name, client, price))
}

/// The name of the model: the one asked for, else that of the environment, else that of this clone's last loop which had one.
fn choose(asked: Option<&str>, variables: &Variables, ledger: &Ledger, tag: &Tag) -> Result<String, Failure> {
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
    let writer = ledger.writer()?;
    let proposers = ledger.events(tag)?.into_iter().rev().filter_map(|entry| match entry.event {
        Event::LoopStarted { proposer, .. } if entry.writer.as_ref() == Some(&writer) => Some(proposer),
        _ => None,
    });
    let last = proposers.into_iter().find_map(|text| model_of(&text));
    last.ok_or_else(|| Failure::new("no model is set up that could answer").hint(SET_UP))
}

/// The first model among the proposers of a loop.
fn model_of(proposers: &str) -> Option<String> {
    runner::proposers::models(proposers).into_iter().next()
}

/// Whether a loop would know it.
fn is_proposer(name: &str) -> bool {
    name.starts_with("search") || name.starts_with("acp:") || name.starts_with("command:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_loop_is_the_first_of_its_proposers_that_is_one() {
        let of = |text| model_of(text);
        assert_eq!(of("anthropic:m,search").as_deref(), Some("anthropic:m"));
        assert_eq!(
            of("search,search+openai:m@http://h/v1,acp:claude").as_deref(),
            Some("openai:m@http://h/v1")
        );
        assert_eq!(of("search,acp:claude,command:x a,b"), None);
    }
}
