//! The lab's own commands before a candidate is made and after an experiment is recorded.

use std::time::Duration;

use lab::{Event, Hook, Lab, Tag};
use serde::Serialize;

use super::Engine;
use crate::shell::Shell;
use crate::{RunnerError, processes};

/// How long one may take: a slot may be waiting for it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of what one prints is kept, in bytes.
const LONGEST: usize = 4000;

impl Engine {
    /// Runs a hook, where the lab has it, in the researcher's checkout with `input` as JSON on its standard input. What
    /// it prints is told to the proposer from now on; a hook that fails is no reason to stop.
    pub(super) async fn hook(
        &self,
        hook: Hook,
        lab: &Lab,
        tag: &Tag,
        input: &impl Serialize,
    ) -> Result<(), RunnerError> {
        let Some(command) = lab.hooks.get(&hook) else { return Ok(()) };
        let json = serde_json::to_vec(input).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        let mark = uuid::Uuid::now_v7().to_string();
        let shell =
            Shell { folder: &self.root, variables: &self.host.variables, mark: &mark, timeout: TIMEOUT };
        let printed = tokio::select! {
            printed = shell.run(command, &json) => Some(printed),
            () = self.until_cancelled() => None,
        };
        crate::blocking::here(|| processes::sweep(std::slice::from_ref(&mark)));
        let Some(printed) = printed else { return Ok(()) };
        let redacted = |text: &str| self.host.variables.redacted(text.trim());
        let problem = match printed {
            Ok(printed) => {
                let text = redacted(&String::from_utf8_lossy(&printed[..printed.len().min(LONGEST)]));
                self.heard(hook, tag, text).await?;
                None
            }
            Err(why) => Some(format!("the hook `{command}` {}", redacted(&why))),
        };
        if let Some(problem) = &problem {
            tracing::warn!("{problem}");
        }
        self.live().hook_problem = problem;
        Ok(())
    }

    /// Writes down what a hook says; what it says each time needs to be written once.
    async fn heard(&self, hook: Hook, tag: &Tag, text: String) -> Result<(), RunnerError> {
        if self.store.said(tag).await?.hooks.get(&hook) != Some(&text) {
            self.write_lasting(tag, "overnight", Event::Hooked { hook, text }).await?;
        }
        Ok(())
    }
}
