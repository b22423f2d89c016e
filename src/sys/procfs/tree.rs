//! All processes, and the threads, children and descendants of one.

use super::stat::{Stat, of_process};
use super::task::ids_in;
pub use super::task::threads;
use crate::sys::pid::Pid;
use std::io;
use std::os::unix::fs::MetadataExt;

/// The children of all threads of a process (`/proc/PID/task/TID/children`); `None` if the kernel does not list them
/// (it needs `CONFIG_PROC_CHILDREN`).
pub fn children(pid: Pid) -> Option<Vec<Pid>> {
    let mut found = Vec::new();
    for tid in threads(pid) {
        match std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<Pid>().ok())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && tid == pid => {
                // The process is gone, or the file is not supported. In the latter case, `stat` still exists.
                let alive = std::path::Path::new(&format!("/proc/{pid}/task/{tid}/stat")).exists();
                return if alive { None } else { Some(found) };
            }
            Err(_) => {}
        }
    }
    Some(found)
}

/// All processes that this user can see. A process that ends during the call may be missing.
///
/// # Errors
/// `NotFound` when `/proc` is not mounted.
pub fn all() -> io::Result<Vec<Stat>> {
    // The calling process itself is always listed.
    match ids_in("/proc") {
        pids if pids.is_empty() => Err(io::ErrorKind::NotFound.into()),
        pids => Ok(pids.into_iter().filter_map(of_process).collect()),
    }
}

/// The children of a process, including zombies, found by the parent of every process. Unlike [`children`], this works
/// on any kernel.
///
/// # Errors
/// As [`all`].
pub fn children_by_parent(pid: Pid) -> io::Result<Vec<Pid>> {
    Ok(all()?.iter().filter(|process| process.ppid == pid).map(|process| process.pid).collect())
}

/// Whether a process group has a member that is neither a zombie nor dead.
///
/// # Errors
/// As [`all`].
pub fn group_has_living(pgid: Pid) -> io::Result<bool> {
    Ok(all()?.iter().any(|process| process.pgid == pgid && process.lives()))
}

/// The number of processes in the PID namespace of `/proc`, including zombies. One read of a folder, so that the answer
/// comes in time even while they fork without end.
pub fn count() -> usize {
    ids_in("/proc").len()
}

/// The number of processes and threads of this user, as `RLIMIT_NPROC` counts them.
pub fn tasks_of_this_user() -> usize {
    let own = nix::unistd::geteuid().as_raw();
    let tasks_of = |pid: Pid| {
        let about = std::fs::metadata(format!("/proc/{pid}/task")).ok().filter(|about| about.uid() == own)?;
        // Two links are those of the folder itself.
        Some((about.nlink() as usize).saturating_sub(2))
    };
    ids_in("/proc").into_iter().filter_map(tasks_of).sum()
}

/// A process and its descendants, itself first, each once.
pub fn with_descendants(root: Pid) -> Vec<Pid> {
    with_some_descendants(root, usize::MAX)
}

/// As [`with_descendants`], but ends the search once more than `most` are found.
pub fn with_some_descendants(root: Pid, most: usize) -> Vec<Pid> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next).filter(|_| found.len() <= most) {
        next += 1;
        let Some(children) = children(pid) else { return by_parents(root) };
        for child in children {
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
    found
}

/// The slow way: checks the parent of every process.
fn by_parents(root: Pid) -> Vec<Pid> {
    let all = all().unwrap_or_default();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        found.extend(all.iter().filter(|process| process.ppid == parent).map(|process| process.pid));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_with_its_parent_and_its_main_thread() {
        let pid = Pid::this();
        assert!(all().unwrap().iter().any(|process| process.pid == pid && process.ppid == Pid::parent()));
        assert!(children_by_parent(Pid::parent()).unwrap().contains(&pid));
        assert!(threads(pid).contains(&pid));
        assert_eq!(with_descendants(pid)[0], pid);
    }
}
