//! `/proc/self/cgroup`: the control group that this process is in (`cgroups(7)`).

/// Its path in the unified hierarchy and those of the groups above, the innermost first and without the root; none
/// where there is no such hierarchy. Below a mount point of its own, as in a container, the path is as seen there.
pub fn own_and_above() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let mut groups = vec![own.trim_end_matches('/').to_owned()];
    while let Some((above, _)) = groups.last().and_then(|group| group.rsplit_once('/')) {
        let above = above.to_owned();
        groups.push(above);
    }
    groups
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_groups_above_end_with_the_root() {
        assert_eq!(super::own_and_above().last().unwrap(), "");
    }
}
