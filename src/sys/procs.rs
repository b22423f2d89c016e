//! Processes by the signed numbers that system calls take: who is whose child, who is in which group, and in
//! which state. What `/proc` says is read by [`procfs`], and nowhere else.

use std::io;

use super::procfs;

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
    let number = u32::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let seen = procfs::stat::of_process(number).ok_or(io::ErrorKind::NotFound)?;
    Ok(Stat {
        pid,
        name: seen.name,
        state: seen.letter,
        ppid: seen.ppid.cast_signed(),
        pgid: seen.pgrp,
        cpu: seen.cpu,
        threads: seen.n_threads.into(),
        start_ticks: seen.start_ticks,
        cpu_ticks: seen.cpu_ticks,
    })
}

/// Every process that can be seen; one that ends meanwhile is left out.
///
/// # Errors
/// When /proc is not mounted.
pub fn all() -> io::Result<Vec<Stat>> {
    // An empty list is none of processes: whoever asks is in it.
    match procfs::tree::everyone() {
        pids if pids.is_empty() => Err(io::ErrorKind::NotFound.into()),
        pids => Ok(pids.into_iter().filter_map(|pid| stat(pid.cast_signed()).ok()).collect()),
    }
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
    procfs::syscall::wchan(pid.cast_unsigned(), pid.cast_unsigned())
}

/// How long a process was on a processor, and how long it was ready and waited for one, since it began,
/// in nanoseconds (its main thread's `schedstat`); `None` where the kernel keeps no such account.
pub fn running_and_ready_ns(pid: i32) -> Option<(u64, u64)> {
    let sums = procfs::stat::schedstat(pid.cast_unsigned(), pid.cast_unsigned())?;
    Some((sums.running_ns, sums.ready_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_see_ourselves() {
        let own = stat(std::process::id().cast_signed()).unwrap();
        assert_eq!(own.ppid, crate::sys::task::ppid());
        assert!(children_of(own.ppid).unwrap().contains(&own.pid));
    }
}
