//! `getrlimit(2)` and `getrusage(2)`: what a process may use, and what it has used.

use crate::sys::pid::Pid;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::time::{clock_getcpuclockid, clock_gettime};

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

/// A limit of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// On open descriptors, of a process or of the whole system.
    Files,
    /// On processes.
    Processes,
}

/// The limit that an error says is reached, if it says so.
pub fn limit_reached(error: &io::Error) -> Option<Limit> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE | Errno::ENFILE => Some(Limit::Files),
        Errno::EAGAIN => Some(Limit::Processes),
        _ => None,
    }
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
    fn raising_the_limit_twice_changes_nothing_more() {
        assert_eq!(raise_open_file_limit().unwrap(), raise_open_file_limit().unwrap());
    }
}
