//! `anthropic:MODEL`, `openai:MODEL`, `openai:MODEL@URL`: a language model by its API.
//!
//! It is given the brief ([`prompt`]), may look things up, and answers with a hypothesis and a change
//! ([`answer`]). An answer that cannot be applied goes back once with what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lab::{Cost, Lab};
use models::{Client, Conversation, Fault, ModelError, Piece, Price, ToolCall, ToolResult, Turn};
use serde_json::Value;

use super::{Brief, Failure, Lookup, Proposal, ProposeError, Proposer, prompt};
use crate::store::ReadDiff;

mod answer;

use answer::Answer;
pub(super) use answer::{Set, Setting};

const SYSTEM: &str = include_str!("system.md");
/// What a model is asked when a candidate has failed.
const REPAIR: &str = "# Your turn\n\nIf the mistake is an easy one (a name, a shape, a missing import), mend it: the \
    same idea is tried again as the same experiment. Answer in the usual form; your blocks are applied to the files as \
    they stand above. If the idea itself does not work, answer with the one line GIVE UP.\n";
/// The answer of a model that would not.
const GIVE_UP: &str = "GIVE UP";
/// How often a model may look things up before it has to answer.
const ROUNDS: usize = 12;
/// How often an answer may be mended.
const REPAIRS: usize = 1;
/// How many questions may be open at once.
const AT_ONCE: usize = 4;
/// Tokens of the tools and of the protocol that no text counts.
const OVERHEAD: usize = 500;

/// A language model that proposes.
pub(super) struct ModelProposer {
    client: Client,
    /// What its tokens cost, where that is known.
    price: Option<Price>,
    lookup: Arc<dyn Lookup>,
    diff: ReadDiff,
}

impl ModelProposer {
    pub(super) fn new(client: Client, price: Option<Price>, lookup: Arc<dyn Lookup>, diff: ReadDiff) -> Self {
        Self { client, price, lookup, diff }
    }

    /// The model's name.
    pub(super) fn name(&self) -> String {
        self.client.name().to_string()
    }

    /// A change for the brief. `more` is told after it; `set` takes values for constants.
    pub(super) async fn propose_with(
        &self,
        brief: &Brief,
        more: &str,
        set: Option<Set<'_>>,
        cost: &mut Cost,
    ) -> Result<Proposal, ProposeError> {
        let room = prompt::TOKENS.saturating_sub(prompt::tokens(more));
        let page = crate::blocking::here(|| {
            prompt::render(brief, &|parent, candidate| (self.diff)(parent, candidate), room)
        });
        let mut talk = Conversation::new(SYSTEM, self.lookup.tools());
        talk.ask(format!("{page}{more}# Your turn\n\nPropose experiment {}.\n", brief.number));
        match self.answer(&mut talk, brief, &brief.files, set, cost).await? {
            Some(proposal) => Ok(proposal),
            None => Err(ProposeError::Nothing(format!("{} gives up", self.client.name()))),
        }
    }

