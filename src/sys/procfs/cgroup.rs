//! `/proc/self/cgroup`: the control group of this process (`cgroups(7)`).

use std::path::{Path, PathBuf};

/// The folders of this process's group and of its ancestors, innermost first, in the hierarchy that limits the number of
/// processes: that of the version 1 `pids` controller if it is mounted, otherwise the unified one. In a cgroup
/// namespace, as in a container, paths are relative to its root.
pub fn pids_groups() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups(&text, Path::new("/sys/fs/cgroup"))
}

/// Each line of `text` is a hierarchy: its number, its controllers, and the path of the group.
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
    fn the_last_group_is_the_root() {
        assert_eq!(groups_of("0::/a/b\n"), ["/c/a/b", "/c/a", "/c"]);
        assert_eq!(groups_of("0::/\n"), ["/c/"]);
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_processes_alone() {
        assert_eq!(groups_of("8:pids:/x\n5:cpu,cpuacct:/y\n0::/z\n"), ["/c/pids/x", "/c/pids"]);
    }
}
