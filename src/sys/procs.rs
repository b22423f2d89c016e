//! `/proc/PID/stat`: who is whose child, who is in which group, and in which state (`proc_pid_stat(5)`).

use std::fs;
use std::io;

/// A line of `/proc/PID/stat`, as far as it is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The PID.
    pub pid: i32,
    /// The name, as `PR_SET_NAME` or `execve` set it: at most 15 bytes.
    pub name: String,
    /// The kernel's letter: R, S, D, T, t, Z, X, I.
    pub state: char,
    /// The parent's PID.
    pub ppid: i32,
    /// The process group.
    pub pgid: i32,
    /// The processor that it ran on last.
    pub cpu: Option<u32>,
    /// How many threads it has.
    pub threads: u64,
    /// When it began, in clock ticks since boot: with the PID it names a process for ever.
    pub start_ticks: u64,
    /// Processor time that it used in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
}

/// Looks at one process.
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn stat(pid: i32) -> io::Result<Stat> {
    let bytes = fs::read(format!("/proc/{pid}/stat"))?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat reads strangely"))
    })
}

/// The name may hold blanks and brackets, so the fields are counted from the last bracket.
fn parse(line: &str) -> Option<Stat> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
    Some(Stat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        ppid: fields.get(1)?.parse().ok()?,
        pgid: fields.get(2)?.parse().ok()?,
        cpu: number(39).and_then(|cpu| u32::try_from(cpu).ok()),
        threads: number(20)?,
        start_ticks: number(22)?,
        cpu_ticks: number(14)? + number(15)?,
    })
}

/// Every process that can be seen; one that ends meanwhile is left out.
///
/// # Errors
/// When /proc is not mounted.
pub fn all() -> io::Result<Vec<Stat>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| stat(name.parse().ok()?).ok()).collect())
}

impl Stat {
    /// Whether it is neither a zombie nor dead. The letter is its first thread's, which may have ended
    /// before the others.
    pub fn lives(&self) -> bool {
        !matches!(self.state, 'Z' | 'X') || self.threads > 1
    }
}

/// Whether the process group has a member that lives.
///
/// # Errors
/// As [`all`].
pub fn group_has_living(pgid: i32) -> io::Result<bool> {
    Ok(all()?.iter().any(|process| process.pgid == pgid && process.lives()))
}

/// The children of `pid`, zombies included.
///
/// # Errors
/// As [`all`].
pub fn children_of(pid: i32) -> io::Result<Vec<i32>> {
    Ok(all()?.iter().filter(|process| process.ppid == pid).map(|process| process.pid).collect())
}

/// Where in the kernel a sleeping process waits (`/proc/PID/wchan`); `None` where that may not be known.
pub fn wait_channel(pid: i32) -> Option<String> {
    let channel = fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
    Some(channel).filter(|channel| !channel.is_empty() && channel != "0")
}

/// How long a process was on a processor, and how long it was ready and waited for one, since it began,
/// in nanoseconds (`/proc/PID/schedstat`); `None` where the kernel keeps no such account.
pub fn running_and_ready_ns(pid: i32) -> Option<(u64, u64)> {
    let line = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let mut fields = line.split_ascii_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_is_read_whole() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 50 60 0 0 20 0 1 0 12345 1 1 1 1 1 1 1 1 1 0 0 0 1 0 0 17 1 0 0 0 0 0";
        let stat = parse(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.ppid), ("a) b (c", 'S', 1));
        assert_eq!((stat.cpu_ticks, stat.start_ticks, stat.cpu), (110, 12345, Some(1)));
    }

    #[test]
    fn we_see_ourselves() {
        let own = stat(std::process::id().cast_signed()).unwrap();
        assert_eq!(own.ppid, crate::sys::task::ppid());
        assert!(children_of(own.ppid).unwrap().contains(&own.pid));
    }

    #[test]
    fn a_line_that_is_cut_is_no_process() {
        assert_eq!(parse("7 (x) S 1"), None);
        assert_eq!(parse(""), None);
    }
}