    /// What the model says next, after it has looked up what it wants to.
    async fn say(
        &self,
        talk: &mut Conversation,
        brief: &Brief,
        cost: &mut Cost,
    ) -> Result<Turn, ProposeError> {
        for round in 0..=ROUNDS {
            self.afford(talk, brief.remaining.usd, cost)?;
            brief.doing.says("thinks");
            let hear = |piece: Piece<'_>| match piece {
                Piece::Text(_) => brief.doing.says("writes its answer"),
                Piece::Again(error) => brief.doing.says(&format!("is asked again: {error}")),
            };
            let turn = self.client.turn(talk, hear).await.map_err(|error| self.failed(&error))?;
            *cost += Cost {
                usd: self.price.map_or(0.0, |price| price.cost(&turn.usage)),
                input_tokens: turn.usage.input,
                output_tokens: turn.usage.output,
            };
            if turn.calls.is_empty() {
                return Ok(turn);
            }
            let mut results = Vec::new();
            for call in &turn.calls {
                brief.doing.says(&looks_up(call));
                results.push(self.look_up(call, round == ROUNDS).await);
            }
            talk.give(results);
        }
        Err(ProposeError::Failed(format!("{} only looked things up and did not answer", self.client.name())))
    }

    /// The change that the model answers with, to `files`; `None` where it gives up. An answer that cannot be used
    /// goes back with what is wrong with it.
    async fn answer(
        &self,
        talk: &mut Conversation,
        brief: &Brief,
        files: &BTreeMap<String, Vec<u8>>,
        set: Option<Set<'_>>,
        cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        let lab = Lab { editable: brief.editable.clone(), ..Lab::default() };
        let editable = lab.editable();
        let mut why = String::new();
        for _ in 0..=REPAIRS {
            let turn = self.say(talk, brief, cost).await?;
            if turn.text.lines().any(|line| line.trim() == GIVE_UP) {
                return Ok(None);
            }
            let read = Answer::parse(&turn.text)
                .and_then(|answer| Ok((answer.apply(files, &|path| editable.contains(path), set)?, answer)));
            match read {
                Ok((applied, _)) if applied.edits.is_empty() => why = applied.nothing(),
                Ok((applied, answer)) => {
                    let note = applied.note();
                    return Ok(Some(Proposal::said(answer.words, applied.edits, note)));
                }
                Err(error) => why = error,
            }
            if turn.stop == models::Stop::Length {
                why.push_str(" (the answer was cut: it was too long)");
            }
            talk.ask(format!(
                "Your answer cannot be used: {why}.\n\nAnswer again, in full and in the same form."
            ));
        }
        Err(ProposeError::Failed(format!("the answer of {} cannot be used: {why}", self.client.name())))
    }

    async fn look_up(&self, call: &ToolCall, last: bool) -> ToolResult {
        let found = match &call.arguments {
            _ if last => Err("that was enough: answer now".to_owned()),
            Ok(arguments) => self.lookup.call(&call.name, arguments).await,
            Err(text) => Err(format!("the arguments are no JSON object: {text}")),
        };
        let failed = found.is_err();
        ToolResult { id: call.id.clone(), text: found.unwrap_or_else(|why| why), failed }
    }

    /// Whether the next turn can be paid, at worst.
    fn afford(&self, talk: &Conversation, budget: Option<f64>, spent: &Cost) -> Result<(), ProposeError> {
        let (Some(budget), Some(price)) = (budget, self.price) else { return Ok(()) };
        let input = (talk.bytes().div_ceil(prompt::BYTES) + OVERHEAD) as u64;
        let most = price.at_most(input, u64::from(self.client.settings().max_tokens));
        let left = budget - spent.usd;
        if most > left {
            return Err(ProposeError::Over(format!(
                "the next question to {} could cost ${most:.2}, and ${:.2} is left of what proposing may cost",
                self.client.name(),
                left.max(0.0)
            )));
        }
        Ok(())
    }

    fn failed(&self, error: &ModelError) -> ProposeError {
        let name = self.client.name();
        match error.fault {
            Fault::Account => ProposeError::Blocked(format!(
                "{name} does not let us in: {error}. Mend the key in {} or the account, then `loop stop` and `loop start`",
                name.key_variable()
            )),
            Fault::Retry(_) | Fault::Request => ProposeError::Failed(format!("{name}: {error}")),
        }
    }
}

/// `looks up experiment 7`.
fn looks_up(call: &ToolCall) -> String {
    let values = call.arguments.iter().filter_map(Value::as_object).flat_map(|object| object.values());
    let values = values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let words: Vec<String> = [call.name.clone()].into_iter().chain(values).collect();
    format!("looks up {}", words.join(" "))
}

#[async_trait]
impl Proposer for ModelProposer {
    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        self.propose_with(brief, "", None, cost).await
    }

    async fn repair(
        &self,
        brief: &Brief,
        failure: &Failure,
        cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        let mut talk = Conversation::new(SYSTEM, self.lookup.tools());
        talk.ask(format!("{}{REPAIR}", prompt::failed(brief, failure, prompt::TOKENS)));
        self.answer(&mut talk, brief, &failure.files, None, cost).await
    }
}
