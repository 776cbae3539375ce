//! What makes candidates: `search` (the default), a language model by its API, both together, and `command:PROGRAM`.
//!
//! A proposer is told everything in a [`Brief`] each time and keeps nothing that could not be made
//! again from it, so that a runner that was killed goes on where it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use lab::{CommitId, Cost};
use ledger::Edit;
use models::{Client, Key, ModelName, Price, Prices, Settings};

mod again;
mod agent;
mod bandit;
pub(crate) mod better;
mod brief;
pub mod command;
mod conversation;
mod doing;
mod hybrid;
mod ladder;
mod lookup;
mod model;
mod novelty;
mod placeholders;
pub mod prompt;
mod records;
pub mod search;
pub(crate) mod team;
mod vetoes;
mod words;
mod worktree;

use agent::AgentProposer;
use command::CommandProposer;
use hybrid::Hybrid;
use model::ModelProposer;
use search::Search;
use team::Team;
use words::Words;
pub(crate) use worktree::marks;
use worktree::one_line;

use crate::Host;
use crate::history::BASELINE;
use crate::store::Store;

pub use again::Again;
pub use bandit::Limits;
pub use brief::{Best, Brief, Judged, Remaining, Trying};
pub use doing::Doing;
pub use ladder::Stuck;
pub use lookup::{Lookup, NoLookup};
pub use novelty::Outline;
pub use vetoes::Vetoes;

/// The models among a loop's proposers, also those that are half of one: of `search,search+openai:m` it is `openai:m`.
pub fn models(proposers: &str) -> Vec<String> {
    let names = Team::names(proposers).into_iter();
    let names = names.map(|name| name.strip_prefix(hybrid::PREFIX).map(str::to_owned).unwrap_or(name));
    names.filter(|name| name.parse::<ModelName>().is_ok()).collect()
}

/// Whether a proposer searches over constants, alone or with a model.
pub(crate) fn searches(name: &str) -> bool {
    name == "search" || name.starts_with(hybrid::PREFIX)
}

/// Reads a file of a commit; `None` where the commit has no such file.
pub type ReadFile = Arc<dyn Fn(&CommitId, &str) -> Option<Vec<u8>> + Send + Sync>;

/// A change to try.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// The editable files that it replaces.
    pub edits: Vec<Edit>,
    /// What is expected of it, in a sentence.
    pub hypothesis: String,
    /// What a person should know about how it was made, such as changes that were dropped.
    pub note: Option<String>,
    /// What else could be tried, later.
    pub ideas: Vec<String>,
    /// Which of the brief's ideas it takes up, from 1.
    pub takes: Option<usize>,
    /// Who made it, where that is not the proposer that was asked: it stands as the experiment's proposer.
    pub by: Option<String>,
}

impl Proposal {
    /// What somebody says who answers in words.
    fn said(words: Words, edits: Vec<Edit>, note: Option<String>) -> Self {
        let expected = words.expected.map(|expected| format!("expected: {}", one_line(&expected)));
        let notes: Vec<String> = note.into_iter().chain(expected).collect();
        Self {
            edits,
            hypothesis: one_line(&words.hypothesis),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            ideas: words.ideas.iter().map(|idea| one_line(idea)).collect(),
            takes: words.takes,
            by: None,
        }
    }
}

/// What became of a candidate that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its commit.
    pub candidate: CommitId,
    /// Who made it.
    pub proposer: String,
    /// What it tried.
    pub hypothesis: String,
    /// What happened, in a few words.
    pub what: String,
    /// The end of what it printed.
    pub log: String,
    /// Its editable files, by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why there is no proposal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// The proposer has nothing to propose now.
    #[error("nothing to propose: {0}")]
    Nothing(String),
    /// The proposer will never have anything again: the loop ends.
    #[error("nothing more to propose: {0}")]
    Over(String),
    /// The proposer failed; it may do better the next time.
    #[error("{0}")]
    Failed(String),
    /// A person has to mend something first, such as a wrong key: the loop pauses.
    #[error("{0}")]
    Blocked(String),
}

/// What makes candidates.
#[async_trait]
pub trait Proposer: Send + Sync {
    /// Makes one candidate for the brief. What that costs is added to `cost` as it is spent, so that it is known
    /// also where nothing comes of it.
    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError>;

    /// Mends a candidate that failed, where the mistake is an easy one. `None` where it would rather not; the edits are
    /// those of the failed candidate.
    async fn repair(
        &self,
        _brief: &Brief,
        _failure: &Failure,
        _cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        Ok(None)
    }

    /// Whether a candidate is worth making while another one runs, before it is known what comes of that. It is for
    /// whoever takes long enough that a slot would have to wait.
    fn ahead(&self) -> bool {
        true
    }

    /// Whether it heeds what it is told in words, and so may be asked for something else.
    fn listens(&self) -> bool {
        true
    }

