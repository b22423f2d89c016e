//! `/proc/self/status`, `/proc/self/ns`: what this process would pass on to a child by exec.

use std::ffi::OsString;
use std::io;

use crate::sys::pid::Pid;

/// The lines of `status` that a child inherits.
const PASSED_ON: [&str; 15] = [
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

/// Users, groups, capabilities, file mode mask, ignored signals, seccomp filters, and processors of this process,
/// in the kernel's words: good for comparing with another time.
///
/// # Errors
/// When /proc is not mounted.
pub fn inherited() -> io::Result<String> {
    let status = super::read_short("/proc/self/status")?;
    let passed_on = |line: &&str| PASSED_ON.iter().any(|name| line.starts_with(name));
    Ok(status.lines().filter(passed_on).collect::<Vec<_>>().join("\n"))
}

/// Whether a process ignores or blocks a signal, so that it does not hear of it (its main thread's masks).
pub fn is_held_back(pid: Pid, signal: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ["SigIgn:", "SigBlk:"].into_iter().any(|key| {
        let mask = text.lines().find_map(|line| line.strip_prefix(key));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
    })
}

/// Whether this process numbers processes as the kernel does by itself: it is in the first PID namespace
/// (`PROC_PID_INIT_INO` in the kernel's `proc_ns.h`). Where that is unknown, so it is taken to be.
pub fn is_in_first_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").map_or(true, |name| name.as_os_str() == "pid:[4026531836]")
}

/// The namespaces that a child of this process would be in; `None` for those that the kernel does not have.
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
    fn the_file_mode_mask_and_the_users_are_among_what_is_passed_on() {
        let text = inherited().unwrap();
        assert!(text.contains("Umask:") && text.contains("Uid:") && !text.contains("VmRSS"), "{text}");
    }
}
