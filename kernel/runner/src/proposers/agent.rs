//! `acp:claude`, `acp:codex`, `acp:gemini`, `acp:opencode`, `acp:COMMAND`: a coding agent that the user has, by the
//! Agent Client Protocol.
//!
//! It works in a worktree of its own that holds the parent's tree and the ledger as files, is told the brief, may ask the
//! lab's own server of tools for more, and edits in place. What it changes outside of the editable files is dropped, and
//! said. With `agent_session: kept` one session makes all proposals, and is told what is new; one that died, hung or was
//! refused is begun anew, and told everything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agents::{AgentError, Known, Server, Session, Spec, Turn};
use async_trait::async_trait;
use lab::{AgentSession, CommitId, Cost, Lab, RECORDS};
use tokio::sync::Mutex;

use super::conversation::{Conversation, Said, news};
use super::records::Records;
use super::words::Words;
use super::worktree::{Changes, Mark, one_line};
use super::{Brief, Failure, Proposal, ProposeError, Proposer, prompt};
use crate::environment::Variables;
use crate::processes::MARK;
use crate::store::Store;

pub(super) const INSTRUCTIONS: &str = include_str!("agent.md");
/// What a session that goes on is told in their place.
const AGAIN: &str = include_str!("agent_again.md");
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
    records: Records,
    /// One turn at a time, in one worktree; the session that goes on.
    turn: Mutex<Option<Conversation>>,
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
        let (name, records) = (format!("acp:{}", given.name), Records::new(&given.store));
        Ok(Self { name, known, command, given, records, turn: Mutex::default() })
    }

    fn spec(&self, brief: &Brief, mark: &Mark) -> Spec {
        let mut spec = Spec::new(self.command.clone(), self.given.folder.clone());
        spec.environment = self.given.variables.0.clone();
        if let Some(known) = self.known {
            let writable: Vec<&str> = brief.files.keys().chain(&brief.editable).map(String::as_str).collect();
            for (name, value) in known.environment(&writable, SERVER) {
                spec.environment.entry(name).or_insert(value);
            }
            spec.meta = known.meta();
            spec.mode = known.mode().map(str::to_owned);
        }
        spec.environment.insert(MARK.to_owned(), mark.0.clone());
        let editable = Lab { editable: brief.editable.clone(), ..Lab::default() }.editable();
        spec.writable = Arc::new(move |path| path.to_str().is_some_and(|path| editable.contains(path)));
        let lab = self.given.store.root().display().to_string();
        spec.servers.push(Server {
            name: SERVER.to_owned(),
            program: self.given.program.clone(),
            arguments: vec!["--lab".to_owned(), lab, "mcp".to_owned()],
        });
        spec
    }

    /// Makes the worktree one of `commit`, with the ledger as files. Returns the brief as a page.
    async fn worktree(&self, commit: &CommitId, brief: &Brief) -> Result<String, ProposeError> {
        let (folder, kept) = (&self.given.folder, [RECORDS.to_owned()]);
        let made = self.given.store.worktree(folder, commit, &kept).await;
        made.map_err(|error| ProposeError::Failed(error.to_string()))?;
        let page = self.records.page(brief);
        self.records.write(folder, brief, &page);
        Ok(page)
    }

    fn begin(&self, brief: &Brief) -> Result<Conversation, ProposeError> {
        let (mark, said) = (Mark::new(&self.given.folder)?, Said::default());
        let mut spec = self.spec(brief, &mark);
        spec.log = said.log(&self.name, &self.given.variables);
        Ok(Conversation::new(Session::new(spec), said, mark))
    }

    /// Has the agent work on what is in its worktree: a new session is asked `whole`, one that goes on what `more` makes
    /// of what it was told. Unless something went wrong the session is kept, where the program says so.
    async fn work(
        &self,
        kept: &mut Option<Conversation>,
        brief: &Brief,
        whole: &str,
        more: impl Fn(&Brief) -> String,
        cost: &mut Cost,
    ) -> Result<Turn, ProposeError> {
        let mut conversation = match kept.take().filter(|it| it.goes_on(brief)) {
            Some(conversation) => conversation,
            None => self.begin(brief)?,
        };
        let more = conversation.told.as_ref().map(more);
        let limit = Duration::from_secs_f64(brief.agent_timeout.0.min(86_400.0));
        let step = |words: &str| brief.doing.says(&self.given.variables.redacted(words));
        let answer = conversation.session.ask(whole, more.as_deref().unwrap_or(whole), limit, &step).await;
        let turn = match &answer {
            Ok(turn) => Some(turn),
            Err(AgentError::Hung { turn, .. }) => Some(&**turn),
            Err(_) => None,
        };
        if let Some(turn) = turn {
            *cost += spent(turn);
            for line in turn.log.iter().take(LOG).chain([&turn.text]).filter(|line| !line.is_empty()) {
                let line = one_line(&self.given.variables.redacted(line));
                tracing::info!(agent = %self.name, number = brief.number, "{line}");
            }
        }
        let answer = answer.map_err(|error| self.failed(&error, &conversation.said.end()));
        if answer.is_ok() && brief.agent_session == AgentSession::Kept {
            *kept = Some(conversation);
        }
        answer
    }

    fn failed(&self, error: &AgentError, said: &str) -> ProposeError {
        let told = self.given.variables.redacted(&error.to_string());
        let name = &self.name;
        let account = ["auth", "login", "log in", "api key", "api_key", "credential"];
        let refused = matches!(error, AgentError::Refused { .. } | AgentError::Ended(_));
        if refused && account.iter().any(|word| told.to_lowercase().contains(word)) {
            return ProposeError::Blocked(format!(
                "{name} is not logged in: {told}. Log in with it, then `loop stop` and `loop start`"
            ));
        }
        let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
        ProposeError::Failed(format!("{name}: {told}{said}"))
    }
}

