//! `pidfd_open(2)`, `pidfd_send_signal(2)`: a process held by a descriptor, which no other process
//! ever takes over as it might take over a number.
//!
//! # Safety
//! The calls take a descriptor that is borrowed for their length, plain integers, and at most one
//! pointer to a local buffer whose size is passed along.
#![expect(unsafe_code, reason = "raw system calls that nix does not wrap")]

use crate::sys::pid::Pid;
use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `PIDFD_SIGNAL_PROCESS_GROUP` of `<linux/pidfd.h>`, Linux 6.9.
const SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Opens the process `pid`; close-on-exec always (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two integers go in, a new descriptor comes out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    // SAFETY: the kernel has just made this descriptor for this process; nothing else owns it.
    check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal` (0 only asks) to the very process that `pidfd` was opened for.
///
/// # Errors
/// `ESRCH` when it has been reaped, `EPERM` when it belongs to another user.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    signal_with(pidfd, signal, 0)
}

/// Sends `signal` to the process `pid`, which `pidfd` was opened for: by number where a sandbox refuses the call by
/// descriptor. Only for a child of this process that nothing reaps meanwhile: after that the number may be
/// another process's.
///
/// # Errors
/// As [`send_signal`].
pub fn send_signal_to_unreaped(pidfd: BorrowedFd<'_>, pid: Pid, signal: i32) -> io::Result<()> {
    match send_signal(pidfd, signal) {
        // EPERM may as well mean that it is another user's: then the other call says the same.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            super::signal::kill_process(pid, signal)
        }
        answer => answer,
    }
}

/// Sends `signal` to the process group that the process leads, even after its leader was reaped: the
/// answer is [`gone`] when no process is left in it. `None` before Linux 6.9, which cannot do it.
pub fn send_signal_to_group(pidfd: BorrowedFd<'_>, signal: i32) -> Option<io::Result<()>> {
    match signal_with(pidfd, signal, SIGNAL_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
        answer => Some(answer),
    }
}

/// Whether an error says that the process, or every process in the group, is gone.
pub fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// `ESRCH` as an error.
pub fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

fn signal_with(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is borrowed for the call and the kernel accepts a null siginfo.
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

/// The wait status of a process that is dead and reaped already, where the kernel still knows it
/// (`PIDFD_GET_INFO` with `PIDFD_INFO_EXIT`, Linux 6.15).
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
    fn a_pidfd_of_ourselves_takes_the_null_signal() {
        let own = open(Pid::this()).unwrap();
        send_signal(own.as_fd(), 0).unwrap();
    }

    #[test]
    fn a_pid_that_cannot_exist_is_refused() {
        assert!(open(Pid::from_raw(-1)).is_err());
        assert_eq!(open(Pid::from_raw(i32::MAX)).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
