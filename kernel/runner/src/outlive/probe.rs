//! Looking at the machine: environment, files below `/etc`, `/proc`, `/run` and `/sys`, and nothing that takes long.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Allocation, Container, Facts, Folder, Login, Power};
use crate::Variables;

/// Where the lab's files are.
#[derive(Clone, Debug)]
pub struct Places {
    /// A folder of the repository that is written to.
    pub repository: PathBuf,
    /// The folder of worktrees and runs.
    pub cache: PathBuf,
}

/// Words of a cron job that may end a night.
const ENDING: [&str; 6] = ["reboot", "shutdown", "poweroff", "pkill", "killall", "tmpreaper"];

/// Looks at this machine.
pub fn probe(variables: &Variables, places: &Places) -> Facts {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    Facts {
        folders: [("repository", &places.repository), ("cache", &places.cache)]
            .into_iter()
            .filter_map(|(what, path)| folder(what, path))
            .collect(),
        ..below(Path::new("/"), variables, zone)
    }
}

/// What is seen in the files below `root`, which is `/` but in tests.
pub(super) fn below(root: &Path, variables: &Variables, zone: TimeZone) -> Facts {
    let user = variables.get("USER").or_else(|| variables.get("LOGNAME")).unwrap_or_default().to_owned();
    Facts {
        login: login(root, &user),
        allocation: allocation(variables, &zone),
        container: container(root, variables),
        hub: variables
            .get("JUPYTERHUB_SERVICE_PREFIX")
            .or_else(|| variables.get("JUPYTERHUB_API_URL"))
            .is_some(),
        power: power(root),
        can_inhibit: variables.find("systemd-inhibit").is_some(),
        shutdown: shutdown(root),
        reboots_for_upgrades: upgrades(root),
        jobs: jobs(root, &user),
        user,
        zone: Some(zone),
        ..Facts::default()
    }
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// The files of a folder in the order of their names; none where it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn login(root: &Path, user: &str) -> Login {
    let group = read(root, "proc/self/cgroup");
    let mut kills = None;
    let mut settings = vec![root.join("etc/systemd/logind.conf")];
    for folder in ["usr/lib/systemd/logind.conf.d", "etc/systemd/logind.conf.d", "run/systemd/logind.conf.d"]
    {
        settings.extend(
            files(&root.join(folder))
                .into_iter()
                .filter(|file| file.extension().is_some_and(|e| e == "conf")),
        );
    }
    for file in settings {
        let text = fs::read_to_string(file).unwrap_or_default();
        for value in text.lines().filter_map(|line| line.trim().strip_prefix("KillUserProcesses=")) {
            kills = Some(matches!(value.trim(), "yes" | "true" | "on" | "1"));
        }
    }
    Login {
        in_session: group.lines().any(|line| line.contains("/session-") && line.contains(".scope")),
        in_user_manager: group.lines().any(|line| line.contains("/user@")),
        // What systemd's authors ship is off; some distributions switch it on.
        kills: kills.unwrap_or(false),
        lingers: !user.is_empty() && root.join("var/lib/systemd/linger").join(user).exists(),
    }
}

fn allocation(variables: &Variables, zone: &TimeZone) -> Option<Allocation> {
    if let Some(job) = variables.get("SLURM_JOB_ID") {
        let told = variables.get("SLURM_JOB_END_TIME").and_then(|at| at.trim().parse().ok());
        let end =
            told.and_then(|at| Timestamp::from_second(at).ok()).or_else(|| squeue(variables, job, zone));
        return Some(Allocation { kind: "slurm", name: format!("Slurm allocation {job}"), end });
    }
    let named = [("PBS_JOBID", "pbs", "PBS job"), ("LSB_JOBID", "lsf", "LSF job")];
    named.into_iter().find_map(|(name, kind, words)| {
        let job = variables.get(name)?;
        Some(Allocation { kind, name: format!("{words} {job}"), end: None })
    })
}

/// When Slurm says that a job ends. It may hang for long where its controller is away.
fn squeue(variables: &Variables, job: &str, zone: &TimeZone) -> Option<Timestamp> {
    let program = variables.find("squeue")?;
    let answer = Command::new("timeout")
        .arg("5")
        .arg(program)
        .args(["--noheader", "--format=%e", "--jobs", job])
        .env_clear()
        .envs(&variables.0)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let at: DateTime = text.lines().next()?.trim().parse().ok()?;
    Some(at.to_zoned(zone.clone()).ok()?.timestamp())
}