fn spent(turn: &Turn) -> Cost {
    Cost {
        usd: turn.usd.unwrap_or(0.0),
        input_tokens: turn.usage.map_or(0, |usage| usage.input_tokens),
        output_tokens: turn.usage.map_or(0, |usage| usage.output_tokens),
    }
}

#[async_trait]
impl Proposer for AgentProposer {
    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        let mut kept = self.turn.lock().await;
        let page = self.worktree(&brief.parent, brief).await?;
        let turn = format!("# Your turn\n\nPropose experiment {}.\n", brief.number);
        let whole = format!("{INSTRUCTIONS}\n{page}{turn}");
        let more = |told: &Brief| format!("{AGAIN}\n{}{turn}", self.records.page(&news(brief, told)));
        let turn = self.work(&mut kept, brief, &whole, more, cost).await?;
        if let Some(conversation) = kept.as_mut() {
            conversation.told = Some(brief.clone());
        }
        let changes = Changes::of(&self.given.folder, brief).await?;
        changes.proposal(&self.name, Words::of(&self.given.variables.redacted(&turn.text)))
    }

    async fn repair(
        &self,
        brief: &Brief,
        failure: &Failure,
        cost: &mut Cost,
    ) -> Result<Option<Proposal>, ProposeError> {
        let mut kept = self.turn.lock().await;
        self.worktree(&failure.candidate, brief).await?;
        let page = prompt::failed(brief, failure, prompt::TOKENS);
        let more = format!(
            "{page}# Your turn\n\nIf the mistake is an easy one, mend it in place. If the idea itself does not work, \
             change nothing.\n"
        );
        self.work(&mut kept, brief, &format!("{INSTRUCTIONS}\n{more}"), |_| more.clone(), cost).await?;
        let as_it_was = Brief { files: failure.files.clone(), ..brief.clone() };
        let changes = Changes::of(&self.given.folder, &as_it_was).await?;
        match changes.proposal(&self.name, Words::default()) {
            Err(ProposeError::Nothing(_)) => Ok(None),
            proposal => proposal.map(Some),
        }
    }
}
