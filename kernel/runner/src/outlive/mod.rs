//! What would end a night, or spoil it, told before it begins.
//!
//! [`probe`] collects facts, [`findings`] judges them: so each case is tested without a machine that has it.

mod disk;
mod facts;
mod probe;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

pub(crate) use disk::cramped;
pub use disk::{Growth, RESERVE, full_at, remember, remembered, reserve};
pub use facts::{Allocation, Container, Facts, Folder, Login, Power};
pub use probe::{Places, folder, probe};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// It may end the night.
    Risk,
    /// It ends the night.
    Ends,
}

/// Something that a night may not outlive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind of thing it is, such as `slurm` or `disk`.
    pub kind: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// What it is, in a sentence.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// When it happens, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Finding {
    fn new(kind: &'static str, weight: Weight, text: impl Into<String>) -> Self {
        Self { kind, weight, text: text.into(), mend: None, at: None }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mend {
            Some(mend) => write!(f, "{}; {mend}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What a night from `now` to `until` (or without an end) has to fear, what matters most first.
pub fn findings(facts: &Facts, now: Timestamp, until: Option<Timestamp>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(allocation(facts, now, until));
    found.extend(shutdown(facts, now, until));
    found.extend(login(facts));
    found.extend(container(facts));
    found.extend(power(facts));
    found.extend(upgrades(facts));
    found.extend(
        facts
            .jobs
            .iter()
            .map(|job| Finding::new("cron", Weight::Risk, format!("a cron job may end it: `{job}`"))),
    );
    found.extend(disk::findings(facts, now, until));
    found.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    found
}

/// The moment at which the machine is taken away, where one is known.
pub fn end(findings: &[Finding]) -> Option<Timestamp> {
    findings
        .iter()
        .filter(|finding| finding.weight == Weight::Ends && finding.kind != "disk")
        .filter_map(|f| f.at)
        .min()
}

/// A moment in the zone of `facts`, with the date where it is not today's.
fn clock(facts: &Facts, at: Timestamp, now: Timestamp) -> String {
    let zone = facts.zone.clone().unwrap_or(TimeZone::UTC);
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let format = if at.date() == now.date() { "%H:%M" } else { "%H:%M on %a %-d %b" };
    at.strftime(format).to_string()
}

/// `5 h of the 8 h asked`, where something comes before the night's end.
fn share(at: Timestamp, now: Timestamp, until: Option<Timestamp>) -> Option<String> {
    let until = until.filter(|until| at < *until)?;
    let hours = |to: Timestamp| to.duration_since(now).as_secs_f64().max(0.0) / 3600.0;
    Some(format!("{} of the {} asked", length(hours(at)), length(hours(until))))
}

fn length(hours: f64) -> String {
    if hours < 1.0 {
        return format!("{:.0} min", hours * 60.0);
    }
    let text = format!("{hours:.1}");
    format!("{} h", text.trim_end_matches(".0"))
}

fn allocation(facts: &Facts, now: Timestamp, until: Option<Timestamp>) -> Option<Finding> {
    let Allocation { kind, name, end } = facts.allocation.as_ref()?;
    let Some(end) = *end else {
        let text = format!("this is {name}, and when it ends cannot be seen from here");
        return Some(
            Finding::new(kind, Weight::Risk, text).mend("give the loop what is left of it, by --hours"),
        );
    };
    if until.is_some_and(|until| until < end) {
        let text = format!("this is {name}, until {}", clock(facts, end, now));
        return Some(Finding::new(kind, Weight::Note, text).at(end));
    }
    let cut = share(end, now, until).map(|cut| format!("; {cut}")).unwrap_or_default();
    let text = format!("{name} ends at {}: the loop stops before that{cut}", clock(facts, end, now));
    Some(Finding::new(kind, Weight::Ends, text).at(end))
}

fn shutdown(facts: &Facts, now: Timestamp, until: Option<Timestamp>) -> Option<Finding> {
    let at = facts.shutdown.filter(|at| *at > now)?;
    let cut = share(at, now, until).map(|cut| format!("; {cut}")).unwrap_or_default();
    let weight = if until.is_some_and(|until| until < at) { Weight::Note } else { Weight::Ends };
    let text = format!("this machine is told to go down at {}{cut}", clock(facts, at, now));
    Some(Finding::new("shutdown", weight, text).mend("`shutdown -c` calls it off").at(at))
}

fn login(facts: &Facts) -> Option<Finding> {
    let Login { in_session, in_user_manager, kills, lingers } = facts.login;
    if in_session && kills {
        let text = "this machine ends all of a user's processes at logout (KillUserProcesses), the loop too";
        let start = "begin the loop by `systemd-run --user --scope overnight loop start …`";
        return Some(Finding::new("logout", Weight::Ends, text).mend(if lingers {
            start.to_owned()
        } else {
            format!("`loginctl enable-linger {}`, and {start}", facts.user)
        }));
    }
    (in_user_manager && !lingers).then(|| {
        let text = "it runs below this user's service manager, which ends at the last logout";
        Finding::new("logout", Weight::Ends, text).mend(format!("`loginctl enable-linger {}`", facts.user))
    })
}

fn container(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.hub {
        let text = "this is a JupyterHub server: a hub that culls idle servers sees no activity while only a loop runs";
        found.push(Finding::new("jupyterhub", Weight::Risk, text).mend(
            "keep a tab open, or ask who runs the hub how long a server without activity lives (`cull_idle_servers`)",
        ));
    }
    let Some(Container { kind }) = &facts.container else { return found };
    let lost: Vec<&str> = facts
        .folders
        .iter()
        .filter(|folder| folder.is_root || folder.kind == "overlay")
        .map(|folder| folder.what)
        .collect();
    if lost.is_empty() {
        found.push(Finding::new(
            "container",
            Weight::Note,
            format!("this is {kind}: the loop ends when it does; what is on its volumes stays, the lab too"),
        ));
    } else {
        found.push(
            Finding::new(
                "container",
                if lost.contains(&"repository") { Weight::Risk } else { Weight::Note },
                format!(
                    "this is {kind}: when it is removed, so is the {}, for it is on no volume",
                    lost.join(" and the ")
                ),
            )
            .mend("`git push` what matters (the ledger is one ref), or put the repository on a volume"),
        );
    }
    found
}

fn power(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(Power { on_battery, percent, lid }) = facts.power else { return found };
    if on_battery {
        let left = percent.map(|percent| format!(" ({percent}% left)")).unwrap_or_default();
        found.push(
            Finding::new("battery", Weight::Risk, format!("this machine runs on its battery{left}"))
                .mend("plug it in"),
        );
    }
    if lid || on_battery {
        let mend = if facts.can_inhibit {
            "`systemd-inhibit --what=sleep:handle-lid-switch overnight loop start --wait …` keeps it awake"
        } else {
            "switch sleep off for the night"
        };
        let text = "this is a laptop: asleep, by its lid or by idling, it runs nothing; the loop goes on when it wakes";
        found.push(
            Finding::new("sleep", if on_battery { Weight::Risk } else { Weight::Note }, text).mend(mend),
        );
    }
    found
}

fn upgrades(facts: &Facts) -> Option<Finding> {
    let at = facts.reboots_for_upgrades.as_ref()?;
    let when = if at == "now" { String::new() } else { format!(" at {at}") };
    let text =
        format!("unattended upgrades may restart this machine{when}: the loop would have to be resumed");
    Some(
        Finding::new("upgrades", Weight::Risk, text)
            .mend("`loop resume` goes on after it; Unattended-Upgrade::Automatic-Reboot switches it off"),
    )
}
