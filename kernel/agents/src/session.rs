//! An agent that is kept over questions: one that died or hangs is started anew.

use std::time::Duration;

use crate::{Agent, AgentError, Spec, Step, Turn};

/// A conversation with an agent.
#[derive(Debug)]
pub struct Session {
    spec: Spec,
    agent: Option<Agent>,
}

impl Session {
    /// One that begins with the first question.
    pub fn new(spec: Spec) -> Self {
        Self { spec, agent: None }
    }

    /// Forgets what was said: the next question is the first of a new session.
    pub fn forget(&mut self) {
        self.agent = None;
    }

    /// Asks: `whole` where that begins a session, `more` where one goes on. An agent that has died since its last turn
    /// is started once more, and asked the whole. `step` gets what it does. Dropping the future ends the agent.
    ///
    /// # Errors
    /// As [`Agent::start`] and [`Agent::ask`].
    pub async fn ask(
        &mut self,
        whole: &str,
        more: &str,
        limit: Duration,
        step: Step<'_>,
    ) -> Result<Turn, AgentError> {
        let kept = self.agent.is_some();
        match self.once(if kept { more } else { whole }, limit, step).await {
            Err(AgentError::Ended(_)) if kept => self.once(whole, limit, step).await,
            answer => answer,
        }
    }

    async fn once(&mut self, text: &str, limit: Duration, step: Step<'_>) -> Result<Turn, AgentError> {
        let mut agent = match self.agent.take() {
            Some(agent) => agent,
            None => {
                step("starts");
                Agent::start(&self.spec).await?
            }
        };
        let answer = agent.ask(text, limit, step).await;
        let keep = match &answer {
            Ok(_) | Err(AgentError::Refused { .. }) => true,
            // It ended its turn when it was told to: the session goes on.
            Err(AgentError::Hung { turn, .. }) => !turn.stop.is_empty(),
            Err(_) => false,
        };
        self.agent = Some(agent).filter(|_| keep);
        answer
    }
}
