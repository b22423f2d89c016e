//! Checks whether a call of another process would block, without any effect that the process can observe.
//!
//! # Safety
//! `pidfd_getfd` takes integers and returns a descriptor that is owned immediately.
#![expect(unsafe_code, reason = "nix does not wrap pidfd_getfd")]

use crate::sys::pid::Pid;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::sys::pidfd;

/// Whether `flock(2)` of this kind (`LOCK_SH` or `LOCK_EX`) on the file at `path` would be granted to a new
/// open file description. The lock is taken briefly, while all processes that could observe it are stopped.
pub fn would_lock(path: &str, kind: i32) -> bool {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let how =
        if kind == libc::LOCK_SH { FlockArg::LockSharedNonblock } else { FlockArg::LockExclusiveNonblock };
    // If the file cannot be opened again, the program itself tries the call.
    file.map_or(true, |file| Flock::lock(file, how).is_ok())
}

/// Duplicates descriptor `fd` of the process `pid` (`pidfd_getfd(2)`, Linux 5.6).
///
/// # Errors
/// `EBADF` when it is not open, `EPERM` when this process may not trace the other.
pub fn descriptor_of(pid: Pid, fd: i32) -> io::Result<OwnedFd> {
    let pidfd = pidfd::open(pid)?;
    // SAFETY: takes three integers and returns a new descriptor.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) };
    let copy = Errno::result(copy)? as i32;
    // SAFETY: the kernel has just created this descriptor for this process; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Where the list of robust futexes of a task begins (`get_robust_list(2)`).
///
/// # Errors
/// `EPERM` when this process may not trace the task, `ESRCH`.
pub fn robust_list(tid: Pid) -> io::Result<u64> {
    let (mut head, mut length) = (0_u64, 0_usize);
    // SAFETY: the kernel writes a pointer and a length to these locals.
    let done =
        unsafe { libc::syscall(libc::SYS_get_robust_list, tid.as_raw(), &raw mut head, &raw mut length) };
    Errno::result(done)?;
    Ok(head)
}

/// The subset of `events` (`POLLIN`, …) that are ready now, and the error events that `poll(2)` always reports.
pub fn poll_now(fd: &OwnedFd, events: i16) -> i16 {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::from_bits_truncate(events))];
    match nix::poll::poll(&mut fds, PollTimeout::ZERO) {
        Ok(_) => fds[0].revents().map_or(0, |events| events.bits()),
        Err(_) => 0,
    }
}
