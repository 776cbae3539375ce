//! Settings that cannot hold, alone or beside each other.

use super::node::Field;
use crate::{Lab, LabError, editable, metrics};

/// Checks what types cannot say.
pub(super) fn check(lab: &Lab, fields: &[Field<'_>]) -> Result<(), LabError> {
    Check { lab, fields }.all()
}

struct Check<'a> {
    lab: &'a Lab,
    fields: &'a [Field<'a>],
}

impl Check<'_> {
    fn all(&self) -> Result<(), LabError> {
        self.texts()?;
        self.alert()?;
        self.times()?;
        self.paths("editable", &self.lab.editable)?;
        self.paths("inputs", &self.lab.inputs)?;
        self.paths("caches", &self.lab.caches)?;
        self.paths("metrics", self.lab.metrics.as_slice())?;
        self.editable()?;
        self.untracked("metrics", self.lab.metrics.as_slice())?;
        self.untracked("inputs", &self.lab.inputs)?;
        self.untracked("caches", &self.lab.caches)?;
        self.apart()?;
        self.sandbox()
    }

    /// The error on `field`. Only what the front matter says can be wrong: defaults do not contradict.
    fn wrong(
        &self,
        field: &'static str,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Result<(), LabError> {
        match self.fields.iter().find(|read| read.name == field) {
            Some(read) => Err(LabError::Contradiction {
                at: Box::new(read.place()),
                field,
                problem: problem.into(),
                hint: hint.into(),
            }),
            None => Ok(()),
        }
    }

    fn texts(&self) -> Result<(), LabError> {
        let lab = self.lab;
        let commands =
            [("run", Some(&lab.run)), ("build", lab.build.as_ref()), ("setup", lab.setup.as_ref())];
        for (field, command) in commands {
            if command.is_some_and(String::is_empty) {
                self.wrong(field, "is empty", "write a command, or leave the setting out")?;
            }
        }
        if !metrics::is_name(lab.metric.as_str()) {
            let name = lab.metric.as_str();
            let problem = if name.is_empty() { "is empty".to_owned() } else { format!("cannot be `{name}`") };
            self.wrong(
                "metric",
                problem,
                "name it as the run prints it: letters, digits and `_ . / % @ -`, no spaces",
            )?;
        }
        if lab.seed_env.as_deref().is_some_and(|name| !is_variable(name)) {
            self.wrong("seed_env", "is not the name of an environment variable", "write one such as `SEED`")?;
        }
        if lab.crashes == 0 {
            self.wrong("crashes", "would end the loop before it begins", "write 1 or more")?;
        }
        Ok(())
    }

    fn alert(&self) -> Result<(), LabError> {
        let Some(alert) = &self.lab.alert else { return Ok(()) };
        if alert.is_empty() {
            self.wrong("alert", "is empty", "write a command or an https address, or leave the setting out")?;
        }
        // What is wrong with a lab is nobody else's business.
        if alert.starts_with("http://") && !is_here(alert) {
            self.wrong("alert", "is sent unencrypted", "write an address that begins with https://")?;
        }
        Ok(())
    }

    fn sandbox(&self) -> Result<(), LabError> {
        let lab = self.lab;
        for (field, paths) in [("reads", &lab.reads), ("writes", &lab.writes)] {
            for path in paths {
                let whole = matches!(editable::plain(path), "" | "." | "~")
                    || path.split('/').any(|part| part == "..");
                if whole || path.starts_with('~') && !path.starts_with("~/") {
                    let hint =
                        "name a file or a folder: `/data/corpus`, `~/data/corpus`, or one of the checkout's";
                    self.wrong(field, format!("has `{path}`"), hint)?;
                }
                if field == "writes" && editable::plain(path).split('/').any(|part| part == ".git") {
                    self.wrong(field, format!("has `{path}`, which is git's own"), "remove it")?;
                }
            }
        }
        for name in &lab.env {
            if !is_variable(name) {
                let problem = format!("has `{name}`, which is not the name of an environment variable");
                self.wrong(
                    "env",
                    problem,
                    "write names such as `NCCL_DEBUG`; values come from where the loop is started",
                )?;
            }
        }
        if lab.limits.processes == 0 || lab.limits.disk == 0 || lab.limits.memory == Some(0) {
            self.wrong("limits", "has a zero", "nothing could run with it: write more, or leave it out")?;
        }
        let beside =
            [("network", lab.network), ("reads", !lab.reads.is_empty()), ("writes", !lab.writes.is_empty())];
        for (field, set) in beside {
            if set && !lab.sandbox {
                self.wrong(field, "has no meaning beside `sandbox: off`", "leave one of the two out")?;
            }
        }
        Ok(())
    }

    fn times(&self) -> Result<(), LabError> {
        let lab = self.lab;
        for (field, time) in [
            ("budget", lab.budget),
            ("timeout", lab.timeout),
            ("build_timeout", lab.build_timeout),
            ("agent_timeout", lab.agent_timeout),
        ] {
            if time.0 <= 0.0 {
                self.wrong(field, "is zero", "write a length of time such as `5m`")?;
            }
        }
        if lab.timeout < lab.budget {
            let problem = format!("of {} is shorter than the budget of {}", lab.timeout, lab.budget);
            self.wrong("timeout", problem, "a run is killed at its timeout: give it more than the budget")?;
        }
        Ok(())
    }

    fn paths(&self, field: &'static str, paths: &[String]) -> Result<(), LabError> {
        for path in paths {
            let (problem, hint) = if matches!(editable::plain(path), "" | ".") {
                (format!("has `{path}`, which names no file"), "name files, folders or globs".to_owned())
            } else if path.starts_with(['/', '~', '\\']) || path.get(1..2) == Some(":") {
                let hint = "write it relative to the folder of program.md".to_owned();
                (format!("has `{path}`, which is outside of the repository"), hint)
            } else if path.split('/').any(|part| part == "..") {
                let hint = "a path cannot leave the repository by `..`".to_owned();
                (format!("has `{path}`, which is outside of the repository"), hint)
            } else if editable::plain(path).split('/').any(|part| part == ".git") {
                (format!("has `{path}`, which is git's own"), "remove it".to_owned())
            } else if editable::is_within(editable::plain(path), editable::RECORDS) {
                (format!("has `{path}`, which is Overnight's own"), "remove it".to_owned())
            } else {
                continue;
            };
            self.wrong(field, problem, hint)?;
        }
        Ok(())
    }

    fn editable(&self) -> Result<(), LabError> {
        if self.lab.editable.is_empty() {
            self.wrong("editable", "is empty", "name the file that a candidate may change")?;
        }
        for path in &self.lab.editable {
            if editable::plain(path) == editable::PROGRAM {
                self.wrong(
                    "editable",
                    "has program.md",
                    "a candidate may not change the program: remove it",
                )?;
            }
            if let Err(problem) = editable::Editable::new(std::slice::from_ref(path)) {
                self.wrong(
                    "editable",
                    format!("has `{path}`: {problem}"),
                    "write a path or a glob such as `src/**/*.py`",
                )?;
            }
        }
        Ok(())
    }

    /// What lies outside of git cannot be what candidates are made of.
    fn untracked(&self, field: &'static str, paths: &[String]) -> Result<(), LabError> {
        for path in paths {
            let plain = editable::plain(path);
            let under = |edited: &String| editable::is_within(editable::plain(edited), plain);
            if self.lab.is_editable(plain) || self.lab.editable.iter().any(under) {
                let hint = "a candidate changes what git tracks, and this is not: leave it in one of the two";
                self.wrong(field, format!("has `{path}`, which is editable too"), hint)?;
            }
        }
        Ok(())
    }

    fn apart(&self) -> Result<(), LabError> {
        for cache in &self.lab.caches {
            if self.lab.inputs.iter().any(|input| editable::plain(input) == editable::plain(cache)) {
                let hint = "inputs are read only, caches are written: leave it in one of the two";
                self.wrong("caches", format!("has `{cache}`, which is an input too"), hint)?;
            }
        }
        Ok(())
    }
}

/// Whether an address is this machine's own.
fn is_here(address: &str) -> bool {
    let host = address.trim_start_matches("http://").split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    // A name before the host, as in `localhost:80@example.org`, would stand in its place.
    !address.contains('@') && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
