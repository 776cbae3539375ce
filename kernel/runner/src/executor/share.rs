//! Fair shares of the processors: with several slots, each has cores of its own, as far as there are enough.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// How many threads libraries begin, by what each is told of it.
const THREADS: [&str; 4] =
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"];

/// The cores that this process may use; threads of one core beside each other, and cores of one socket.
pub(crate) fn cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    let mut cores: Vec<usize> =
        (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
    cores.sort_by_key(|cpu| (topology(*cpu, "physical_package_id"), topology(*cpu, "core_id"), *cpu));
    cores
}

fn topology(cpu: usize, what: &str) -> usize {
    let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{what}");
    std::fs::read_to_string(Path::new(&file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The cores of one of so many slots: as many as every other has, so that values compare, or one where there are fewer than slots. All of them, which is an
/// empty list, where there is one slot.
pub(crate) fn of(cores: &[usize], slot: u32, slots: u32) -> Vec<usize> {
    let (slot, slots) = (slot as usize, slots.max(1) as usize);
    if slots == 1 || cores.is_empty() {
        return Vec::new();
    }
    if slots > cores.len() {
        return vec![cores[slot % cores.len()]];
    }
    // A slot of an earlier, wider loop has a share too.
    let (slot, each) = (slot % slots, cores.len() / slots);
    cores[slot * each..(slot + 1) * each].to_vec()
}

/// What a value depends on, beside the machine, where runs share it: nothing where there is one slot, or where each run
/// has a GPU of its own.
pub(crate) fn words(cores: usize, slots: u32, gpu_sharing: u32) -> Option<String> {
    if slots < 2 || gpu_sharing == 1 {
        return None;
    }
    let gpu = if gpu_sharing > 1 { format!(", a GPU for {gpu_sharing} runs") } else { String::new() };
    let slots = slots as usize;
    let cpu = if slots <= cores {
        format!("{} of {cores} cores a run", cores / slots)
    } else {
        format!("a core for {} runs", slots.div_ceil(cores.max(1)))
    };
    Some(format!("{cpu}{gpu}"))
}

/// Tells libraries how many threads to begin, unless the caller has.
pub(crate) fn tell(environment: &mut BTreeMap<String, String>, share: &[usize]) {
    if share.is_empty() {
        return;
    }
    for name in THREADS {
        environment.entry(name.to_owned()).or_insert_with(|| share.len().to_string());
    }
}

/// Keeps this process, and whatever it starts, to these cores; where that is not allowed it is only less fair.
pub(crate) fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    if cores.is_empty() || cores.iter().any(|core| set.set(*core).is_err()) {
        return;
    }
    let _ = sched_setaffinity(Pid::from_raw(0), &set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_as_many_cores_and_none_is_shared() {
        let cores: Vec<usize> = (0..10).collect();
        for slots in 2..=10 {
            let all: Vec<usize> = (0..slots).flat_map(|slot| of(&cores, slot, slots)).collect();
            let each = 10 / slots as usize;
            assert_eq!(all, cores[..each * slots as usize], "{slots}");
            assert!((0..slots).all(|slot| of(&cores, slot, slots).len() == each));
        }
        assert_eq!(of(&cores, 0, 1), Vec::<usize>::new());
        assert_eq!(of(&[4, 6], 5, 16), [6]);
        assert_eq!(of(&cores, 7, 2), of(&cores, 1, 2), "a run of an earlier loop");
    }

    #[test]
    fn a_share_is_part_of_the_hardware_where_runs_share() {
        assert_eq!(words(8, 1, 0), None);
        assert_eq!(words(8, 4, 1), None, "a GPU each");
        assert_eq!(words(8, 4, 0).as_deref(), Some("2 of 8 cores a run"));
        assert_eq!(words(2, 16, 0).as_deref(), Some("a core for 8 runs"));
        assert_eq!(words(8, 4, 2).as_deref(), Some("2 of 8 cores a run, a GPU for 2 runs"));
    }

    #[test]
    fn libraries_are_told_unless_the_caller_has() {
        let mut environment = BTreeMap::from([("OMP_NUM_THREADS".to_owned(), "1".to_owned())]);
        tell(&mut environment, &[]);
        assert_eq!(environment.len(), 1);
        tell(&mut environment, &[2, 3]);
        assert_eq!(environment["OMP_NUM_THREADS"], "1");
        assert_eq!(environment["RAYON_NUM_THREADS"], "2");
    }
}
