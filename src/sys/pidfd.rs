//! `pidfd_open(2)`, `pidfd_send_signal(2)`: descriptors that refer to processes and, unlike PIDs, are never reused.
//!
//! # Safety
//! The calls take a descriptor that is borrowed for their duration, plain integers, and at most one pointer to a
//! local buffer whose size is passed with it.
#![expect(unsafe_code, reason = "raw system calls that nix does not wrap")]

use crate::sys::pid::Pid;
use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `PIDFD_SIGNAL_PROCESS_GROUP` of `<linux/pidfd.h>`, Linux 6.9.
const SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Opens a pidfd of process `pid`, always close-on-exec (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and returns a new descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    // SAFETY: the kernel has just created this descriptor for this process; nothing else owns it.
    check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal` to the process that `pidfd` refers to; 0 only checks for it.
///
/// # Errors
/// `ESRCH` when it has been reaped, `EPERM` when it belongs to another user.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    signal_with(pidfd, signal, 0)
}

/// Sends `signal` to the process `pid`, which `pidfd` refers to; by PID if a sandbox refuses the call by descriptor.
/// Use it only for a child of this process that nothing reaps meanwhile, because a reaped PID may be reused.
///
/// # Errors
/// As [`send_signal`].
pub fn send_signal_to_unreaped(pidfd: BorrowedFd<'_>, pid: Pid, signal: i32) -> io::Result<()> {
    match send_signal(pidfd, signal) {
        // EPERM may also mean that the process belongs to another user; then `kill` fails the same way.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            super::signal::kill_process(pid, signal)
        }
        answer => answer,
    }
}

/// Sends `signal` to the process group that the process leads, even after the leader was reaped. The result is
/// [`gone`] when no process is left in the group. `None` before Linux 6.9, which does not support it.
pub fn send_signal_to_group(pidfd: BorrowedFd<'_>, signal: i32) -> Option<io::Result<()>> {
    match signal_with(pidfd, signal, SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
        answer => Some(answer),
    }
}

/// Whether an error means that the process, or every process in the group, is gone.
pub fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// `ESRCH` as an error.
pub fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

fn signal_with(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed for the call, and the kernel accepts a null siginfo.
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, flags) };
    check(result).map(drop)
}

/// `struct pidfd_info` of `<linux/pidfd.h>` as of Linux 6.13; later kernels accept this size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: libc::Ioctl = ((3 << 30) | (size_of::<Info>() << 16) | (0xFF << 8) | 11) as libc::Ioctl;

/// The wait status of a process that was already reaped, if the kernel still knows it (`PIDFD_GET_INFO` with
/// `PIDFD_INFO_EXIT`, Linux 6.15).
pub fn status_after_reaping(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the request encodes the size of `info`, which outlives the call.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO, &raw mut info) };
    (result == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
}

fn check(result: libc::c_long) -> io::Result<libc::c_int> {
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_pidfd_of_this_process_accepts_the_null_signal() {
        let own = open(Pid::this()).unwrap();
        send_signal(own.as_fd(), 0).unwrap();
    }

    #[test]
    fn a_pid_that_cannot_exist_is_refused() {
        assert!(open(Pid::from_raw(-1)).is_err());
        assert_eq!(open(Pid::from_raw(i32::MAX)).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
