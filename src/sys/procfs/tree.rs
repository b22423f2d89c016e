//! Who descends from whom: threads and children of a process.

/// The threads of a process, none when it is gone.
pub fn threads(pid: u32) -> Vec<u32> {
    numbers_in(&format!("/proc/{pid}/task"))
}

/// The children of a process by all of its threads (`/proc/PID/task/TID/children`, which needs
/// `CONFIG_PROC_CHILDREN`); `None` where the kernel does not tell.
pub fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for tid in threads(pid) {
        match std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && tid == pid => {
                // Gone, or never supported: only the latter leaves the thread's folder there.
                let alive = std::path::Path::new(&format!("/proc/{pid}/task/{tid}/stat")).exists();
                return if alive { None } else { Some(found) };
            }
            Err(_) => {}
        }
    }
    Some(found)
}

/// Every process of the machine that this user can see.
pub fn everyone() -> Vec<u32> {
    numbers_in("/proc")
}

/// A process's descendants, itself first, each found once.
pub fn with_descendants(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
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

/// The slow way: every process's parent.
fn by_parents(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        everyone().into_iter().filter_map(|pid| Some((pid, super::stat::of_process(pid)?.ppid))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        found.extend(parents.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
    }
    found
}

fn numbers_in(directory: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_everyone_and_has_a_thread_of_its_own_number() {
        let pid = std::process::id();
        assert!(everyone().contains(&pid));
        assert!(threads(pid).contains(&pid));
        assert_eq!(with_descendants(pid)[0], pid);
    }
}
