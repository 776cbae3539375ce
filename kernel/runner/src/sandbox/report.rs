//! What of a policy this machine enforces, and what is weaker here, in plain words.

use super::{Way, bubblewrap, landlock, warden};

/// What this machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The version of Landlock; 0 is none.
    pub landlock: i32,
    /// Whether there is seccomp.
    pub seccomp: bool,
    /// Whether calls can be held until the shim has decided on them.
    pub warden: bool,
    /// Whether bubblewrap works; asked only where Landlock is not there.
    pub bubblewrap: bool,
}

impl Facts {
    /// Asks the machine.
    pub fn probe() -> Self {
        let landlock = landlock::version();
        let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").ok();
        Self {
            landlock,
            seccomp: actions.is_some(),
            warden: actions.is_some_and(|actions| actions.contains("user_notif")) && warden::works(),
            bubblewrap: landlock == 0 && bubblewrap::works(),
        }
    }

    /// What enforces the rules on files.
    pub fn way(&self) -> Way {
        match (self.landlock, self.bubblewrap) {
            (1.., _) => Way::Landlock,
            (_, true) => Way::Bubblewrap,
            _ => Way::Seccomp,
        }
    }

    /// What is enforced by, in a few words.
    pub fn means(&self) -> String {
        let files = match self.way() {
            Way::Landlock => Some(format!("Landlock {}", self.landlock)),
            Way::Bubblewrap => Some("bubblewrap".to_owned()),
            Way::Seccomp => None,
        };
        let calls = self.seccomp.then(|| "seccomp".to_owned());
        let means: Vec<String> = files.into_iter().chain(calls).collect();
        if means.is_empty() { "nothing".to_owned() } else { means.join(" and ") }
    }

    /// What a run could do here all the same, each as the end of "a run could …".
    pub fn weaker(&self) -> Vec<&'static str> {
        let mut weaker = Vec::new();
        match self.way() {
            Way::Seccomp => {
                weaker.push("read and write every file that you can, keys among them");
                weaker.push("signal every process of yours");
            }
            Way::Bubblewrap => weaker.push("talk to services by Unix sockets that have a path"),
            Way::Landlock => {
                if self.landlock < 3 {
                    weaker.push("empty files that it can name, though not write into them");
                }
                if self.landlock < 6 {
                    weaker.push("signal every process of yours");
                }
                if !self.warden {
                    weaker.push("change the modes and times of your files");
                    weaker.push("talk to services by Unix sockets");
                }
            }
        }
        if !self.seccomp {
            weaker.push("use the network");
        }
        weaker
    }

    /// What a run has less than it should, for want of a newer kernel: each a sentence.
    pub fn stricter(&self) -> Vec<&'static str> {
        let mut stricter = Vec::new();
        if self.way() == Way::Landlock && self.landlock < 2 {
            stricter.push("a run cannot rename or link files from one folder to another");
        }
        stricter
    }

    /// One line for `loop start`.
    pub fn line(&self, network: bool) -> String {
        let mut held = Vec::new();
        if self.way() != Way::Seccomp {
            held.extend(["write only their worktree", "see no keys"]);
        }
        held.push(match (network, self.seccomp) {
            (true, _) => "may use the network",
            (false, true) => "have no network",
            (false, false) => "see no keys of the environment",
        });
        let enforced = format!("Sandbox ({}): runs {}", self.means(), held.join(", "));
        let weaker = self.weaker();
        if weaker.is_empty() {
            enforced
        } else {
            format!("{enforced}. Not enforced here: a run could {}", weaker.join("; "))
        }
    }
}

/// What `loop start` says where the lab has switched it off.
pub const OFF: &str =
    "Sandbox: off, as program.md says: runs can read and write whatever you can, and use the network";

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_is_weaker_is_said() {
        let facts = |landlock, seccomp, bubblewrap| Facts { landlock, seccomp, warden: seccomp, bubblewrap };
        let mut text = String::new();
        for facts in [
            facts(7, true, false),
            Facts { warden: false, ..facts(7, true, false) },
            facts(4, true, false),
            facts(1, true, false),
            facts(0, true, true),
            facts(0, true, false),
            facts(0, false, false),
        ] {
            let _ = writeln!(text, "{}", facts.line(false));
            for stricter in facts.stricter() {
                let _ = writeln!(text, "  {stricter}");
            }
        }
        insta::assert_snapshot!(text, @r##"
        Sandbox (Landlock 7 and seccomp): runs write only their worktree, see no keys, have no network
        Sandbox (Landlock 7 and seccomp): runs write only their worktree, see no keys, have no network. Not enforced here: a run could change the modes and times of your files; talk to services by Unix sockets
        Sandbox (Landlock 4 and seccomp): runs write only their worktree, see no keys, have no network. Not enforced here: a run could signal every process of yours
        Sandbox (Landlock 1 and seccomp): runs write only their worktree, see no keys, have no network. Not enforced here: a run could empty files that it can name, though not write into them; signal every process of yours
          a run cannot rename or link files from one folder to another
        Sandbox (bubblewrap and seccomp): runs write only their worktree, see no keys, have no network. Not enforced here: a run could talk to services by Unix sockets that have a path
        Sandbox (seccomp): runs have no network. Not enforced here: a run could read and write every file that you can, keys among them; signal every process of yours
        Sandbox (nothing): runs see no keys of the environment. Not enforced here: a run could read and write every file that you can, keys among them; signal every process of yours; use the network
        "##);
    }
}
