//! `/proc/self/cgroup`: the control group that this process is in (`cgroups(7)`).

use std::path::{Path, PathBuf};

/// The folders of the group that limits how many processes this process can add, and of the groups above it, the
/// innermost first: of the `pids` controller of version 1 where that is mounted, else of the unified hierarchy. Below a
/// mount point of its own, as in a container, a path is as seen there.
pub fn pids_groups() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups(&text, Path::new("/sys/fs/cgroup"))
}

/// `text` has a line for each hierarchy: its number, its controllers, and the path of the group.
fn groups(text: &str, mounts: &Path) -> Vec<PathBuf> {
    let path = |of: &dyn Fn(&str) -> bool| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            of(controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let first = path(&|controllers| controllers.split(',').any(|one| one == "pids"));
    let (root, own) = match first {
        Some(own) => (mounts.join("pids"), own),
        None => (mounts.to_owned(), path(&str::is_empty).unwrap_or_default()),
    };
    root.join(own).ancestors().take_while(|group| group.starts_with(&root)).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(text: &str) -> Vec<String> {
        groups(text, Path::new("/c")).iter().map(|group| group.display().to_string()).collect()
    }

    #[test]
    fn the_groups_above_end_with_the_root() {
        assert_eq!(groups_of("0::/a/b\n"), ["/c/a/b", "/c/a", "/c"]);
        assert_eq!(groups_of("0::/\n"), ["/c/"]);
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_processes_alone() {
        assert_eq!(groups_of("8:pids:/x\n5:cpu,cpuacct:/y\n0::/z\n"), ["/c/pids/x", "/c/pids"]);
    }
}
