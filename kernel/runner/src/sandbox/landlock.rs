//! Files, TCP, signals and abstract sockets, by the kernel's Landlock.

use std::ffi::OsString;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};

use super::{PROC, Policy};

/// The newest version that is known here; what the kernel lacks of it is left out, and said by the report.
const NEWEST: ABI = ABI::V10;

/// The entries of a folder that are no links; none where it cannot be read.
pub(super) fn list(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let link = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    entries.flatten().filter(|entry| !link(entry)).map(|entry| entry.file_name()).collect()
}

/// The rules of a policy, ready to be put on.
pub(super) fn rules(policy: &Policy) -> Result<RulesetCreated, landlock::RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::from_read(NEWEST);
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    let mut ruleset = Ruleset::default().handle_access(all)?.scope(Scope::from_all(NEWEST))?;
    if !policy.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V4))?;
    }
    let mut rules = ruleset.create()?;
    for path in policy.readable(&list) {
        rules = allow(rules, &path, read)?;
    }
    for path in &policy.writes {
        rules = allow(rules, path, all & !devices & !AccessFs::IoctlDev)?;
    }
    for path in &policy.devices {
        let access = if path == Path::new(PROC) {
            read | AccessFs::WriteFile | AccessFs::Truncate
        } else {
            all & !devices
        };
        rules = allow(rules, path, access)?;
    }
    Ok(rules)
}

/// One more path; one that is not there needs no rule.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(fd, access))
}

/// The version of Landlock that the kernel has; 0 where it has none or it is switched off.
pub(super) fn version() -> i32 {
    // SAFETY: asks for a number; no memory is touched.
    #[allow(unsafe_code)]
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0_usize, 1_u32)
    };
    i32::try_from(version).unwrap_or(0).max(0)
}
