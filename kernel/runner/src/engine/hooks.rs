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
            printed = shell.run(command, &json) => printed,
            () = self.until_cancelled() => Ok(Vec::new()),
        };
        crate::blocking::here(|| processes::sweep(&[mark.clone()]));
        match printed {
            Ok(printed) => {
                let text = String::from_utf8_lossy(&printed[..printed.len().min(LONGEST)]).trim().to_owned();
                // What it says each time needs to be written once.
                let before = self.live().hooked.insert((tag.clone(), hook), text.clone());
                if before.as_ref() != Some(&text) {
                    self.write_lasting(tag, "overnight", Event::Hooked { hook, text }).await?;
                }
            }
            Err(why) => {
                tracing::warn!(command, why, "a hook failed");
                self.live().problem = Some(format!("the hook `{command}` {why}"));
            }
        }
        Ok(())
    }
}
