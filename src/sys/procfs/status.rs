//! `/proc/self/status`, `/proc/self/ns`: the attributes that a child of this process inherits.

use std::ffi::OsString;
use std::io;

use crate::sys::pid::Pid;

/// The lines of `status` that a child inherits.
const INHERITED: [&str; 15] = [
    "Umask:",
    "Uid:",
    "Gid:",
    "Groups:",
    "SigIgn:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "CapAmb:",
    "NoNewPrivs:",
    "Seccomp:",
    "Seccomp_filters:",
    "Cpus_allowed:",
    "Mems_allowed:",
];

/// Users, groups, capabilities, umask, ignored signals, seccomp filters, and processors of this process, as the
/// kernel prints them, for comparison with another point in time.
///
/// # Errors
/// When /proc is not mounted.
pub fn inherited() -> io::Result<String> {
    let status = super::read_short("/proc/self/status")?;
    let is_inherited = |line: &&str| INHERITED.iter().any(|name| line.starts_with(name));
    Ok(status.lines().filter(is_inherited).collect::<Vec<_>>().join("\n"))
}

/// Whether a process ignores a signal or blocks it in its main thread.
pub fn is_held_back(pid: Pid, signal: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ["SigIgn:", "SigBlk:"].into_iter().any(|key| {
        let mask = text.lines().find_map(|line| line.strip_prefix(key));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
    })
}

/// Whether this process is in the initial PID namespace, whose PIDs are the kernel's own (`PROC_PID_INIT_INO` in the
/// kernel's `proc_ns.h`). True if that is unknown.
pub fn is_in_first_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").map_or(true, |name| name.as_os_str() == "pid:[4026531836]")
}

/// The namespaces of future children of this process; `None` for those that the kernel does not support.
pub fn namespaces_of_children() -> Vec<Option<OsString>> {
    ["cgroup", "ipc", "mnt", "net", "pid_for_children", "time_for_children", "user", "uts"]
        .iter()
        .map(|kind| std::fs::read_link(format!("/proc/self/ns/{kind}")).ok().map(Into::into))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_and_the_users_are_inherited() {
        let text = inherited().unwrap();
        assert!(text.contains("Umask:") && text.contains("Uid:") && !text.contains("VmRSS"), "{text}");
    }
}
