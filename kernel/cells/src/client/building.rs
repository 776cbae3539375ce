//! Waiting for the prelude, which another process builds.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use super::control::Control;
use super::{Config, Sink};
use crate::error::CellsError;
use crate::message::StreamName;
use crate::prelude::{Prelude, PreludeError, State};

/// How often a build that others do is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How far the prelude is; nothing where cells have none, or it cannot be told.
pub(super) async fn state(config: &Config) -> Option<State> {
    find(config).await.ok().flatten().map(|prelude| prelude.state())
}

/// The prelude, once it is built. Where it cannot be, the cell is told, and runs without.
pub(super) async fn wait(
    config: &Config,
    control: &Control,
    sink: &dyn Sink,
) -> Result<Option<Prelude>, CellsError> {
    let prelude = match find(config).await {
        Ok(Some(prelude)) => prelude,
        Ok(None) => return Ok(None),
        // evcxr will miss the toolchain as well, and say so.
        Err(PreludeError::NoToolchain { .. }) => return Ok(None),
        Err(error) => return Ok(without(sink, &error.to_string())),
    };
    if prelude.state() == State::Ready {
        return Ok(Some(prelude));
    }
    let mut builder = spawn(config)?;
    let mut told = String::new();
    loop {
        let ended = tokio::select! {
            status = builder.wait() => Some(status),
            () = sleep(LOOK) => None,
            () = control.interrupted() => return Err(CellsError::Interrupted),
        };
        if prelude.state() == State::Ready {
            if !told.is_empty() {
                sink.clear();
            }
            return Ok(Some(prelude));
        }
        if ended.is_some() {
            let why = std::fs::read_to_string(prelude.failure()).unwrap_or_default();
            return Ok(without(sink, why.trim()));
        }
        if let State::Building { done, total } = prelude.state() {
            let line = format!("Building what Rust cells have in scope, once: {done} of {total}");
            if line != told && total > 0 {
                sink.stream(StreamName::Stdout, &format!("\r{line}"));
                told = line;
            }
        }
    }
}

fn without(sink: &dyn Sink, why: &str) -> Option<Prelude> {
    let why = if why.is_empty() { "its builder has ended without a word" } else { why };
    sink.stream(
        StreamName::Stderr,
        &format!(
            "\r{why}\nThis cell runs without polars and the lab's frames; `overnight prelude` tries again.\n"
        ),
    );
    None
}

async fn find(config: &Config) -> Result<Option<Prelude>, PreludeError> {
    if config.build.is_none() {
        return Ok(None);
    }
    let cache = config.cache.clone();
    let found = tokio::task::spawn_blocking(move || Prelude::find(&cache)).await;
    found.unwrap_or_else(|error| Err(PreludeError::Task(error.to_string()))).map(Some)
}

/// Builds it in a process that leaves this one's session; it waits where another builds already.
pub(super) fn spawn(config: &Config) -> Result<tokio::process::Child, CellsError> {
    Command::new(&config.program)
        .args(config.build.iter().flatten())
        .current_dir(&config.directory)
        .envs(config.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| CellsError::Start {
            program: config.program.clone(),
            directory: config.directory.clone(),
            source,
        })
}