fn container(root: &Path, variables: &Variables) -> Option<Container> {
    let kind = if variables.get("KUBERNETES_SERVICE_HOST").is_some() {
        "a Kubernetes pod"
    } else if root.join(".dockerenv").exists() {
        "a Docker container"
    } else if root.join("run/.containerenv").exists() {
        "a Podman container"
    } else if variables
        .get("SINGULARITY_CONTAINER")
        .or_else(|| variables.get("APPTAINER_CONTAINER"))
        .is_some()
    {
        "an Apptainer container"
    } else {
        return None;
    };
    Some(Container { kind })
}

fn power(root: &Path) -> Option<Power> {
    let supplies = files(&root.join("sys/class/power_supply"));
    let text = |supply: &Path, name: &str| {
        fs::read_to_string(supply.join(name)).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    // A mouse has a battery too, of scope `Device`.
    let battery = supplies
        .iter()
        .find(|supply| text(supply, "type") == "Battery" && text(supply, "scope") != "Device")?;
    Some(Power {
        on_battery: text(battery, "status") == "Discharging",
        percent: text(battery, "capacity").parse().ok(),
        lid: root.join("proc/acpi/button/lid").exists(),
    })
}

fn shutdown(root: &Path) -> Option<Timestamp> {
    let text = read(root, "run/systemd/shutdown/scheduled");
    let at: i64 = text.lines().find_map(|line| line.strip_prefix("USEC="))?.trim().parse().ok()?;
    Timestamp::from_microsecond(at).ok()
}

fn upgrades(root: &Path) -> Option<String> {
    let mut reboots = false;
    let mut time = None;
    for file in files(&root.join("etc/apt/apt.conf.d")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        for line in
            text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'))
        {
            let Some(rest) = line.strip_prefix("Unattended-Upgrade::Automatic-Reboot") else { continue };
            let value = rest.split('"').nth(1).unwrap_or_default().to_owned();
            if rest.starts_with("-Time") {
                time = Some(value);
            } else if rest.starts_with([' ', '\t', '"']) {
                reboots = value == "true";
            }
        }
    }
    reboots.then(|| time.unwrap_or_else(|| "now".to_owned()))
}

fn jobs(root: &Path, user: &str) -> Vec<String> {
    let mut tables = vec![root.join("etc/crontab"), root.join("var/spool/cron/crontabs").join(user)];
    tables.extend(files(&root.join("etc/cron.d")));
    let mut found = Vec::new();
    for table in tables {
        let text = fs::read_to_string(table).unwrap_or_default();
        found.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.starts_with('#') && !line.starts_with("@reboot"))
                .filter(|line| {
                    line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| ENDING.contains(&word))
                })
                .map(|line| line.chars().take(120).collect::<String>()),
        );
    }
    found.truncate(3);
    found
}

/// What is known of the file system that a folder is on; of the nearest one that is there.
pub fn folder(what: &'static str, path: &Path) -> Option<Folder> {
    use std::os::unix::fs::MetadataExt;
    let there = path.ancestors().find(|path| path.exists())?;
    let there = there.canonicalize().ok()?;
    let of = nix::sys::statvfs::statvfs(&there).ok()?;
    let fragment = of.fragment_size();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (kind, source, is_root) = mount(&mounts, &there).unwrap_or_default();
    Some(Folder {
        what,
        kind,
        is_root,
        device: fs::metadata(&there).ok()?.dev(),
        path: there,
        total: of.blocks() * fragment,
        free: of.blocks_available() * fragment,
        files: of.files(),
        files_free: of.files_available(),
        quota: quota(Path::new(&source)),
    })
}

/// Bytes that this user may still write on a device; `None` where no quota holds.
fn quota(device: &Path) -> Option<u64> {
    use nix::sys::quota::{QuotaType, quotactl_get};
    if !device.is_absolute() {
        return None;
    }
    let user = i32::try_from(nix::unistd::getuid().as_raw()).ok()?;
    let quota = quotactl_get(QuotaType::USRQUOTA, device, user).ok()?;
    // Limits are told in blocks of 1 KiB; 0 is no limit.
    let limit = quota.blocks_hard_limit().filter(|blocks| *blocks > 0)? * 1024;
    Some(limit.saturating_sub(quota.occupied_space()?))
}

/// The kind and the device of the file system that is mounted at `path`, or above it, and whether that is at the root.
pub(super) fn mount(table: &str, path: &Path) -> Option<(String, String, bool)> {
    let mut best: Option<(usize, &str)> = None;
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(point) = left.split(' ').nth(4) else { continue };
        let point = point.replace("\\040", " ");
        // The later of two mounts at one place hides the other.
        if path.starts_with(&point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), right));
        }
    }
    let (length, told) = best?;
    let mut words = told.split(' ');
    Some((words.next()?.to_owned(), words.next().unwrap_or_default().to_owned(), length == 1))
}
