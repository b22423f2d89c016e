//! Opening perf events: what to record, for which tasks, on which CPU.
//!
//! # Safety
//! `perf_event_open` and its ioctls are called through raw bindings; the attribute structure is a local that
//! outlives the call.
#![expect(unsafe_code, reason = "perf_event_open has no safe wrapper in nix")]

use crate::sys::pid::Pid;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use perf_event_open_sys::{self as raw, bindings as abi};

/// What one event records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Context switches, forks, execs and names, and exits. One event records all of them, because every further
    /// event would be inherited, at a cost, at each fork of the program.
    Lives,
    /// A tracepoint by its tracefs id, with its raw fields; needs `CAP_PERFMON` or `perf_event_paranoid` -1.
    Tracepoint(u64),
}

/// Which tasks an event follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This task (a thread) and all its future descendants, from now on.
    FromNow(Pid),
    /// Every task on the machine; needs `CAP_PERFMON` or `perf_event_paranoid` 0.
    Everyone,
}

/// An open perf event. Only [`open`] creates one, so a ring is never mapped from a file that other processes write
/// or truncate.
#[derive(Debug)]
pub struct PerfEvent(OwnedFd);

impl AsFd for PerfEvent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens one event on one CPU. A poll of it wakes once the ring holds `wakeup_bytes`.
///
/// Records have timestamps of `CLOCK_MONOTONIC`, so that they compare with all other events of a run.
///
/// # Errors
/// `EACCES` or `EPERM` if `perf_event_paranoid`, seccomp or ownership forbids it, `ENOSYS` or `ENOENT` if the
/// kernel does not support it, `ESRCH` when the task is gone.
pub fn open(source: Source, scope: Scope, cpu: u32, wakeup_bytes: u32) -> Result<PerfEvent, Errno> {
    let mut attr = abi::perf_event_attr {
        size: size_of::<abi::perf_event_attr>() as u32,
        sample_type: u64::from(abi::PERF_SAMPLE_TID | abi::PERF_SAMPLE_TIME),
        clockid: nix::libc::CLOCK_MONOTONIC,
        ..Default::default()
    };
    attr.set_sample_id_all(1);
    attr.set_use_clockid(1);
    attr.set_watermark(1);
    attr.__bindgen_anon_2.wakeup_watermark = wakeup_bytes;
    match source {
        Source::Lives => {
            attr.type_ = abi::PERF_TYPE_SOFTWARE;
            attr.config = u64::from(abi::PERF_COUNT_SW_DUMMY);
            attr.set_exclude_kernel(1);
            attr.set_exclude_hv(1);
            attr.set_context_switch(1);
            attr.set_task(1);
            attr.set_comm(1);
            attr.set_comm_exec(1);
        }
        Source::Tracepoint(id) => {
            attr.type_ = abi::PERF_TYPE_TRACEPOINT;
            attr.config = id;
            attr.sample_type |= u64::from(abi::PERF_SAMPLE_RAW);
            attr.__bindgen_anon_1.sample_period = 1;
        }
    }
    let pid = match scope {
        Scope::FromNow(pid) => {
            attr.set_inherit(1);
            pid.as_raw()
        }
        Scope::Everyone => -1,
    };
    let cpu = i32::try_from(cpu).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `attr` is a valid, fully initialized structure that outlives the call.
    let fd = unsafe {
        raw::perf_event_open(&mut attr, pid, cpu, -1, std::ffi::c_ulong::from(abi::PERF_FLAG_FD_CLOEXEC))
    };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel just created this descriptor for this process; nothing else owns it.
    Ok(PerfEvent(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Makes `event` write its records into the ring of `into`, which must have the same CPU and clock
/// (`PERF_EVENT_IOC_SET_OUTPUT`).
///
/// # Errors
/// `EINVAL` when the two do not match.
pub fn share_ring(event: &PerfEvent, into: &PerfEvent) -> Result<(), Errno> {
    // SAFETY: both are open perf events; the call takes no pointer.
    let done = unsafe { raw::ioctls::SET_OUTPUT(event.0.as_raw_fd(), into.0.as_raw_fd()) };
    Errno::result(done).map(drop)
}

/// The CPUs that are online, from `/sys/devices/system/cpu/online` (`0-3,8`).
///
/// Falls back to CPU 0 alone if the file cannot be read.
pub fn online_cpus() -> Vec<u32> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = parse_cpu_list(text.trim());
    if cpus.is_empty() { vec![0] } else { cpus }
}

fn parse_cpu_list(text: &str) -> Vec<u32> {
    const MOST: u32 = 8192;
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            cpus.extend(first..=last.min(MOST));
        }
    }
    cpus
}

/// The value of `perf_event_paranoid`; `None` if the kernel has no perf events.
pub fn paranoid_level() -> Option<i32> {
    std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_with_ranges_and_single_numbers_is_parsed() {
        assert_eq!(parse_cpu_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse_cpu_list(""), Vec::<u32>::new());
    }
}
