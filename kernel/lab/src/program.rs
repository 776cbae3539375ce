//! Reads `program.md`: settings as YAML front matter, then the instructions.
//!
//! ```
//! let lab = lab::Lab::parse("---\nrun: ./bench\nbudget: 20s\n---\nMake it fast.")?;
//! assert_eq!(lab.timeout, lab::Seconds(40.0)); // twice the budget, where it is not said
//! assert_eq!(lab.instructions, "Make it fast.");
//!
//! let error = lab::Lab::parse("---\nrun: ./bench\nbugdet: 20s\n---\n").unwrap_err();
//! assert_eq!(error.to_string(), "program.md, line 3: `bugdet` is not a setting");
//! assert_eq!(error.hint(), "did you mean `budget`?");
//! # Ok::<(), lab::LabError>(())
//! ```

use std::collections::BTreeMap;

use crate::{AgentSession, AtBudget, Direction, Hook, Lab, LabError, Limits, MetricName, Seconds};

mod check;
mod front;
mod node;
#[cfg(test)]
mod tests;

use node::Field;

/// Every setting that front matter can hold.
pub(crate) const SETTINGS: [&str; 31] = [
    "editable",
    "setup",
    "build",
    "run",
    "metric",
    "metrics",
    "direction",
    "unit",
    "budget",
    "timeout",
    "build_timeout",
    "at_budget",
    "inputs",
    "caches",
    "seed_env",
    "crashes",
    "repairs",
    "ahead",
    "agent_session",
    "agent_timeout",
    "space",
    "ideas",
    "plateau",
    "hooks",
    "alert",
    "sandbox",
    "network",
    "reads",
    "writes",
    "env",
    "limits",
];

/// A value that `setting` can have.
pub(crate) fn example(setting: &str) -> &'static str {
    match setting {
        "editable" => "[train.py, src/**/*.py]",
        "setup" | "build" => "make",
        "run" => "python train.py",
        "metric" => "val_loss",
        "metrics" => "out/metrics.json",
        "direction" => "minimize",
        "unit" => "bits",
        "budget" => "5m",
        "timeout" => "10m",
        "build_timeout" => "30m",
        "at_budget" => "stop",
        "inputs" => "[data/]",
        "caches" => "[target/]",
        "seed_env" => "SEED",
        "ahead" => "false",
        "agent_session" => "kept",
        "agent_timeout" => "20m",
        "space" => "{RATE: 1e-4..1e-1 log}",
        "ideas" => "[try a longer warm-up]",
        "hooks" => "{after: ./notify.sh}",
        "alert" => "https://chat.example.org/hooks/night",
        "sandbox" => "off",
        "network" => "true",
        "reads" => "[~/data/corpus]",
        "writes" => "[~/data/features]",
        "env" => "[NCCL_DEBUG]",
        "limits" => "{memory: 32GB, processes: 4096, disk: 50GB}",
        _ => "5",
    }
}

impl Default for Lab {
    /// What karpathy/autoresearch has, and what an unmodified checkout of it runs with.
    fn default() -> Self {
        Self {
            editable: vec!["train.py".to_owned()],
            setup: None,
            build: None,
            run: "uv run train.py".to_owned(),
            metric: MetricName::new("val_bpb"),
            metrics: None,
            direction: Direction::Minimize,
            unit: None,
            budget: Seconds(300.0),
            timeout: Seconds(600.0),
            build_timeout: Seconds(1800.0),
            at_budget: AtBudget::Code,
            inputs: Vec::new(),
            caches: Vec::new(),
            seed_env: None,
            crashes: 5,
            repairs: 2,
            ahead: true,
            agent_session: AgentSession::Fresh,
            agent_timeout: Seconds(1200.0),
            space: BTreeMap::new(),
            ideas: Vec::new(),
            plateau: 0,
            hooks: BTreeMap::new(),
            alert: None,
            sandbox: true,
            network: false,
            reads: Vec::new(),
            writes: Vec::new(),
            env: Vec::new(),
            limits: Limits::default(),
            instructions: String::new(),
            declared: false,
        }
    }
}

impl Lab {
    /// Reads a program. A setting that it does not have has its default, and without front matter
    /// all of them have ([`Lab::default`]); a missing `timeout` is twice the budget.
    ///
    /// # Errors
    /// A setting that does not exist, has the wrong type or contradicts another one, and front matter
    /// that does not end or is not YAML: each with its line.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        let program = front::split(text)?;
        let mut lab = Self { instructions: program.instructions.trim().to_owned(), ..Self::default() };
        let Some(yaml) = program.front else { return Ok(lab) };
        lab.declared = true;
        let fields = node::read(text, yaml)?;
        for field in &fields {
            lab.set(field)?;
        }
        if !fields.iter().any(|field| field.name == "timeout") {
            lab.timeout = Seconds(lab.budget.0 * 2.0);
        }
        check::check(&lab, &fields)?;
        Ok(lab)
    }

    fn set(&mut self, field: &Field<'_>) -> Result<(), LabError> {
        match field.name {
            "editable" => self.editable = field.paths()?,
            "setup" => self.setup = Some(field.text()?),
            "build" => self.build = Some(field.text()?),
            "run" => self.run = field.text()?,
            "metric" => self.metric = MetricName::new(field.text()?),
            "metrics" => self.metrics = Some(field.text()?),
            "direction" => {
                let words = [("minimize", Direction::Minimize), ("maximize", Direction::Maximize)];
                self.direction = field.word(&words)?;
            }
            "unit" => self.unit = Some(field.text()?),
            "budget" => self.budget = field.seconds()?,
            "timeout" => self.timeout = field.seconds()?,
            "build_timeout" => self.build_timeout = field.seconds()?,
            "at_budget" => {
                let words = [("code", AtBudget::Code), ("stop", AtBudget::Stop)];
                self.at_budget = field.word(&words)?;
            }
            "inputs" => self.inputs = field.paths()?,
            "caches" => self.caches = field.paths()?,
            "seed_env" => self.seed_env = Some(field.text()?),
            "ideas" => self.ideas = field.texts("an idea or a list of ideas")?,
            "plateau" => self.plateau = field.count()?,
            "hooks" => self.hooks = field.named(&[("before", Hook::Before), ("after", Hook::After)])?,
            "alert" => self.alert = Some(field.text()?),
            "crashes" => self.crashes = field.count()?,
            "repairs" => self.repairs = field.count()?,
            "ahead" => self.ahead = field.switch()?,
            "agent_session" => {
                let words = [("fresh", AgentSession::Fresh), ("kept", AgentSession::Kept)];
                self.agent_session = field.word(&words)?;
            }
            "agent_timeout" => self.agent_timeout = field.seconds()?,
            "space" => self.space = field.words()?,
            "sandbox" => self.sandbox = field.on_or_off()?,
            "network" => self.network = field.switch()?,
            "reads" => self.reads = field.paths()?,
            "writes" => self.writes = field.paths()?,
            "env" => self.env = field.texts("a variable or a list of variables")?,
            "limits" => self.limits = field.limits()?,
            name => unreachable!("`{name}` is in SETTINGS and is not read"),
        }
        Ok(())
    }
}
