//! `clock_gettime(2)`: the monotonic clock that all processes share, and clocks of processor time.

use std::io;
use std::time::Duration;

use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, comparable between processes of one boot (`clock_gettime(2)`).
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_BOOTTIME`, which goes on while the machine is suspended.
pub fn since_boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Nanoseconds of `CLOCK_REALTIME`, which stamps packets and may be set by an administrator.
pub fn realtime_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Nanoseconds of processor time that all threads of this process have used.
pub fn cpu_ns() -> u64 {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds of processor time that the calling thread has used.
pub fn thread_cpu_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// Creates a descriptor that becomes readable after `time` and stays readable (`timerfd_create(2)`).
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn alarm(time: Duration) -> io::Result<TimerFd> {
    let timer = TimerFd::new(TimerClock::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    // Zero would disarm the timer.
    let time = time.max(Duration::from_nanos(1));
    timer.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty())?;
    Ok(timer)
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("these clocks exist on every Linux");
    u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_backwards() {
        let first = monotonic_ns();
        assert!(monotonic_ns() >= first);
    }
}
