//! What a command works on: the lab, its ledger, and where their files are.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use frames::Frames;
use lab::{Experiment, Lab, Peers, Tag};
use ledger::Ledger;
use runner::Paths;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::commands::ask::Memory;
use crate::env;
use crate::failure::{ExitCode, Failure};
use crate::grammar::Which;

/// The tables of the labs that one kernel has looked at, by where they are.
pub(crate) type Shared = Arc<StdMutex<HashMap<PathBuf, Arc<Mutex<Frames>>>>>;

/// The lab of a terminal or of a notebook.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// A folder inside the lab's repository.
    pub(crate) folder: PathBuf,
    /// Whether answers are to be JSON.
    pub(crate) json: bool,
    /// Environment variables for a runner that is begun, beside those of this process.
    pub(crate) env: BTreeMap<String, String>,
    /// The number of the notebook's cell that is run; none in a terminal.
    pub(crate) cell: Option<u32>,
    /// The folder of the frames that a notebook has named; none in a terminal.
    pub(crate) frames: Option<PathBuf>,
    /// The tables of each lab, between the commands of one kernel.
    pub(crate) tables: Shared,
    /// What was asked and answered before in the same kernel.
    pub(crate) memory: Memory,
}

/// The tables of a lab, while one command uses them.
pub(crate) type Tables = OwnedMutexGuard<Frames>;

impl Session {
    /// A session in `folder`.
    pub(crate) fn new(folder: PathBuf, json: bool) -> Self {
        Self {
            folder,
            json,
            env: BTreeMap::new(),
            cell: None,
            frames: None,
            tables: Shared::default(),
            memory: Memory::default(),
        }
    }

    /// The ledger of the lab's repository.
    pub(crate) fn ledger(&self) -> Result<Ledger, Failure> {
        Ok(Ledger::open(&self.folder)?)
    }

    /// The lab's program as it is in the researcher's checkout.
    pub(crate) fn lab(&self, ledger: &Ledger) -> Result<Lab, Failure> {
        let path = ledger.root().join("program.md");
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::io("read", &path, &error)
                .code(ExitCode::Lab)
                .hint("a lab is a git repository with a program.md: `overnight new` writes one")
        })?;
        Lab::parse(&text).map_err(Failure::from)
    }

    /// Where the runner of this lab keeps its files and its socket.
    pub(crate) fn paths(&self, ledger: &Ledger) -> Result<Paths, Failure> {
        Ok(Paths {
            state: ledger.state_dir().to_owned(),
            cache: cache_home()?.join(folder_name(ledger)),
            runtime: runtime_folder()?,
            program: program()?,
        })
    }

    /// The line of research that a command is about: the one named, else the one last worked on; where nobody has
    /// worked here yet, the newest that was merged.
    pub(crate) fn tag(&self, ledger: &Ledger, named: Option<&Tag>) -> Result<Tag, Failure> {
        if let Some(tag) = named {
            return Ok(tag.clone());
        }
        if let Some(last) = runner::status::last_tag(&self.paths(ledger)?)? {
            return Ok(last);
        }
        let usual = Tag::default();
        if ledger.tip(&usual)?.is_some() {
            return Ok(usual);
        }
        Ok(ledger.newest_tag()?.unwrap_or(usual))
    }

    /// What the experiments are called, newest first; none where there is no ledger.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = || {
            let tables = self.frames(self.ledger().ok()?).ok()?;
            let tag = self.tag(tables.ledger(), None).ok()?;
            let experiments = tables.ledger().known(&tag).ok()?.experiments;
            let peers = peers(&experiments, &tables.ledger().writer().ok()?);
            Some(experiments.iter().rev().map(|experiment| peers.label(&experiment.record)).collect())
        };
        names().unwrap_or_default()
    }

    /// The tables of the lab, of the runs in progress too, and the frames that a notebook has named. What they have
    /// read is there for the kernel's next command; one that runs at the same time reads for itself.
    pub(crate) fn frames(&self, ledger: Ledger) -> Result<Tables, Failure> {
        let state = ledger.state_dir().to_owned();
        let paths = self.paths(&ledger)?;
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tables.get(&state)
            && let Ok(mut known) = Arc::clone(known).try_lock_owned()
        {
            known.renew(ledger);
            return Ok(known);
        }
        let frames = Frames::new(ledger, paths.cache).with_named(self.frames.as_deref());
        let made = Arc::new(Mutex::new(frames));
        tables.entry(state).or_insert_with(|| Arc::clone(&made));
        made.try_lock_owned().map_err(|error| Failure::new(error.to_string()))
    }
}

