//! The lab's `setup`: once, in the researcher's checkout, before the first baseline.

use jiff::Timestamp;
use lab::{Lab, RunId, Seconds};
use sha2::{Digest, Sha256};

use super::Engine;
use crate::executor::{Given, Kind, missing, tail};
use crate::{RunnerError, paths, processes};

/// A download may take long, and is not to hang for ever.
const TIMEOUT: Seconds = Seconds(4.0 * 3600.0);

impl Engine {
    /// Runs `setup` unless it has run before and every input is there, and checks the inputs.
    pub(super) async fn setup(&self, lab: &Lab) -> Result<(), RunnerError> {
        if let Some(command) = &lab.setup {
            let stamp = hex::encode(Sha256::digest(command.as_bytes()));
            let stamped = std::fs::read_to_string(self.paths.setup_stamp()).unwrap_or_default();
            if stamped.trim() != stamp || missing(&self.root, lab).is_some() {
                self.live().setup = Some((command.clone(), Timestamp::now()));
                let done = self.run_setup(lab, command).await;
                self.live().setup = None;
                done?;
                paths::write_whole(&self.paths.setup_stamp(), stamp.as_bytes())?;
            }
        }
        match missing(&self.root, lab) {
            None => Ok(()),
            Some(input) => Err(RunnerError::MissingInput {
                input: input.to_owned(),
                root: self.root.clone(),
                setup: lab.setup.is_some(),
            }),
        }
    }

    async fn run_setup(&self, lab: &Lab, command: &str) -> Result<(), RunnerError> {
        // One that an earlier runner left behind would write into the same files.
        let current = self.paths.state.join("setup.run");
        if let Ok(earlier) = std::fs::read_to_string(&current) {
            crate::blocking::here(|| processes::sweep(&[earlier.trim().to_owned()]));
        }
        let run = RunId(uuid::Uuid::now_v7());
        paths::write_whole(&current, run.to_string().as_bytes())?;
        let given = Given { slot: 0, slots: 1, number: 0, seed: 0, budget: lab.budget };
        // It is the researcher's own, and fetches what is read later: in no sandbox.
        let outside = Lab { sandbox: false, ..lab.clone() };
        let Some(mut job) = self.executor.job(&outside, Kind::Run, given) else { return Ok(()) };
        command.clone_into(&mut job.command);
        self.root.clone_into(&mut job.folder);
        (job.timeout, job.stop_at, job.metrics) = (TIMEOUT, None, false);
        tracing::info!(command, "setup");
        self.executor.submit(run, &job).await?;
        let end = self.watch(run).await;
        let log = std::fs::read(self.executor.folder(run).join("log")).unwrap_or_default();
        let _ = std::fs::remove_file(&current);
        let (exit, note) = end.map_or_else(|| ("lost".to_owned(), None), |end| (end.exit, end.note));
        if exit == "0" {
            return Ok(());
        }
        let tail = [note.unwrap_or_default(), tail(&log, 20)].join("\n").trim().to_owned();
        Err(RunnerError::Setup { command: command.to_owned(), exit, tail })
    }
}
