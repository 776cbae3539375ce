//! This machine's slots: a worktree each, a shim for each run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lab::{AtBudget, CommitId, Lab, RunId, Seconds};
use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use super::{Executor, Fetched, Given, Kind, exists, folder, inputs, share};
use crate::environment::Variables;
use crate::gpu::Gpus;
use crate::processes::{self, MARK, Process};
use crate::sandbox::{Facts, Ground, Locked, Policy};
use crate::shim::{self, End, Job, Watch};
use crate::store::Store;
use crate::{Paths, RunnerError};

/// How often the folder of a run is looked at that another runner began.
const LOOK: Duration = Duration::from_millis(100);
/// How often that of a run is whose shim is a child of this process, the end of which is told at once.
const SELDOM: Duration = Duration::from_secs(5);
/// How long a shim may take to say that it has started.
const START: Duration = Duration::from_secs(20);

/// Slots on this machine.
pub struct Local {
    root: PathBuf,
    paths: Paths,
    store: Store,
    variables: Variables,
    gpus: Gpus,
    /// The cores that slots share out.
    cores: Vec<usize>,
    facts: Facts,
    grace: Seconds,
    /// The shims that this runner started and nobody waits for yet.
    children: Mutex<HashMap<RunId, Child>>,
    /// The runs whose shims are children of this process and have not ended.
    own: Mutex<HashSet<RunId>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Local {
    /// Slots for the lab at `root`.
    pub fn new(root: &Path, paths: &Paths, store: Store, variables: &Variables, grace: Seconds) -> Self {
        Self {
            root: root.to_owned(),
            paths: paths.clone(),
            store,
            gpus: Gpus::find(variables, |pid| {
                processes::run_of(pid).is_some_and(|run| paths.cache.join("runs").join(run).exists())
            }),
            cores: share::cores(),
            variables: variables.clone(),
            facts: Facts::probe(),
            grace,
            children: Mutex::default(),
            own: Mutex::default(),
        }
    }

    fn environment(&self, lab: &Lab, given: Given) -> BTreeMap<String, String> {
        let mut all = self.variables.allowed();
        let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
        set("OVERNIGHT_BUDGET_SECONDS", given.budget.0.to_string());
        set("OVERNIGHT_SEED", given.seed.to_string());
        set("OVERNIGHT_EXPERIMENT", given.number.to_string());
        set("OVERNIGHT_SLOT", given.slot.to_string());
        if let Some(name) = &lab.seed_env {
            set(name, given.seed.to_string());
        }
        if let Some(gpu) = self.gpus.of(given.slot) {
            set("CUDA_VISIBLE_DEVICES", gpu.clone());
            if self.gpus.program.is_some() {
                // The order in which `nvidia-smi` counts; CUDA's own begins with the fastest.
                all.entry("CUDA_DEVICE_ORDER".to_owned()).or_insert_with(|| "PCI_BUS_ID".to_owned());
            }
        }
        share::tell(&mut all, &self.cores_of(given));
        all
    }

    fn ground(&self) -> Ground<'_> {
        Ground { root: &self.root, paths: &self.paths, variables: &self.variables, facts: &self.facts }
    }

    /// What a build or a run may do; `None` where the lab has no sandbox.
    fn policy(&self, lab: &Lab, given: Given) -> Option<Policy> {
        if !lab.sandbox {
            return None;
        }
        let mut policy = self.ground().policy(given.slot, lab);
        policy.locked = self.index(given.slot).map(|index| Locked {
            index,
            editable: lab.editable.clone(),
            inputs: lab.inputs.clone(),
        });
        Some(policy)
    }

    /// The git index of a slot's worktree, which no run can write; `None` where the worktree does not say truly where that is.
    fn index(&self, slot: u32) -> Option<PathBuf> {
        let tree = self.paths.tree(slot);
        let link = std::fs::read_to_string(tree.join(".git")).ok()?;
        let folder = tree.join(link.strip_prefix("gitdir:")?.trim()).canonicalize().ok()?;
        let known = self.paths.state.parent()?.join("worktrees").canonicalize().ok()?;
        let back = std::fs::read_to_string(folder.join("gitdir")).ok()?;
        let ours = Path::new(back.trim()).canonicalize().ok()? == tree.join(".git").canonicalize().ok()?;
        (folder.parent() == Some(known.as_path()) && ours).then(|| folder.join("index"))
    }

