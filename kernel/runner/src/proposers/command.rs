//! `command:PROGRAM`: any program that edits a folder.
//!
//! It runs in a folder that holds the parent's tree, gets the [`Brief`] as JSON on standard input,
//! edits editable files in place, and may print one JSON object `{"hypothesis": …}` (with `"expected"`, `"ideas"` for
//! later, `"takes"`: the number of an idea of the brief, and `"cost": {"usd", "input_tokens", "output_tokens"}` where
//! it knows). Exit 0 with no change means that it has nothing to propose. What it changes elsewhere is dropped, and
//! said. The ledger is readable as files in `.overnight/`.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use lab::{Cost, RECORDS};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::agent::INSTRUCTIONS;
use super::placeholders::expand;
use super::records::Records;
use super::words::Words;
use super::worktree::{Changes, Mark};
use super::{Brief, Proposal, ProposeError, Proposer};
use crate::environment::Variables;
use crate::shell::Shell;
use crate::store::Store;

/// How long one proposal may take.
pub const TIMEOUT: Duration = Duration::from_mins(10);

/// A program that proposes.
pub struct CommandProposer {
    program: String,
    folder: PathBuf,
    store: Store,
    records: Records,
    variables: Variables,
    timeout: Duration,
    /// One at a time, in one worktree.
    turn: Mutex<()>,
}

/// What it may print.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    hypothesis: Option<String>,
    expected: Option<String>,
    #[serde(default)]
    ideas: Vec<String>,
    takes: Option<usize>,
    cost: Option<Cost>,
}

impl CommandProposer {
    /// The command line `program`, run by `sh -c` in a worktree at `folder`. It gets `variables` whole,
    /// for it may need a key that candidates must not see.
    ///
    /// # Errors
    /// Where the command line has a placeholder that there is not.
    pub fn new(
        program: &str,
        folder: PathBuf,
        store: Store,
        variables: Variables,
        timeout: Duration,
    ) -> Result<Self, String> {
        expand(program, |_| Vec::new())?;
        let records = Records::new(&store);
        Ok(Self {
            program: program.to_owned(),
            folder,
            store,
            records,
            variables,
            timeout,
            turn: Mutex::default(),
        })
    }

    /// The command line for one brief and its `page`, with what its placeholders stand for.
    fn command(&self, brief: &Brief, page: &str) -> Result<String, String> {
        expand(&self.program, |name| match name {
            "brief" => vec![format!("{RECORDS}/brief.md")],
            // No argument can hold a NUL, and a log may.
            "prompt" => vec![format!("{INSTRUCTIONS}\n{page}").replace('\0', "")],
            "editable" => brief.files.keys().cloned().collect(),
            "folder" => vec![self.folder.display().to_string()],
            "number" => vec![brief.number.to_string()],
            "metric" => vec![brief.metric.to_string()],
            _ => vec![
                brief.best.as_ref().and_then(|best| best.value).map_or_else(String::new, |it| it.to_string()),
            ],
        })
    }

    async fn run(&self, brief: &Brief, page: &str, mark: &str) -> Result<Answer, ProposeError> {
        let failed = |what: String| ProposeError::Failed(format!("`{}` {what}", self.program));
        let json = serde_json::to_vec(brief).map_err(|e| failed(e.to_string()))?;
        let command = self.command(brief, page).map_err(failed)?;
        let shell = Shell { folder: &self.folder, variables: &self.variables, mark, timeout: self.timeout };
        Ok(answer(&shell.run(&command, &json).await.map_err(failed)?))
    }
}

/// The last JSON object that it printed, on a line of its own or over the whole output.
fn answer(out: &[u8]) -> Answer {
    serde_json::from_slice(out).ok().unwrap_or_else(|| {
        let text = String::from_utf8_lossy(out);
        text.lines()
            .rev()
            .filter(|line| line.trim_start().starts_with('{'))
            .find_map(|line| serde_json::from_str(line).ok())
            .unwrap_or_default()
    })
}

#[async_trait]
impl Proposer for CommandProposer {
    async fn propose(&self, brief: &Brief, cost: &mut Cost) -> Result<Proposal, ProposeError> {
        let failed = |e: crate::RunnerError| ProposeError::Failed(e.to_string());
        let _one = self.turn.lock().await;
        let kept = [RECORDS.to_owned()];
        self.store.worktree(&self.folder, &brief.parent, &kept).await.map_err(failed)?;
        let page = self.records.page(brief);
        self.records.write(&self.folder, brief, &page);
        let mark = Mark::new(&self.folder)?;
        let answer = self.run(brief, &page, &mark.0).await;
        drop(mark);
        let answer = answer?;
        *cost += answer.cost.unwrap_or_default();
        let changes = Changes::of(&self.folder, brief).await?;
        let Answer { hypothesis, expected, ideas, takes, .. } = answer;
        let words = Words { hypothesis: hypothesis.unwrap_or_default(), expected, ideas, takes };
        changes.proposal(&format!("`{}`", self.program), words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_last_object_printed() {
        let hypothesis = |out: &str| answer(out.as_bytes()).hypothesis;
        assert_eq!(hypothesis("{\"hypothesis\": \"a\"}").as_deref(), Some("a"));
        assert_eq!(hypothesis("thinking…\n{\"hypothesis\": \"b\"}\ndone\n").as_deref(), Some("b"));
        assert_eq!(hypothesis("{\n \"hypothesis\": \"c\"\n}\n").as_deref(), Some("c"));
        assert_eq!(hypothesis("nothing"), None);
    }
}
