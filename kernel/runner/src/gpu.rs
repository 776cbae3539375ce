//! GPUs, as `nvidia-smi` tells: which there are, who uses them, and which slots get.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Variables;

/// A GPU.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gpu {
    /// Its number, in the order of the bus.
    pub(crate) index: String,
    /// Its name for ever.
    pub(crate) uuid: String,
    /// Its model.
    pub(crate) name: String,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Used {
    uuid: String,
    pid: i32,
    program: String,
    memory: String,
    /// Whose process it is, where that can be seen.
    user: Option<String>,
}

/// The GPUs that slots share out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gpus {
    /// Each as `CUDA_VISIBLE_DEVICES` names it.
    pub(crate) names: Vec<String>,
    /// How many of them are left out, for others use them.
    left_out: usize,
    /// What a person should know of them.
    notes: Vec<String>,
    /// `nvidia-smi`, where it is there.
    pub(crate) program: Option<PathBuf>,
}

impl Gpus {
    /// The GPUs of this machine, or those of them that the caller was given by `CUDA_VISIBLE_DEVICES`. `ours` says
    /// whether a process belongs to a run of this lab.
    pub(crate) fn find(variables: &Variables, ours: impl Fn(i32) -> bool) -> Self {
        let given = variables.get("CUDA_VISIBLE_DEVICES");
        let Some(program) = variables.find("nvidia-smi") else {
            return Self { names: crate::machine::gpus(given), ..Self::default() };
        };
        let ask = |what: &str| ask(&program, what, variables);
        let all = parse_gpus(&ask("--query-gpu=index,uuid,name"));
        if all.is_empty() {
            return Self { names: crate::machine::gpus(given), ..Self::default() };
        }
        let mut used = parse_used(&ask("--query-compute-apps=gpu_uuid,pid,process_name,used_memory"));
        used.retain(|used| !ours(used.pid));
        for used in &mut used {
            used.user = user(used.pid);
        }
        Self { program: Some(program), ..choose(given, &all, &used) }
    }

    /// The GPU of a slot.
    pub(crate) fn of(&self, slot: u32) -> Option<&String> {
        (!self.names.is_empty()).then(|| &self.names[slot as usize % self.names.len()])
    }

    /// How many of so many slots have the same GPU, at most; 0 where there is none.
    pub(crate) fn sharing(&self, slots: u32) -> u32 {
        let gpus = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        if gpus == 0 { 0 } else { slots.div_ceil(gpus) }
    }

    /// What a person should know before a loop with so many slots begins.
    pub(crate) fn notes(&self, slots: u32) -> Vec<String> {
        let mut notes = self.notes.clone();
        let (gpus, slots) = (self.names.len(), slots as usize);
        if gpus > 0 && slots > gpus {
            let them = if gpus == 1 { "one GPU".to_owned() } else { format!("{gpus} GPUs") };
            let more = if self.left_out > 0 { " that nobody else uses" } else { "" };
            notes.push(format!(
                "{slots} slots share {them}{more}: a run has less of it than it would have alone"
            ));
        } else if gpus > 1 && slots > 1 {
            notes.push(format!("each of {slots} slots has a GPU of its own"));
        }
        notes
    }
}

/// Which GPUs are given out: those of the caller's list, but for those that others use, unless there is no other.
fn choose(given: Option<&str>, all: &[Gpu], used: &[Used]) -> Gpus {
    let names: Vec<String> = match given {
        // What is not a device ends the list, as CUDA has it.
        Some(list) => list
            .split(',')
            .map(str::trim)
            .take_while(|name| !name.is_empty() && *name != "-1")
            .map(str::to_owned)
            .collect(),
        None => all.iter().map(|gpu| gpu.index.clone()).collect(),
    };
    let gpu = |name: &String| {
        all.iter().find(|gpu| {
            gpu.index == *name || (name.starts_with("GPU-") && gpu.uuid.starts_with(name.as_str()))
        })
    };
    let users = |name: &String| -> Vec<&Used> {
        gpu(name).map(|gpu| used.iter().filter(|used| used.uuid == gpu.uuid).collect()).unwrap_or_default()
    };
    let free: Vec<String> = names.iter().filter(|name| users(name).is_empty()).cloned().collect();
    let busy: Vec<&String> = names.iter().filter(|name| !users(name).is_empty()).collect();
    let none = free.is_empty();
    let notes = busy
        .iter()
        .map(|name| {
            let model = gpu(name).map(|gpu| format!(" ({})", gpu.name)).unwrap_or_default();
            let who: Vec<String> = users(name).iter().map(|used| used.words()).collect();
            let what =
                if none { "the loop uses it all the same, for there is no other" } else { "it is left out" };
            format!("GPU {name}{model} is used by {}: {what}", who.join(" and "))
        })
        .collect();
    let left_out = if none { 0 } else { busy.len() };
    Gpus { names: if none { names } else { free }, left_out, notes, program: None }
}

