//! Each thing that may end a night, without a machine that has it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::probe::{below, mount};
use super::*;
use crate::Variables;

fn now() -> Timestamp {
    "2026-03-05T21:00:00Z".parse().unwrap()
}

fn after(hours: f64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs_f64(hours * 3600.0)).unwrap()
}

/// What is found on a machine with these files and variables, for a night of eight hours.
fn on(files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    said(&facts(files, variables))
}

fn facts(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Facts {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut all: BTreeMap<String, String> = BTreeMap::from([("USER".to_owned(), "ada".to_owned())]);
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    below(root.path(), &Variables(all), TimeZone::UTC)
}

fn said(facts: &Facts) -> String {
    let found = findings(facts, now(), Some(after(8.0)));
    let lines = found.iter().map(|it| {
        let mend = it.mend.as_deref().map(|mend| format!("\n    {mend}")).unwrap_or_default();
        format!("{:?} {}: {}{mend}", it.weight, it.kind, it.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_ordinary_machine_is_quiet() {
    let files = [
        ("proc/self/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n"),
        ("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=yes\n"),
        ("etc/crontab", "# shutdown at night\n17 * * * * root run-parts /etc/cron.hourly\n"),
        ("etc/apt/apt.conf.d/50unattended-upgrades", "//Unattended-Upgrade::Automatic-Reboot \"true\";\n"),
    ];
    assert_eq!(on(&files, &[]), "");
}

#[test]
fn a_logout_that_kills() {
    let session = ("proc/self/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n");
    let kills = ("etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n");
    insta::assert_snapshot!(on(&[session, kills], &[]), @r"
    Ends logout: this machine ends all of a user's processes at logout (KillUserProcesses), the loop too
        `loginctl enable-linger ada`, and begin the loop by `systemd-run --user --scope overnight loop start …`
    ");
    insta::assert_snapshot!(on(&[session, kills, ("var/lib/systemd/linger/ada", "")], &[]), @r"
    Ends logout: this machine ends all of a user's processes at logout (KillUserProcesses), the loop too
        begin the loop by `systemd-run --user --scope overnight loop start …`
    ");
    let manager =
        ("proc/self/cgroup", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n");
    insta::assert_snapshot!(on(&[manager, kills], &[]), @r"
    Ends logout: it runs below this user's service manager, which ends at the last logout
        `loginctl enable-linger ada`
    ");
    assert_eq!(on(&[manager, kills, ("var/lib/systemd/linger/ada", "")], &[]), "");
}

#[test]
fn allocations_of_batch_systems() {
    let end = after(5.2).as_second().to_string();
    insta::assert_snapshot!(on(&[], &[("SLURM_JOB_ID", "17"), ("SLURM_JOB_END_TIME", &end)]), @"Ends slurm: Slurm allocation 17 ends at 02:12 on Fri 6 Mar: the loop stops before that; 5.2 h of the 8 h asked");
    let later = after(9.0).as_second().to_string();
    insta::assert_snapshot!(on(&[], &[("SLURM_JOB_ID", "17"), ("SLURM_JOB_END_TIME", &later)]), @"Note slurm: this is Slurm allocation 17, until 06:00 on Fri 6 Mar");
    insta::assert_snapshot!(on(&[], &[("SLURM_JOB_ID", "17")]), @r"
    Risk slurm: this is Slurm allocation 17, and when it ends cannot be seen from here
        give the loop what is left of it, by --hours
    ");
    insta::assert_snapshot!(on(&[], &[("PBS_JOBID", "9.server")]), @r"
    Risk pbs: this is PBS job 9.server, and when it ends cannot be seen from here
        give the loop what is left of it, by --hours
    ");
    insta::assert_snapshot!(on(&[], &[("LSB_JOBID", "12")]), @r"
    Risk lsf: this is LSF job 12, and when it ends cannot be seen from here
        give the loop what is left of it, by --hours
    ");
}

#[test]
fn the_end_of_an_allocation_is_where_the_loop_stops() {
    let stop = after(5.2);
    let facts = facts(&[], &[("SLURM_JOB_ID", "17"), ("SLURM_JOB_END_TIME", &stop.as_second().to_string())]);
    assert_eq!(end(&findings(&facts, now(), None)), Some(stop));
    assert_eq!(end(&findings(&facts, now(), Some(after(3.0)))), None);
}

#[test]
fn squeue_is_asked_where_slurm_does_not_say() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("squeue");
    std::fs::write(&program, "#!/bin/sh\necho 2026-03-06T02:14:00\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    insta::assert_snapshot!(on(&[], &[("SLURM_JOB_ID", "17"), ("PATH", &path)]), @"Ends slurm: Slurm allocation 17 ends at 02:14 on Fri 6 Mar: the loop stops before that; 5.2 h of the 8 h asked");
}

#[test]
fn containers_and_hubs() {
    let overlay = |what| Folder { what, kind: "overlay".to_owned(), ..disk(500.0, 100.0) };
    let in_docker = facts(&[(".dockerenv", "")], &[]);
    let lost = Facts { folders: vec![overlay("repository"), overlay("cache")], ..in_docker.clone() };
    insta::assert_snapshot!(said(&lost), @r"
    Risk container: this is a Docker container: when it is removed, so is the repository and the cache, for it is on no volume
        `git push` what matters (the ledger is one ref), or put the repository on a volume
    ");
    let kept = Facts { folders: vec![disk(500.0, 100.0), overlay("cache")], ..in_docker };
    insta::assert_snapshot!(said(&kept), @r"
    Note container: this is a Docker container: when it is removed, so is the cache, for it is on no volume
        `git push` what matters (the ledger is one ref), or put the repository on a volume
    ");
    let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("JUPYTERHUB_API_URL", "http://hub/api")];
    insta::assert_snapshot!(on(&[], &pod), @r"
    Risk jupyterhub: this is a JupyterHub server: a hub that culls idle servers sees no activity while only a loop runs
        keep a tab open, or ask who runs the hub how long a server without activity lives (`cull_idle_servers`)
    Note container: this is a Kubernetes pod: the loop ends when it does; what is on its volumes stays, the lab too
    ");
}

#[test]
fn laptops() {
    let battery = [
        ("sys/class/power_supply/BAT0/type", "Battery\n"),
        ("sys/class/power_supply/BAT0/status", "Discharging\n"),
        ("sys/class/power_supply/BAT0/capacity", "64\n"),
        ("proc/acpi/button/lid/LID/state", "open\n"),
    ];
    insta::assert_snapshot!(on(&battery, &[]), @r"
    Risk battery: this machine runs on its battery (64% left)
        plug it in
    Risk sleep: this is a laptop: asleep, by its lid or by idling, it runs nothing; the loop goes on when it wakes
        switch sleep off for the night
    ");
    let mouse = [
        ("sys/class/power_supply/hid/type", "Battery\n"),
        ("sys/class/power_supply/hid/scope", "Device\n"),
        ("sys/class/power_supply/hid/status", "Discharging\n"),
    ];
    assert_eq!(on(&mouse, &[]), "");
}

#[test]
fn what_restarts_a_machine() {
    let at = format!("USEC={}\nWARN_WALL=1\nMODE=reboot\n", after(3.5).as_microsecond());
    insta::assert_snapshot!(on(&[("run/systemd/shutdown/scheduled", &at)], &[]), @r"
    Ends shutdown: this machine is told to go down at 00:30 on Fri 6 Mar; 3.5 h of the 8 h asked
        `shutdown -c` calls it off
    ");
    let upgrades = "Unattended-Upgrade::Automatic-Reboot \"true\";\nUnattended-Upgrade::Automatic-Reboot-Time \"02:00\";\n";
    insta::assert_snapshot!(on(&[("etc/apt/apt.conf.d/50unattended-upgrades", upgrades)], &[]), @r"
    Risk upgrades: unattended upgrades may restart this machine at 02:00: the loop would have to be resumed
        `loop resume` goes on after it; Unattended-Upgrade::Automatic-Reboot switches it off
    ");
    insta::assert_snapshot!(on(&[("etc/cron.d/nightly", "0 4 * * * root /sbin/shutdown -r now\n")], &[]), @"Risk cron: a cron job may end it: `0 4 * * * root /sbin/shutdown -r now`");
}

/// A disk of so many gigabytes, of which so many are free.
fn disk(total: f64, free: f64) -> Folder {
    Folder {
        what: "repository",
        path: "/home/ada/lab".into(),
        kind: "ext4".to_owned(),
        is_root: false,
        device: 1,
        total: (total * 1e9) as u64,
        free: (free * 1e9) as u64,
        files: 1_000_000,
        files_free: 900_000,
        quota: None,
    }
}

fn with(folder: Folder) -> String {
    let growth = Some(Growth { bytes: 100e6, an_hour: 12.0 });
    said(&Facts { folders: vec![folder], growth, ..Facts::default() })
}

#[test]
fn a_disk_that_does_not_last() {
    assert_eq!(with(disk(500.0, 100.0)), "");
    insta::assert_snapshot!(with(disk(500.0, 7.0)), @r"
    Ends disk: the disk of the repository (7 GB are free) is full by about 02:00 on Fri 6 Mar at this rate; the loop then waits for room
        free some space before the night
    ");
    insta::assert_snapshot!(with(disk(500.0, 0.7)), @r"
    Ends disk: the disk is nearly full: /home/ada/lab has 700 MB left, and 1 GB are kept free; the loop waits for room
        free some space
    ");
    insta::assert_snapshot!(with(Folder { quota: Some(5_000_000_000), ..disk(500.0, 100.0) }), @r"
    Ends disk: the disk of the repository (5 GB are free) is full by about 00:20 on Fri 6 Mar at this rate; the loop then waits for room
        free some space before the night
    ");
    insta::assert_snapshot!(with(Folder { quota: Some(5_000_000), ..disk(500.0, 100.0) }), @r"
    Ends disk: the disk is nearly full: /home/ada/lab has 5 MB of your quota left, and 1 GB are kept free; the loop waits for room
        free some space
    ");
    assert_eq!(with(Folder { files_free: 4_000, ..disk(500.0, 100.0) }), "");
    insta::assert_snapshot!(with(Folder { files_free: 300, ..disk(500.0, 100.0) }), @r"
    Ends disk: the disk is nearly full: /home/ada/lab can hold 300 more files only; the loop waits for room
        free some space
    ");
    assert_eq!(with(Folder { files: 0, files_free: 0, ..disk(500.0, 100.0) }), "", "btrfs counts none");
}

#[test]
fn a_small_disk_keeps_a_hundredth_free() {
    assert_eq!(reserve(20_000_000_000), 200_000_000);
    assert_eq!(reserve(10_000_000_000_000), RESERVE);
    assert!(disk::cramped(&disk(20.0, 0.1)).is_some() && disk::cramped(&disk(20.0, 0.3)).is_none());
}

#[test]
fn file_systems_that_do_not_stay() {
    insta::assert_snapshot!(with(Folder { kind: "tmpfs".to_owned(), ..disk(500.0, 100.0) }), @r"
    Risk tmpfs: the repository (/home/ada/lab) is in memory: a restart loses it
        move it to a disk, or `git push` what matters
    ");
    insta::assert_snapshot!(with(Folder { kind: "nfs4".to_owned(), ..disk(500.0, 100.0) }), @"Note network: the repository (/home/ada/lab) is on a network file system: when that is away, the loop waits");
    insta::assert_snapshot!(with(Folder { path: "/tmp/lab".into(), ..disk(500.0, 100.0) }), @"Note temporary: the repository is below /tmp, which is cleaned now and then");
}

#[test]
fn the_nearest_mount_counts() {
    let table = "22 1 0:20 / / rw - overlay overlay rw\n\
                 30 22 8:1 / /home rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                 31 22 0:30 / /home/my\\040labs rw - tmpfs tmpfs rw\n";
    let kind = |path: &str| mount(table, Path::new(path)).unwrap();
    assert_eq!(kind("/home/ada/lab"), ("ext4".to_owned(), "/dev/sda1".to_owned(), false));
    assert_eq!(kind("/home/my labs/x").0, "tmpfs");
    assert_eq!(kind("/homework"), ("overlay".to_owned(), "overlay".to_owned(), true));
}

#[test]
fn this_machine_can_be_looked_at() {
    let here = std::env::temp_dir();
    let facts =
        probe(&Variables::default(), &Places { repository: here.clone(), cache: here.join("not-there-yet") });
    assert_eq!(facts.folders.len(), 2);
    assert!(facts.folders.iter().all(|folder| folder.total > 0 && !folder.kind.is_empty()), "{facts:?}");
}
