//! Whether the disk lasts.

use jiff::{SignedDuration, Timestamp};
use lab::settings::format_bytes;
use serde::{Deserialize, Serialize};

use super::{Facts, Finding, Folder, Weight, clock};
use crate::paths::write_whole;
use crate::{Paths, RunnerError};

/// Bytes that a loop leaves free at most: below it, or below a hundredth of a smaller disk, it pauses.
pub const RESERVE: u64 = 1_000_000_000;
/// Files that a disk must be able to hold still. A lab has no more of them as it grows: its objects are packed, and
/// the folders of old runs are removed.
const FILES: u64 = 2_000;

/// How fast a lab grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Bytes that stay of an experiment.
    pub bytes: f64,
    /// Experiments an hour.
    pub an_hour: f64,
}

/// Bytes that a loop leaves free on a disk of so many.
pub fn reserve(total: u64) -> u64 {
    RESERVE.min(total / 100)
}

/// When the room on a folder's disk is used up but for the reserve; `None` where that is not within a month.
pub fn full_at(folder: &Folder, growth: Growth, now: Timestamp) -> Option<Timestamp> {
    let left = folder.room().saturating_sub(reserve(folder.total)) as f64;
    let seconds = left / (growth.bytes * growth.an_hour) * 3600.0;
    if !seconds.is_finite() || seconds > 31.0 * 86_400.0 {
        return None;
    }
    now.checked_add(SignedDuration::from_secs_f64(seconds)).ok()
}

/// Why nothing more should be written there; `None` while there is room.
pub(crate) fn cramped(folder: &Folder) -> Option<String> {
    let (room, least) = (folder.room(), reserve(folder.total));
    let path = folder.path.display();
    if room < least {
        let by = if folder.quota.is_some_and(|quota| quota < folder.free) { " of your quota" } else { "" };
        return Some(format!(
            "{path} has {}{by} left, and {} are kept free",
            format_bytes(room),
            format_bytes(least)
        ));
    }
    (folder.files > 0 && folder.files_free < FILES.min(folder.files / 100))
        .then(|| format!("{path} can hold {} more files only", folder.files_free))
}

pub(super) fn findings(facts: &Facts, now: Timestamp, until: Option<Timestamp>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for folder in &facts.folders {
        found.extend(kind(folder));
        if seen.contains(&folder.device) {
            continue;
        }
        seen.push(folder.device);
        found.extend(room(facts, folder, now, until));
    }
    found
}

fn room(facts: &Facts, folder: &Folder, now: Timestamp, until: Option<Timestamp>) -> Option<Finding> {
    if let Some(why) = cramped(folder) {
        return Some(
            Finding::new(
                "disk",
                Weight::Ends,
                format!("the disk is nearly full: {why}; the loop waits for room"),
            )
            .mend("free some space")
            .at(now),
        );
    }
    let full = full_at(folder, facts.growth?, now)?;
    // A loop without an end is told what comes within a day.
    let until = until.or_else(|| now.checked_add(SignedDuration::from_hours(24)).ok());
    if until.is_none_or(|until| full > until) {
        return None;
    }
    let text = format!(
        "the disk of the {} ({} are free) is full by about {} at this rate; the loop then waits for room",
        folder.what,
        format_bytes(folder.room()),
        clock(facts, full, now)
    );
    Some(Finding::new("disk", Weight::Ends, text).mend("free some space before the night").at(full))
}

fn kind(folder: &Folder) -> Option<Finding> {
    let (what, path) = (folder.what, folder.path.display());
    match folder.kind.as_str() {
        "tmpfs" | "ramfs" => Some(
            Finding::new(
                "tmpfs",
                if what == "repository" { Weight::Risk } else { Weight::Note },
                format!("the {what} ({path}) is in memory: a restart loses it"),
            )
            .mend("move it to a disk, or `git push` what matters"),
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" => Some(Finding::new(
            "network",
            Weight::Note,
            format!("the {what} ({path}) is on a network file system: when that is away, the loop waits"),
        )),
        _ if what == "repository"
            && (path.to_string().starts_with("/tmp/") || path.to_string().starts_with("/var/tmp/")) =>
        {
            Some(Finding::new(
                "temporary",
                Weight::Note,
                format!("the {what} is below /tmp, which is cleaned now and then"),
            ))
        }
        _ => None,
    }
}

/// What a rehearsal writes for later starts.
#[derive(Serialize, Deserialize)]
struct Remembered {
    schema: u32,
    bytes_per_experiment: f64,
    experiments_per_hour: f64,
}

/// Writes down how fast a lab grows, for the next start.
///
/// # Errors
/// Where that cannot be written.
pub fn remember(paths: &Paths, growth: Growth) -> Result<(), RunnerError> {
    let remembered = Remembered {
        schema: lab::SCHEMA,
        bytes_per_experiment: growth.bytes,
        experiments_per_hour: growth.an_hour,
    };
    let text = serde_json::to_vec(&remembered).map_err(|e| RunnerError::Protocol(e.to_string()))?;
    write_whole(&paths.cache.join("rehearsal.json"), &text)
}

/// How fast a lab grows, by its last rehearsal.
pub fn remembered(paths: &Paths) -> Option<Growth> {
    let text = std::fs::read(paths.cache.join("rehearsal.json")).ok()?;
    let Remembered { bytes_per_experiment, experiments_per_hour, .. } = serde_json::from_slice(&text).ok()?;
    Some(Growth { bytes: bytes_per_experiment, an_hour: experiments_per_hour })
}
