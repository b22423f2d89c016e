//! `/proc/self/status`, `/proc/self/ns`: the attributes that a child of this process inherits.

use crate::sys::pid::Pid;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::Mode;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

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

/// The files of this process, below a directory that is kept open: what is looked up often is found faster.
#[derive(Debug)]
pub struct OwnFiles {
    directory: OwnedFd,
}

impl OwnFiles {
    /// Opens the directory.
    ///
    /// # Errors
    /// When /proc is not mounted, and at the limit on open files.
    pub fn open() -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(OwnFiles { directory: open("/proc/self", flags, Mode::empty())? })
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let file = openat(&self.directory, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        super::read_short(file.into())
    }

    /// Users, groups, capabilities, umask, ignored signals, seccomp filters, and processors of this process, as the
    /// kernel prints them, for comparison with another point in time.
    ///
    /// # Errors
    /// As `openat(2)`.
    pub fn inherited(&self) -> io::Result<String> {
        let status = self.read("status")?;
        let is_inherited = |line: &&str| INHERITED.iter().any(|name| line.starts_with(name));
        Ok(status.lines().filter(is_inherited).collect::<Vec<_>>().join("\n"))
    }

    /// The namespaces of future children of this process; `None` for those that the kernel does not support.
    pub fn namespaces_of_children(&self) -> Vec<Option<OsString>> {
        const KINDS: [&str; 8] = [
            "ns/cgroup",
            "ns/ipc",
            "ns/mnt",
            "ns/net",
            "ns/pid_for_children",
            "ns/time_for_children",
            "ns/user",
            "ns/uts",
        ];
        KINDS.iter().map(|kind| readlinkat(&self.directory, *kind).ok()).collect()
    }

    /// The cgroups of this process, and the preference with which the kernel kills it when memory is short; `None`
    /// where they are unavailable.
    pub fn cgroup_and_oom_score(&self) -> [Option<String>; 2] {
        ["cgroup", "oom_score_adj"].map(|name| self.read(name).ok())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_and_the_users_are_inherited() {
        let text = OwnFiles::open().unwrap().inherited().unwrap();
        assert!(text.contains("Umask:") && text.contains("Uid:") && !text.contains("VmRSS"), "{text}");
    }
}
