//! `acp:claude`, `acp:codex`, `acp:gemini`, `acp:opencode`, `acp:COMMAND`: a coding agent that the user has, by the
//! Agent Client Protocol.
//!
//! It works in a worktree of its own that holds the parent's tree, is told the brief, may ask the lab's own server of
//! tools for more, and edits in place. What it changes outside of the editable files is dropped, and said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agents::{AgentError, Known, Server, Session, Spec, Turn};
use async_trait::async_trait;
use lab::Cost;
use tokio::sync::Mutex;

use super::words::Words;
use super::worktree::{Changes, Mark};
use super::{Brief, Failure, Proposal, ProposeError, Proposer, prompt};
use crate::blocking;
use crate::environment::Variables;
use crate::processes::MARK;
use crate::store::{ReadDiff, Store};

pub(super) const INSTRUCTIONS: &str = include_str!("agent.md");
/// How long one proposal may take.
const TIMEOUT: Duration = Duration::from_secs(1200);
/// What the lab's tools are called by.
const SERVER: &str = "lab";
/// How much of what an agent did is logged, in lines.
const LOG: usize = 50;

/// What an agent is started with.
pub(super) struct Given {
    /// What follows `acp:`.
    pub(super) name: String,
    pub(super) variables: Variables,
    pub(super) store: Store,
    /// Its worktree.
    pub(super) folder: PathBuf,
    /// This program, which also serves the tools.
    pub(super) program: PathBuf,
}

/// A coding agent that proposes.
pub(super) struct AgentProposer {
    name: String,
    known: Option<Known>,
    command: Vec<String>,
    given: Given,
    diff: ReadDiff,
    /// One turn at a time, in one worktree.
    turn: Mutex<()>,
}

impl AgentProposer {
    /// # Errors
    /// Where the program is not there: how it is installed.
    pub(super) fn new(given: Given) -> Result<Self, String> {
        let known = Known::named(&given.name);
        let command = match known {
            Some(known) => known.command(),
            None => shell_words::split(&given.name).map_err(|error| format!("`{}`: {error}", given.name))?,
        };
        let program = command.first().ok_or("`acp:` names no agent")?;
        if !program.contains('/') && given.variables.find(program).is_none() {
            let install =
                known.map(|known| format!("; `{}` installs it", known.install())).unwrap_or_default();
            return Err(format!("the program `{program}` is not on the PATH{install}"));
        }
        let diff = given.store.differ();
        Ok(Self { name: format!("acp:{}", given.name), known, command, given, diff, turn: Mutex::default() })
    }

    fn spec(&self, brief: &Brief, mark: &Mark) -> Spec {
        let mut spec = Spec::new(self.command.clone(), self.given.folder.clone());
        let writable: Vec<&Path> = brief.files.keys().map(Path::new).collect();
        spec.environment = self.given.variables.0.clone();
        if let Some(known) = self.known {
            for (name, value) in known.environment(&writable, SERVER) {
                spec.environment.entry(name).or_insert(value);
            }
            spec.meta = known.meta();
        }
        spec.environment.insert(MARK.to_owned(), mark.0.clone());
        spec.writable = writable.into_iter().map(Path::to_owned).collect();
        let lab = self.given.store.root().display().to_string();
        spec.servers.push(Server {
            name: SERVER.to_owned(),
            program: self.given.program.clone(),
            arguments: vec!["--lab".to_owned(), lab, "mcp".to_owned()],
        });
        spec.log = self.given.folder.with_file_name("agent.log");
        spec
    }

    /// Has the agent work on what is in its worktree.
    async fn work(&self, brief: &Brief, text: &str, cost: &mut Cost) -> Result<Turn, ProposeError> {
        let mark = Mark::new(&self.given.folder)?;
        let mut session = Session::new(self.spec(brief, &mark));
        let turn = session.ask(text, TIMEOUT).await;
        drop(session);
        drop(mark);
        let turn = turn.map_err(|error| self.failed(&error))?;
        for line in turn.log.iter().take(LOG) {
            tracing::info!(agent = %self.name, number = brief.number, "{line}");
        }
        *cost += Cost {
            usd: turn.usd.unwrap_or(0.0),
            input_tokens: turn.usage.map_or(0, |usage| usage.input_tokens),
            output_tokens: turn.usage.map_or(0, |usage| usage.output_tokens),
        };
        Ok(turn)
    }

    fn failed(&self, error: &AgentError) -> ProposeError {
        let told = error.to_string();
        let name = &self.name;
        let account = ["auth", "login", "log in", "api key", "api_key", "credential"];
        let refused = matches!(error, AgentError::Refused { .. } | AgentError::Ended(_));
        if refused && account.iter().any(|word| told.to_lowercase().contains(word)) {
            return ProposeError::Blocked(format!(
                "{name} is not logged in: {told}. Log in with it, then `loop stop` and `loop start`"
            ));
        }
        ProposeError::Failed(format!("{name}: {told}"))
    }
}

#[async_trait]
impl Proposer for AgentProposer {
    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        let _one = self.turn.lock().await;
        let failed = |error: crate::RunnerError| ProposeError::Failed(error.to_string());
        self.given.store.worktree(&self.given.folder, &brief.parent, &[]).await.map_err(failed)?;
        let page = blocking::here(|| {
            prompt::render(brief, &|parent, candidate| (self.diff)(parent, candidate), prompt::TOKENS)
        });
        let text = format!("{INSTRUCTIONS}\n{page}# Your turn\n\nPropose experiment {}.\n", brief.number);
        let turn = self.work(brief, &text, cost).await?;
        let changes = Changes::of(&self.given.folder, brief).await?;
        changes.proposal(&self.name, Words::of(&turn.text))
    }

    async fn repair(
        &self,
        brief: &Brief,
        failure: &Failure,
        cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        let _one = self.turn.lock().await;
        let failed = |error: crate::RunnerError| ProposeError::Failed(error.to_string());
        self.given.store.worktree(&self.given.folder, &failure.candidate, &[]).await.map_err(failed)?;
        let page = prompt::failed(brief, failure, prompt::TOKENS);
        let text = format!(
            "{INSTRUCTIONS}\n{page}# Your turn\n\nIf the mistake is an easy one, mend it in place. If the idea itself \
             does not work, change nothing.\n"
        );
        self.work(brief, &text, cost).await?;
        let as_it_was = Brief { files: failure.files.clone(), ..brief.clone() };
        let changes = Changes::of(&self.given.folder, &as_it_was).await?;
        match changes.proposal(&self.name, Words::default()) {
            Err(ProposeError::Nothing(_)) => Ok(None),
            proposal => proposal.map(Some),
        }
    }
}
