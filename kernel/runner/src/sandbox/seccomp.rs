//! Sockets, other processes and the kernel's own doors, by seccomp.
//!
//! Each filter has one answer; the kernel takes the strictest. What is refused here is what Landlock does not cover
//! (UDP, `io_uring`, limits of other processes) and what no run needs.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::warden::{HELD, UNKNOWN};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// System calls that no run needs, and that reach out of the sandbox or make a new one.
const REFUSED: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// New namespaces: whoever has one of users is root in it.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The filters, to be put on in this order.
///
/// # Errors
/// Where this processor is not known to it.
pub(super) fn filters(network: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let errno = |code: libc::c_int| SeccompAction::Errno(code as u32);
    let mut programs = vec![
        compile(sockets(network)?, errno(libc::EACCES))?,
        compile(refused()?, errno(libc::EPERM))?,
        compile(unknown(), errno(libc::ENOSYS))?,
    ];
    if cfg!(target_arch = "x86_64") {
        programs.push(x32());
    }
    Ok(programs)
}

/// The filter of the calls that the [warden](super::warden) decides on.
///
/// # Errors
/// Where this processor is not known to it.
pub(super) fn held() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = HELD.iter().map(|call| (*call, Vec::new())).collect();
    let mut program = compile(rules, SeccompAction::Trace(0))?;
    // An action that the crate has no word for.
    for op in &mut program {
        if op.code == (libc::BPF_RET | libc::BPF_K) as u16 && op.k == libc::SECCOMP_RET_TRACE {
            op.k = libc::SECCOMP_RET_USER_NOTIF;
        }
    }
    Ok(program)
}

fn unknown() -> Rules {
    // The flags of `clone3` are in memory, where no filter can see them; every C library falls back to `clone`.
    UNKNOWN.iter().chain(&[libc::SYS_clone3]).map(|call| (*call, Vec::new())).collect()
}

fn compile(rules: Rules, action: SeccompAction) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()
}

/// A rule that holds where all conditions do.
fn when(conditions: &[(u8, SeccompCmpOp, i64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions.iter().map(|(argument, op, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, op.clone(), *value as u64)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

fn sockets(network: bool) -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut families = vec![libc::AF_UNIX, libc::AF_NETLINK];
    if network {
        families.extend([libc::AF_INET, libc::AF_INET6]);
    }
    let other: Vec<_> = families.iter().map(|family| (0, Ne, i64::from(*family))).collect();
    // A datagram may be sent to any address without a connection, by a call whose address no filter can see.
    let datagrams = [(0, Eq, i64::from(libc::AF_UNIX)), (1, MaskedEq(0xf), i64::from(libc::SOCK_DGRAM))];
    // By routes, `getifaddrs` and with it much of what merely asks for the machine's name still works.
    let netlink = [(0, Eq, i64::from(libc::AF_NETLINK)), (2, Ne, i64::from(libc::NETLINK_ROUTE))];
    let mut socket = vec![when(&other)?, when(&netlink)?];
    if network {
        // NCCL's processes speak so to each other.
        return Ok(Rules::from([(libc::SYS_socket, socket)]));
    }
    socket.push(when(&datagrams)?);
    Ok(Rules::from([(libc::SYS_socket, socket), (libc::SYS_socketpair, vec![when(&datagrams)?])]))
}

fn refused() -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{MaskedEq, Ne};
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        let bits = NAMESPACES.iter().map(|flag| {
            let flag = i64::from(*flag);
            when(&[(0, MaskedEq(flag as u64), flag)])
        });
        rules.insert(call, bits.collect::<Result<_, _>>()?);
    }
    // The limits and priorities of other processes: the runner's could be set to nothing.
    let pointer = |argument| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Qword, Ne, 0)
            .and_then(|given| Ok((given, SeccompCondition::new(0, SeccompCmpArgLen::Dword, Ne, 0)?)))
    };
    let (given, other) = pointer(2)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![given, other])?]);
    // Of `setpriority` and `ioprio_set` the first argument says whether one process is meant, a group, or all of a user.
    rules.insert(libc::SYS_setpriority, vec![when(&[(1, Ne, 0)])?, when(&[(0, Ne, 0)])?]);
    rules.insert(libc::SYS_ioprio_set, vec![when(&[(1, Ne, 0)])?, when(&[(0, Ne, 1)])?]);
    Ok(rules)
}

/// The calls of the x32 interface have numbers of their own, by which every other filter could be passed.
fn x32() -> BpfProgram {
    let op = |code: u32, jt, jf, k| seccompiler::sock_filter { code: code as u16, jt, jf, k };
    let ret = libc::BPF_RET | libc::BPF_K;
    vec![
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, 0x4000_0000),
        op(ret, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        op(ret, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_filter_compiles() {
        for network in [false, true] {
            let programs = filters(network).unwrap();
            assert!(programs.iter().all(|program| !program.is_empty() && program.len() < 4096));
        }
        let answers = held().unwrap().iter().filter(|op| op.k == libc::SECCOMP_RET_USER_NOTIF).count();
        assert_eq!(answers, HELD.len());
    }
}