/// The names of the clones that experiments are from.
pub(crate) fn peers(experiments: &[Experiment], own: &str) -> Peers {
    Peers::of(experiments.iter().map(|experiment| experiment.record.as_ref()), Some(own))
}

/// Those of the clone that the last is from: of this one, if anything was run here. Numbers of several clones are no
/// axis of a chart.
pub(crate) fn of_one_clone(experiments: &[Experiment]) -> Vec<Experiment> {
    let Some(last) = experiments.last() else { return Vec::new() };
    experiments.iter().filter(|experiment| experiment.record.writer == last.record.writer).cloned().collect()
}

/// Finds the experiment that a person named; `own` is the id of this clone.
pub(crate) fn find<'a>(
    experiments: &'a [Experiment],
    which: &Which,
    tag: &Tag,
    own: &str,
) -> Result<&'a Experiment, Failure> {
    let of = |writer: &str, number: u64| {
        experiments.iter().find(|e| e.record.number == number && e.record.writer == writer)
    };
    let found = match which {
        // In a clone where nothing was run yet, whose else should it be?
        Which::Number(number) if experiments.iter().all(|e| e.record.writer != own) => {
            let mut its = experiments.iter().filter(|e| e.record.number == *number);
            its.next().filter(|_| its.next().is_none())
        }
        Which::Number(number) => of(own, *number),
        Which::Peer(name, number) => {
            let peers = peers(experiments, own);
            let Some(writer) = peers.find(name) else {
                return Err(unknown_peer(name, &peers, tag));
            };
            of(writer, *number)
        }
        Which::Best => lab::experiment::best(experiments),
        Which::Latest | Which::Running => experiments.last(),
    };
    found.ok_or_else(|| {
        let last = experiments.iter().filter(|e| e.record.writer == own).map(|e| e.record.number).max();
        let hint = match last {
            None if experiments.is_empty() => {
                format!("the ledger `{tag}` has none yet: `loop start` begins one")
            }
            None => format!(
                "the ledger `{tag}` has those of {}; `experiments` lists them",
                peers(experiments, own).names().join(", ")
            ),
            Some(last) => format!("the ledger `{tag}` has 0 to {last}; `experiments` lists them"),
        };
        Failure::new(format!("there is no experiment {which}")).hint(hint)
    })
}

fn unknown_peer(name: &str, peers: &Peers, tag: &Tag) -> Failure {
    let hint = match &peers.names()[..] {
        [] => format!("the ledger `{tag}` has experiments of this clone alone; `merge REMOTE` adds others"),
        names => format!("there are {}", names.join(", ")),
    };
    Failure::new(format!("no clone is called `{name}`")).hint(hint)
}

/// The name of a lab's cache: the repository's folder, and a hash that tells apart those of one name.
fn folder_name(ledger: &Ledger) -> String {
    let name = ledger.root().file_name().map_or("lab".into(), |name| name.to_string_lossy());
    let digest = Sha256::digest(ledger.state_dir().as_os_str().as_bytes());
    format!("{name}-{}", hex::encode(&digest[..4]))
}

/// This program, for the processes that it starts.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find the overnight program itself: {error}")))
}

/// `$XDG_CACHE_HOME/overnight`, or its usual place.
pub(crate) fn cache_home() -> Result<PathBuf, Failure> {
    use etcetera::BaseStrategy;
    let base = etcetera::choose_base_strategy()
        .map_err(|_| Failure::new("there is no home folder").hint("set HOME, or XDG_CACHE_HOME"))?;
    Ok(base.cache_dir().join("overnight"))
}

/// The folder of sockets: `$XDG_RUNTIME_DIR/overnight`, or one below the folder for temporary files.
fn runtime_folder() -> Result<PathBuf, Failure> {
    let folder = env::path("XDG_RUNTIME_DIR").filter(|path| path.is_dir()).map_or_else(
        || std::env::temp_dir().join(format!("overnight-{}", nix::unistd::getuid())),
        |path| path.join("overnight"),
    );
    private_folder(&folder)?;
    Ok(folder)
}

/// Makes a folder that only its owner can enter, and refuses one that somebody else has made there.
pub(crate) fn private_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::io("make", folder, &error))?;
    let found = std::fs::symlink_metadata(folder).map_err(|error| Failure::io("look at", folder, &error))?;
    if !found.is_dir() || found.uid() != nix::unistd::getuid().as_raw() {
        return Err(Failure::new(format!("{} is not a folder of yours", folder.display())).hint(
            "what lies there would not be private: remove it, or point its XDG variable to another place",
        ));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700))
            .map_err(|error| Failure::io("close", folder, &error))?;
    }
    Ok(())
}
