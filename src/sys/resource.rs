//! `getrlimit(2)` and `getrusage(2)`: what a process may use, and what it has used.

use crate::sys::pid::Pid;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::geteuid;

use super::procfs::{self, stat::Stat};

/// Raises the soft limit on open descriptors to the hard one, and gives the limit in force.
///
/// # Errors
/// When the kernel refuses (`setrlimit(2)`).
pub fn raise_open_file_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// The soft and hard limits of this process, in the kernel's order (`getrlimit(2)`).
pub fn limits() -> Vec<(u64, u64)> {
    const KNOWN: [Resource; 16] = [
        Resource::RLIMIT_CPU,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_STACK,
        Resource::RLIMIT_CORE,
        Resource::RLIMIT_RSS,
        Resource::RLIMIT_NPROC,
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_LOCKS,
        Resource::RLIMIT_SIGPENDING,
        Resource::RLIMIT_MSGQUEUE,
        Resource::RLIMIT_NICE,
        Resource::RLIMIT_RTPRIO,
        Resource::RLIMIT_RTTIME,
    ];
    KNOWN.iter().map(|resource| getrlimit(*resource).unwrap_or_default()).collect()
}

/// Raises the limit of the main thread's stack to `bytes`, if it is lower; whether it is in force.
///
/// The kernel asks for it whenever the stack grows, so it holds at once, and for programs that this one starts.
pub fn raise_stack_limit(bytes: u64) -> bool {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_STACK) else { return false };
    soft >= bytes || setrlimit(Resource::RLIMIT_STACK, bytes, hard.max(bytes)).is_ok()
}

/// What stands in the way of a system call, as far as its error number alone tells (`errno(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This process has as many files open as it may.
    OwnFiles,
    /// The whole system has.
    SystemFiles,
    /// Of `fork(2)` and `clone(2)`: a limit of processes, see [`nearest_process_limit`]. Of others: something that may
    /// pass.
    Again,
    /// A file system is full, or its user's share of it.
    Room,
    /// A file may not grow further (`RLIMIT_FSIZE`, or its file system's limit).
    FileSize,
    /// Memory is short.
    Memory,
    /// The caller may not make the call, or the kernel does not have it: what sandboxes answer (`seccomp(2)`).
    Refused,
}

/// What an error number says of the obstacle, if that is one of them.
pub fn obstacle(errno: i32) -> Option<Obstacle> {
    match Errno::from_raw(errno) {
        Errno::EMFILE => Some(Obstacle::OwnFiles),
        Errno::ENFILE => Some(Obstacle::SystemFiles),
        Errno::EAGAIN => Some(Obstacle::Again),
        Errno::ENOSPC | Errno::EDQUOT => Some(Obstacle::Room),
        Errno::EFBIG => Some(Obstacle::FileSize),
        Errno::ENOMEM => Some(Obstacle::Memory),
        Errno::EPERM | Errno::ENOSYS => Some(Obstacle::Refused),
        _ => None,
    }
}

/// What limits the number of processes and threads that this process can add to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessLimit {
    /// `RLIMIT_NPROC`: on all that its user has.
    User(u64),
    /// `pids.max` of the control group with this folder, which it is in.
    ControlGroup(PathBuf, u64),
    /// `kernel.threads-max`: on the whole system.
    System(u64),
}

/// The limit on processes and threads that is nearest to be reached, if any is known: to be asked after a `fork(2)` or
/// `clone(2)` that failed with `EAGAIN`, which does not tell which of them it was.
pub fn nearest_process_limit() -> Option<ProcessLimit> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut limits = Vec::new();
    let user = geteuid();
    if let (false, Ok((soft, _))) = (user.is_root(), getrlimit(Resource::RLIMIT_NPROC)) {
        let is_his = |process: &Stat| {
            std::fs::metadata(format!("/proc/{}", process.pid))
                .is_ok_and(|about| about.uid() == user.as_raw())
        };
        limits.push((soft.saturating_sub(count_threads(is_his)), ProcessLimit::User(soft)));
    }
    for group in procfs::cgroup::pids_groups() {
        let file = |name| number(group.join(name).to_str()?);
        // "max", and no file at the root, mean no limit.
        if let (Some(most), Some(now)) = (file("pids.max"), file("pids.current")) {
            limits.push((most.saturating_sub(now), ProcessLimit::ControlGroup(group, most)));
        }
    }
    if let Some(most) = number("/proc/sys/kernel/threads-max") {
        limits.push((most.saturating_sub(count_threads(|_| true)), ProcessLimit::System(most)));
    }
    limits.into_iter().min_by_key(|(left, _)| *left).map(|(_, limit)| limit)
}

/// How many threads the processes have of which this holds, as far as they can be seen.
fn count_threads(is_counted: impl Fn(&Stat) -> bool) -> u64 {
    let all = procfs::tree::all().unwrap_or_default();
    all.iter().filter(|process| is_counted(process)).map(|process| u64::from(process.n_threads)).sum()
}

/// The processor time that this process has used, its threads included: (user, kernel).
///
/// # Errors
/// Never for the process itself, as `getrusage(2)` has it.
pub fn cpu_time() -> io::Result<(Duration, Duration)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((duration(usage.user_time()), duration(usage.system_time())))
}

/// The processor time that process `pid` has used, its threads included (`clock_getcpuclockid(3)`).
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` where its clock may not be read.
pub fn cpu_time_of(pid: Pid) -> io::Result<Duration> {
    let time = clock_gettime(clock_getcpuclockid(pid.as_nix())?)?;
    let whole = u64::try_from(time.tv_sec()).unwrap_or(0);
    Ok(Duration::from_secs(whole) + Duration::from_nanos(u64::try_from(time.tv_nsec()).unwrap_or(0)))
}

fn duration(time: TimeVal) -> Duration {
    let whole = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::from_secs(whole) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let (before, _) = cpu_time().unwrap();
        let mut n = 1_u64;
        while cpu_time().unwrap().0 == before {
            n = std::hint::black_box(n.wrapping_mul(3));
        }
    }

    #[test]
    fn a_system_has_a_limit_of_processes() {
        assert!(nearest_process_limit().is_some());
    }

    #[test]
    fn raising_the_limit_twice_changes_nothing_more() {
        assert_eq!(raise_open_file_limit().unwrap(), raise_open_file_limit().unwrap());
    }
}
