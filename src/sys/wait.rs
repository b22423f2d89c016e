//! `waitid(2)`: how a child ended, with or without reaping it.
//!
//! # Safety
//! `waitid` fills one local `siginfo_t`, whose union is read only after a successful call.
#![expect(unsafe_code, reason = "nix's waitid cannot say that a real-time signal ended a child")]

use super::poll::Deadline;
use crate::sys::pid::Pid;
use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The child whose exit is queried.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'fd> {
    /// The process of this pidfd.
    Pidfd(BorrowedFd<'fd>),
    /// The child with this PID. Use it only for a child that is known to be unreaped.
    Pid(Pid),
    /// Any child. Only for a process all of whose children may be reaped.
    Any,
}

/// What to do with the zombie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zombie {
    /// Reap it: its PID may then be reused.
    Reap,
    /// Leave it (`WNOWAIT`).
    Leave,
}

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its PID.
    pub pid: Pid,
    /// How it ended.
    pub how: How,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It exited with this code, 0 to 255.
    Exited(i32),
    /// A signal killed it.
    Killed {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
}

impl How {
    /// Decodes a wait status (`wait(2)`).
    pub fn from_status(status: i32) -> How {
        if libc::WIFSIGNALED(status) {
            How::Killed { signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
        } else {
            How::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// Kills the child `pid`, which must be unreaped, and reaps it if it ends within `timeout`.
pub fn kill_and_reap(pid: Pid, timeout: Duration) {
    let deadline = Deadline::after(timeout);
    // SAFETY: takes two integers.
    unsafe { libc::kill(pid.as_raw(), libc::SIGKILL) };
    while matches!(try_wait(Whose::Pid(pid), Zombie::Reap), Ok(None)) && !deadline.is_over() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether an error of [`try_wait`] means that the process is not, or no longer, a child of this process.
pub fn is_no_child(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECHILD)
}

/// Checks without blocking whether a child has ended; `None` while it has not.
///
/// # Errors
/// `ECHILD` when this process has no such child, because it was reaped elsewhere, or by the kernel because `SIGCHLD` is
/// ignored.
pub fn try_wait(whose: Whose<'_>, zombie: Zombie) -> io::Result<Option<Ended>> {
    let (kind, id) = match whose {
        Whose::Pidfd(fd) => (libc::P_PIDFD, fd.as_raw_fd().cast_unsigned()),
        Whose::Pid(pid) => (libc::P_PID, pid.as_raw().cast_unsigned()),
        Whose::Any => (libc::P_ALL, 0),
    };
    let mut flags = libc::WEXITED | libc::WNOHANG;
    if zombie == Zombie::Leave {
        flags |= libc::WNOWAIT;
    }
    // SAFETY: all-zero bytes are a valid siginfo_t, whose si_pid stays 0 if the child has not ended.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` outlives the call.
    if unsafe { libc::waitid(kind, id, &raw mut info, flags) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: after a successful waitid, the child fields of the union are valid.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some(Ended {
        pid: Pid::from_raw(pid),
        how: match info.si_code {
            libc::CLD_EXITED => How::Exited(status),
            code => How::Killed { signal: status, core_dumped: code == libc::CLD_DUMPED },
        },
    }))
}