    fn cores_of(&self, given: Given) -> Vec<usize> {
        share::of(&self.cores, given.slot, given.slots)
    }

    /// The GPU that a run is to be watched on.
    fn watched(&self, given: Given) -> Option<Watch> {
        let gpu = self.gpus.of(given.slot)?.clone();
        Some(Watch { program: self.gpus.program.clone()?, gpu })
    }

    /// Copies the caches of slot 0 to a slot that has none: a real copy, for a shared build folder
    /// would give one slot the other's candidate.
    fn seed_caches(&self, slot: u32, lab: &Lab) -> Result<(), RunnerError> {
        if slot == 0 {
            return Ok(());
        }
        for cache in &lab.caches {
            let cache = cache.trim_end_matches('/');
            let (from, to) = (self.paths.tree(0).join(cache), self.paths.tree(slot).join(cache));
            if !from.is_dir() || exists(&to) {
                continue;
            }
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent).map_err(RunnerError::io("create", parent))?;
            }
            // Under another name first, so that half a copy is never taken for a whole one.
            let part = self.paths.slot(slot).join("seed");
            let _ = std::fs::remove_dir_all(&part);
            let copied = std::process::Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .args([&from, &part])
                .env(MARK, self.paths.mark())
                .stdin(Stdio::null())
                .output()
                .map_err(RunnerError::io("copy", &from))?;
            if copied.status.success() {
                std::fs::rename(&part, &to).map_err(RunnerError::io("move", &part))?;
            } else {
                // Slot 0 was writing in it at that moment: this slot makes its own.
                tracing::warn!(slot, cache, "slot 0's cache could not be copied; it is made anew");
                let _ = std::fs::remove_dir_all(&part);
            }
        }
        Ok(())
    }

    /// Whether a shim that this runner started has not ended.
    fn is_child(&self, run: RunId) -> bool {
        lock(&self.own).contains(&run)
    }

    fn shim(&self, run: RunId) -> Option<Process> {
        shim::process(&self.paths.run(run))
    }
}

#[async_trait]
impl Executor for Local {
    async fn prepare(&self, slot: u32, candidate: &CommitId, lab: &Lab) -> Result<PathBuf, RunnerError> {
        let tree = self.paths.tree(slot);
        // Not the links to inputs: an earlier run may have put something else in their place.
        let kept: Vec<String> = lab.caches.iter().map(|path| path.trim_end_matches('/').to_owned()).collect();
        self.store.worktree(&tree, candidate, &kept).await?;
        inputs::link(&self.root, &tree, lab)?;
        crate::blocking::here(|| self.seed_caches(slot, lab))?;
        let tools = self.paths.tools(slot);
        self.ground().make_tools(slot).map_err(RunnerError::io("make", &tools))?;
        Ok(tree)
    }

    fn job(&self, lab: &Lab, kind: Kind, given: Given) -> Option<Job> {
        let command = match kind {
            Kind::Build => lab.build.clone()?,
            Kind::Run => lab.run.clone(),
        };
        let mut environment = self.environment(lab, given);
        if lab.sandbox {
            self.ground().settle(given.slot, lab, &mut environment);
        }
        Some(Job {
            schema: lab::SCHEMA,
            command,
            folder: self.paths.tree(given.slot),
            environment,
            sandbox: self.policy(lab, given),
            timeout: match kind {
                Kind::Build => lab.build_timeout,
                Kind::Run => lab.timeout,
            },
            stop_at: (kind == Kind::Run && lab.at_budget == AtBudget::Stop).then_some(given.budget),
            grace: self.grace,
            metrics: kind == Kind::Run,
            metric: (kind == Kind::Run).then(|| lab.metric.as_str().to_owned()),
            written: lab.metrics.clone().filter(|_| kind == Kind::Run),
            cores: self.cores_of(given),
            gpu: if kind == Kind::Run { self.watched(given) } else { None },
        })
    }

