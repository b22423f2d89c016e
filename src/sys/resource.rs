//! `getrlimit(2)` and `getrusage(2)`: the limits and the resource usage of a process.

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

/// Raises the soft limit on open descriptors to the hard limit, and returns it.
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

/// The soft and hard limit of open files of this process.
///
/// # Errors
/// None that a caller can cause.
pub fn open_files() -> io::Result<(u64, u64)> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?)
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

/// The most processor time that this process may use, in seconds.
pub fn hard_cpu_limit() -> u64 {
    getrlimit(Resource::RLIMIT_CPU).map_or(u64::MAX, |(_, hard)| hard)
}

/// Raises the limit on the main thread's stack to `bytes`, if it is lower, and returns whether it is in force.
///
/// The kernel checks the limit whenever the stack grows, so it takes effect immediately. Programs that this process
/// starts inherit it.
pub fn raise_stack_limit(bytes: u64) -> bool {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_STACK) else { return false };
    soft >= bytes || setrlimit(Resource::RLIMIT_STACK, bytes, hard.max(bytes)).is_ok()
}

/// The cause of a failed system call, as far as its error number alone shows it (`errno(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This process has reached its limit on open files.
    OwnFiles,
    /// The system has reached its limit on open files.
    SystemFiles,
    /// For `fork(2)` and `clone(2)`, a limit on processes: see [`nearest_process_limit`]. For other calls, something
    /// temporary.
    Again,
    /// A file system is full, or its user's quota is used up.
    Room,
    /// A file has reached its maximum size (`RLIMIT_FSIZE`, or the file system's limit).
    FileSize,
    /// There is not enough memory.
    Memory,
    /// The caller may not make the call, or the kernel does not support it. Sandboxes also return this (`seccomp(2)`).
    Refused,
}

/// The obstacle that an error number indicates, if it is one of them.
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

/// A limit on the number of processes and threads that applies to this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessLimit {
    /// `RLIMIT_NPROC`, for all processes of its user.
    User(u64),
    /// `pids.max` of the control group with this folder, to which it belongs.
    ControlGroup(PathBuf, u64),
    /// `kernel.threads-max`, for the whole system.
    System(u64),
}

/// The limit on processes and threads that is closest to being reached, if any is known. Call it after `fork(2)` or
/// `clone(2)` failed with `EAGAIN`, which does not say which limit it was.
pub fn nearest_process_limit() -> Option<ProcessLimit> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut limits = Vec::new();
    let user = geteuid();
    if let (false, Ok((soft, _))) = (user.is_root(), getrlimit(Resource::RLIMIT_NPROC)) {
        let is_of_user = |process: &Stat| {
            std::fs::metadata(format!("/proc/{}", process.pid))
                .is_ok_and(|about| about.uid() == user.as_raw())
        };
        limits.push((soft.saturating_sub(count_threads(is_of_user)), ProcessLimit::User(soft)));
    }
    for group in procfs::cgroup::pids_groups() {
        let file = |name| number(group.join(name).to_str()?);
        // "max" means no limit, and so does the absence of the file at the root.
        if let (Some(most), Some(now)) = (file("pids.max"), file("pids.current")) {
            limits.push((most.saturating_sub(now), ProcessLimit::ControlGroup(group, most)));
        }
    }
    if let Some(most) = number("/proc/sys/kernel/threads-max") {
        limits.push((most.saturating_sub(count_threads(|_| true)), ProcessLimit::System(most)));
    }
    limits.into_iter().min_by_key(|(left, _)| *left).map(|(_, limit)| limit)
}

/// The number of threads of the visible processes that `is_counted` selects.
fn count_threads(is_counted: impl Fn(&Stat) -> bool) -> u64 {
    let all = procfs::tree::all().unwrap_or_default();
    all.iter().filter(|process| is_counted(process)).map(|process| u64::from(process.n_threads)).sum()
}

/// The user and the kernel processor time that all threads of this process have used.
///
/// # Errors
/// None for the calling process, according to `getrusage(2)`.
pub fn cpu_time() -> io::Result<(Duration, Duration)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((duration(usage.user_time()), duration(usage.system_time())))
}

/// The processor time that all threads of process `pid` have used (`clock_getcpuclockid(3)`).
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` if its clock may not be read.
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
    fn processor_time_grows_with_work() {
        let (before, _) = cpu_time().unwrap();
        let mut n = 1_u64;
        while cpu_time().unwrap().0 == before {
            n = std::hint::black_box(n.wrapping_mul(3));
        }
    }

    #[test]
    fn a_system_has_a_limit_on_processes() {
        assert!(nearest_process_limit().is_some());
    }

    #[test]
    fn raising_the_limit_twice_has_no_further_effect() {
        assert_eq!(raise_open_file_limit().unwrap(), raise_open_file_limit().unwrap());
    }
}
