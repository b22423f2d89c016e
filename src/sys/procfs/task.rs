//! The threads of a process.

use crate::sys::pid::Pid;

/// The threads of a process; none when it is gone.
pub fn threads(pid: Pid) -> Vec<Pid> {
    ids_in(&format!("/proc/{pid}/task"))
}

/// The names in a directory that are numbers.
pub(super) fn ids_in(directory: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