    /// How many candidates it can make at once.
    fn at_once(&self) -> usize {
        1
    }
}

/// Proposes nothing: of a loop that it belongs to only the baseline is run.
struct Nobody;

#[async_trait]
impl Proposer for Nobody {
    async fn propose(&self, _brief: &Brief, _cost: &mut Cost) -> Result<Proposal, ProposeError> {
        Err(ProposeError::Over("only the baseline was asked for".to_owned()))
    }

    fn ahead(&self) -> bool {
        false
    }
}

/// What a proposer may be made of.
pub(crate) struct Means {
    pub(crate) host: Host,
    pub(crate) store: Store,
    /// The folder of the proposers that edit in place, each in a worktree of its own.
    pub(crate) folder: PathBuf,
    /// This program.
    pub(crate) program: PathBuf,
}

impl Means {
    /// Makes the proposers that `names` says, with commas between them; `limits` are what the night may take.
    ///
    /// # Errors
    /// Why one cannot be, in a sentence.
    pub(crate) fn team(&self, names: &str, limits: Limits) -> Result<Team, String> {
        let names = Team::names(names);
        let several = names.len() > 1;
        let member = |(index, name): (usize, String)| {
            let said = |why: String| if several { format!("`{name}`: {why}") } else { why };
            let tree = self.folder.join(index.to_string()).join("tree");
            self.proposer(&name, tree, limits.usd).map_err(said).map(|proposer| (name.clone(), proposer))
        };
        Ok(Team::new(names.into_iter().enumerate().map(member).collect::<Result<_, _>>()?, limits))
    }

    /// Makes a proposer by its name; `tree` is for its worktree, `max_cost` is what proposing may cost.
    ///
    /// # Errors
    /// Why it cannot be, in a sentence.
    fn proposer(
        &self,
        name: &str,
        tree: PathBuf,
        max_cost: Option<f64>,
    ) -> Result<Arc<dyn Proposer>, String> {
        match name.split_once(':') {
            None if name == BASELINE => Ok(Arc::new(Nobody)),
            None if name == "search" => Ok(Arc::new(Search::new(self.store.reader()))),
            Some(("command", program)) if !program.trim().is_empty() => Ok(Arc::new(CommandProposer::new(
                program,
                tree,
                self.store.clone(),
                self.host.variables.clone(),
                command::TIMEOUT,
            )?)),
            Some(("anthropic" | "openai", _)) => {
                Ok(Arc::new(self.model(name, max_cost, Settings::default())?))
            }
            _ if name.starts_with(hybrid::PREFIX) => {
                let search = Search::new(self.store.reader());
                let model = self.model(&name[hybrid::PREFIX.len()..], max_cost, hybrid::patience())?;
                Ok(Arc::new(Hybrid::new(search, model)))
            }
            Some(("acp", agent)) => Ok(Arc::new(AgentProposer::new(agent::Given {
                name: agent.to_owned(),
                variables: self.host.variables.clone(),
                store: self.store.clone(),
                folder: tree,
                program: self.program.clone(),
            })?)),
            _ => Err("there is no such proposer; use `search`, `anthropic:MODEL`, `openai:MODEL`, \
                      `openai:MODEL@URL`, `search+MODEL`, `acp:AGENT` or `command:PROGRAM`"
                .to_owned()),
        }
    }

    fn model(&self, name: &str, max_cost: Option<f64>, settings: Settings) -> Result<ModelProposer, String> {
        let (client, price) = model_client(name, &self.host, settings)?;
        if max_cost.is_some() && price.is_none() {
            return Err(format!(
                "what {name} costs is not known, so `--max-cost` cannot bind: add it to {}",
                self.host.prices.display()
            ));
        }
        let lookup = Arc::clone(&self.host.lookup);
        Ok(ModelProposer::new(client, price, lookup, self.store.differ()))
    }
}

/// A client of the model that is called `name` (`anthropic:MODEL`, `openai:MODEL`, `openai:MODEL@URL`), and what its tokens
/// cost, where that is known.
///
/// # Errors
/// Why it cannot be, in a sentence.
pub fn model_client(name: &str, host: &Host, settings: Settings) -> Result<(Client, Option<Price>), String> {
    let name: ModelName = name.parse().map_err(|error: models::ModelError| error.to_string())?;
    let file = &host.prices;
    // A table that is not there is an empty one.
    let own = std::fs::read_to_string(file).unwrap_or_default();
    let prices = Prices::new(&own).map_err(|error| format!("{}: {error}", file.display()))?;
    let price = prices.of(&name);
    let variable = |name: &str| host.variables.get(name).filter(|value| !value.trim().is_empty());
    let (key, url) = (variable(name.key_variable()).map(Key::new), variable(name.url_variable()));
    let client = Client::new(name, key, url, settings).map_err(|error| error.to_string())?;
    Ok((client, price))
}