    async fn submit(&self, run: RunId, job: &Job) -> Result<(), RunnerError> {
        let folder = self.paths.run(run);
        let mut job = job.clone();
        job.environment.insert(MARK.to_owned(), run.to_string());
        if let Some(policy) = &mut job.sandbox {
            let scratch = scratch(run)?;
            job.environment.insert("TMPDIR".to_owned(), scratch.display().to_string());
            policy.lend(&scratch);
        }
        let text = serde_json::to_vec(&job).map_err(|e| RunnerError::Protocol(e.to_string()))?;
        // No wait for the disk: a machine that loses its power loses the run.
        crate::paths::write_private(&folder.join("job.json"), &text)?;
        let child = Command::new(&self.paths.program)
            .arg("shim")
            .arg(&folder)
            .env_clear()
            .envs(&job.environment)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| RunnerError::Spawn { program: self.paths.program.clone(), source })?;
        lock(&self.children).insert(run, child);
        lock(&self.own).insert(run);
        Ok(())
    }

    async fn watch(&self, run: RunId) -> Option<End> {
        let folder = self.paths.run(run);
        // Another runner's shim is no child of this process: only its files and `/proc` tell of it.
        let mut child = lock(&self.children).remove(&run);
        let mut look = tokio::time::interval(if child.is_some() { SELDOM } else { LOOK });
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let ended = async {
                match &mut child {
                    Some(child) => drop(child.wait().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ended => child = None,
                _ = look.tick() => {}
            }
            // Asked before the file is looked for: a shim writes its end and then goes.
            let living = child.is_some() || self.shim(run).is_some_and(Process::lives);
            let end = shim::read_end(&folder);
            if end.is_some() || !living {
                lock(&self.own).remove(&run);
                if end.is_none() {
                    shim::bar(&folder);
                }
                // Where the shim was killed, what it ran may be left.
                crate::blocking::here(|| {
                    shim::group::sweep(&run.to_string());
                    processes::sweep(&[run.to_string()]);
                    if end.is_none() {
                        shim::clear(&scratch_of(run));
                    }
                });
                return end;
            }
        }
    }

    async fn cancel(&self, run: RunId) {
        // A shim that has not yet said who it is cannot be asked.
        let until = tokio::time::Instant::now() + START;
        while self.shim(run).is_none() && self.is_child(run) && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Some(shim) = self.shim(run) {
            shim.signal(Signal::SIGTERM);
        }
    }

    async fn fetch(&self, run: RunId) -> Result<Fetched, RunnerError> {
        folder::fetch(&self.paths.run(run))
    }

    fn folder(&self, run: RunId) -> PathBuf {
        self.paths.run(run)
    }

    fn notes(&self, slots: u32) -> Vec<String> {
        self.gpus.notes(slots)
    }

    fn share(&self, slots: u32) -> Option<String> {
        share::words(self.cores.len(), slots, self.gpus.sharing(slots))
    }

    fn began(&self, run: RunId) -> bool {
        self.shim(run).is_some_and(|shim| shim.pid != 0)
    }

    fn forget(&self, run: RunId) {
        let _ = std::fs::remove_file(self.paths.run(run).join("end.json"));
    }
}

/// Where a run keeps temporary files: short, for Unix sockets are made there, whose paths may have 107 bytes.
fn scratch_of(run: RunId) -> PathBuf {
    let id = run.0.simple().to_string();
    Path::new("/tmp").join(format!("overnight-{}", &id[20..]))
}

/// Makes it, for nobody else to use.
fn scratch(run: RunId) -> Result<PathBuf, RunnerError> {
    use std::os::unix::fs::DirBuilderExt;

    let folder = scratch_of(run);
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(RunnerError::io("create", &folder))?;
    Ok(folder)
}