impl Used {
    fn words(&self) -> String {
        let whose = self.user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
        let memory =
            if self.memory.parse::<f64>().is_ok() { format!(", {} MB", self.memory) } else { String::new() };
        let program = self.program.rsplit('/').next().unwrap_or(&self.program);
        format!("{program} (process {}{whose}{memory})", self.pid)
    }
}

/// What `nvidia-smi` answers; nothing where it fails. It may hang for long where a driver is broken.
fn ask(program: &std::path::Path, what: &str, variables: &Variables) -> String {
    let mut command = match variables.find("timeout") {
        Some(timeout) => {
            let mut command = Command::new(timeout);
            command.arg("20").arg(program);
            command
        }
        None => Command::new(program),
    };
    let answer = command
        .args([what, "--format=csv,noheader,nounits"])
        .env_clear()
        .envs(variables.allowed())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match answer {
        Ok(answer) if answer.status.success() => String::from_utf8_lossy(&answer.stdout).into_owned(),
        _ => String::new(),
    }
}

fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    fields.try_into().ok()
}

fn parse_gpus(text: &str) -> Vec<Gpu> {
    let read = |line| {
        let [index, uuid, name] = fields(line)?;
        index.parse::<u32>().ok()?;
        Some(Gpu { index: index.to_owned(), uuid: uuid.to_owned(), name: name.to_owned() })
    };
    text.lines().filter_map(read).collect()
}

fn parse_used(text: &str) -> Vec<Used> {
    let read = |line| {
        let [uuid, pid, program, memory] = fields(line)?;
        let (uuid, program, memory) = (uuid.to_owned(), program.to_owned(), memory.to_owned());
        Some(Used { uuid, pid: pid.parse().ok()?, program, memory, user: None })
    };
    text.lines().filter_map(read).collect()
}

/// Whose a process is.
fn user(pid: i32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    Some(nix::unistd::User::from_uid(owner.into()).ok()??.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Gpu> {
        parse_gpus(
            "0, GPU-aaaa, NVIDIA H100 80GB HBM3\n1, GPU-bbbb, NVIDIA H100 80GB HBM3\nNo devices\n2, GPU-cccc, NVIDIA H200\n",
        )
    }

    fn used(text: &str) -> Vec<Used> {
        parse_used(text).into_iter().map(|used| Used { user: Some("bob".to_owned()), ..used }).collect()
    }

    #[test]
    fn each_slot_has_one() {
        let gpus = choose(None, &all(), &[]);
        assert_eq!(gpus.names, ["0", "1", "2"]);
        assert_eq!(gpus.of(1).map(String::as_str), Some("1"));
        assert_eq!(gpus.of(4).map(String::as_str), Some("1"));
        assert_eq!((gpus.sharing(3), gpus.sharing(4), Gpus::default().sharing(4)), (1, 2, 0));
        assert_eq!(gpus.notes(1), Vec::<String>::new());
        insta::assert_snapshot!(gpus.notes(3).join("\n"), @"each of 3 slots has a GPU of its own");
        insta::assert_snapshot!(gpus.notes(4).join("\n"), @"4 slots share 3 GPUs: a run has less of it than it would have alone");
    }

    #[test]
    fn what_the_caller_was_given_is_all_there_is() {
        let names = |given| choose(Some(given), &all(), &[]).names;
        assert_eq!(names("2,0"), ["2", "0"]);
        assert_eq!(names("GPU-bb, MIG-1234"), ["GPU-bb", "MIG-1234"]);
        assert_eq!(names("1,-1,2"), ["1"]);
        assert!(names("").is_empty() && names("-1").is_empty());
    }

    #[test]
    fn what_others_use_is_left_out_and_named() {
        let busy = used("GPU-bbbb, 4242, /usr/bin/python3, 40312\nGPU-bbbb, 77, x, [N/A]\n");
        let gpus = choose(None, &all(), &busy);
        assert_eq!(gpus.names, ["0", "2"]);
        insta::assert_snapshot!(gpus.notes(4).join("\n"), @r"
        GPU 1 (NVIDIA H100 80GB HBM3) is used by python3 (process 4242 of bob, 40312 MB) and x (process 77 of bob): it is left out
        4 slots share 2 GPUs that nobody else uses: a run has less of it than it would have alone
        ");
        let only = choose(Some("GPU-bbbb"), &all(), &busy);
        assert_eq!(only.names, ["GPU-bbbb"]);
        insta::assert_snapshot!(only.notes(1).join("\n"), @"GPU GPU-bbbb (NVIDIA H100 80GB HBM3) is used by python3 (process 4242 of bob, 40312 MB) and x (process 77 of bob): the loop uses it all the same, for there is no other");
    }
}
