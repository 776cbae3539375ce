//! What was seen of the machine and of where the lab is.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Growth;

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The user's name.
    pub user: String,
    /// In which zone times of day are told; UTC where it is not known.
    pub zone: Option<TimeZone>,
    /// What happens at logout.
    pub login: Login,
    /// The batch system's allocation that this is in.
    pub allocation: Option<Allocation>,
    /// The container that this is in.
    pub container: Option<Container>,
    /// Whether a JupyterHub has started this.
    pub hub: bool,
    /// The machine's battery, where it has one.
    pub power: Option<Power>,
    /// Whether `systemd-inhibit` is there.
    pub can_inhibit: bool,
    /// When the machine goes down.
    pub shutdown: Option<Timestamp>,
    /// When unattended upgrades may restart it: a time of day, or `now`.
    pub reboots_for_upgrades: Option<String>,
    /// Cron jobs that restart the machine or kill processes.
    pub jobs: Vec<String>,
    /// Where the lab's files are.
    pub folders: Vec<Folder>,
    /// How fast the lab grows, where that is known.
    pub growth: Option<Growth>,
}

/// What happens at logout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// Whether this process is part of a login session.
    pub in_session: bool,
    /// Whether it is below the user's own service manager.
    pub in_user_manager: bool,
    /// Whether a logout kills the session's processes.
    pub kills: bool,
    /// Whether the user's service manager stays after the last logout.
    pub lingers: bool,
}

/// Time on a machine that a batch system lends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The batch system: `slurm`, `pbs`, `lsf`.
    pub kind: &'static str,
    /// Its name, such as `Slurm job 123`.
    pub name: String,
    /// When it ends, where that is known.
    pub end: Option<Timestamp>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What it is: `a Kubernetes pod`, `a Docker container`.
    pub kind: &'static str,
}

/// A machine with a battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Power {
    /// Whether it runs on it now.
    pub on_battery: bool,
    /// How full it is.
    pub percent: Option<u8>,
    /// Whether the machine has a lid.
    pub lid: bool,
}

/// Where files of the lab are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// What is there: `the repository`, `the cache`.
    pub what: &'static str,
    /// Where.
    pub path: PathBuf,
    /// The file system, such as `ext4`.
    pub kind: String,
    /// Whether it is the machine's root: in a container, what goes with it.
    pub is_root: bool,
    /// Which file system it is: folders with the same number share their room.
    pub device: u64,
    /// Bytes that it has.
    pub total: u64,
    /// Bytes that this user may still write.
    pub free: u64,
    /// How many files it can hold; 0 where that is not limited.
    pub files: u64,
    /// How many more.
    pub files_free: u64,
    /// Bytes that this user's quota leaves, where there is one.
    pub quota: Option<u64>,
}

impl Folder {
    /// Bytes that may still be written, by the disk and by the quota.
    pub fn room(&self) -> u64 {
        self.quota.map_or(self.free, |quota| quota.min(self.free))
    }
}
