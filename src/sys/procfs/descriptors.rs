//! `/proc/PID/fd` and `fdinfo`: what the descriptors of a process refer to.

use crate::sys::pid::Pid;
use std::path::PathBuf;

/// What a descriptor refers to, from its link in `/proc/PID/fd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A pipe, by inode.
    Pipe(u64),
    /// A socket, by inode.
    Socket(u64),
    /// `eventfd`, `eventpoll`, `timerfd`, `signalfd`, `inotify`, `pidfd` …
    Anonymous(String),
    /// A file, terminal, or FIFO, by path.
    Path(PathBuf),
}

/// What descriptor `fd` of `pid` refers to.
pub fn target(pid: Pid, fd: u64) -> Option<Target> {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok().map(parse_target)
}

fn parse_target(link: PathBuf) -> Target {
    let text = link.to_string_lossy();
    let inode = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok();
    if let Some(inode) = inode("pipe:[") {
        Target::Pipe(inode)
    } else if let Some(inode) = inode("socket:[") {
        Target::Socket(inode)
    } else if let Some(kind) = text.strip_prefix("anon_inode:") {
        Target::Anonymous(kind.trim_matches(['[', ']']).to_owned())
    } else {
        Target::Path(link)
    }
}

/// An open descriptor and its access mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub fd: u32,
    /// What it refers to.
    pub target: Target,
    /// Whether it is open for reading.
    pub reads: bool,
    /// Whether it is open for writing.
    pub writes: bool,
}

/// The descriptors of `pid`, at most 4,096; none when it is gone or belongs to another user.
pub fn all(pid: Pid) -> Vec<Open> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let open = |entry: std::fs::DirEntry| {
        use std::os::unix::fs::PermissionsExt;
        let fd = entry.file_name().to_str()?.parse().ok()?;
        let target = parse_target(std::fs::read_link(entry.path()).ok()?);
        // The permission bits of the link itself show the access mode.
        let mode = std::fs::symlink_metadata(entry.path()).ok()?.permissions().mode();
        Some(Open { fd, target, reads: mode & 0o400 != 0, writes: mode & 0o200 != 0 })
    };
    entries.flatten().take(4096).filter_map(open).collect()
}

/// The descriptors that an epoll descriptor watches (`tfd:` lines of its fdinfo).
pub fn watched_by_epoll(pid: Pid, fd: u64) -> Vec<u64> {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
    let watched = |line: &str| line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok();
    info.lines().filter_map(watched).take(1024).collect()
}

/// The process that a pidfd refers to.
pub fn pid_of_pidfd(pid: Pid, fd: u64) -> Option<Pid> {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// The signals that a signalfd receives, as a bit set.
pub fn signals_of_signalfd(pid: Pid, fd: u64) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let mask = info.lines().find_map(|line| line.strip_prefix("sigmask:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_two_ends_of_a_pipe_have_one_target_and_opposite_modes() {
        let (reader, writer) = std::io::pipe().unwrap();
        let pid = Pid::this();
        let at = |fd: i32| target(pid, u64::try_from(fd).unwrap()).unwrap();
        let pipe = at(reader.as_raw_fd());
        assert!(matches!(pipe, Target::Pipe(_)));
        assert_eq!(pipe, at(writer.as_raw_fd()));
        let open = all(pid);
        assert!(open.iter().any(|open| open.target == pipe && open.reads && !open.writes));
        assert!(open.iter().any(|open| open.target == pipe && open.writes && !open.reads));
    }
}
