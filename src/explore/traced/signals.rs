//! What a process does with a signal, as `/proc/PID/status` tells.

use crate::sys::pid::Pid;

/// Whether the process has a handler for the signal, or would end by it.
pub(super) fn is_caught(tid: Pid, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let has = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let mask = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(0);
        mask & (1 << (signal - 1).clamp(0, 63)) != 0
    };
    let is_ignored_by_default =
        matches!(signal, nix::libc::SIGCHLD | nix::libc::SIGCONT | nix::libc::SIGURG | nix::libc::SIGWINCH);
    has("SigCgt:") || !has("SigIgn:") && !is_ignored_by_default
}
