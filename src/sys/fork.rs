//! `fork(2)` and `clone(2)`: copies of this process.
//!
//! # Safety
//! A child has only a copy of the calling thread, while locks that other threads held stay locked in it. Both
//! functions are therefore unsafe to call unless this is the only thread, or the others hold no locks.
#![expect(unsafe_code, reason = "process creation")]

use crate::sys::pid::Pid;
use nix::libc;
use std::cell::Cell;
use std::io;

thread_local! {
    /// Whether the fork that this thread is making is one of this module.
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// The side of a fork on which the call returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The parent, with the child's PID.
    Parent(Pid),
    /// The child.
    Child,
}

/// Creates a child of this process (`fork(2)`).
///
/// # Safety
/// No other thread of this process may hold a lock that the child will take.
///
/// # Errors
/// `EAGAIN` at the limit on processes, `ENOMEM`.
pub unsafe fn fork() -> io::Result<Forked> {
    IS_OWN.set(true);
    // SAFETY: the caller's promise.
    let pid = unsafe { libc::fork() };
    IS_OWN.set(false);
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid))),
    }
}

/// Calls `before` at each `fork(2)` of this process in the thread that forks, and `after` in it and in its copy
/// (`pthread_atfork(3)`).
///
/// # Errors
/// `ENOMEM`.
pub fn at_fork(before: extern "C" fn(), after: extern "C" fn()) -> io::Result<()> {
    // SAFETY: both functions are safe to call at any time, and exist as long as the process.
    match unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Whether the fork that this thread is making was called by [`fork`], and not by other code.
pub fn is_own() -> bool {
    IS_OWN.get()
}

/// Creates a sibling: a copy of this process that is a child of *its parent* (`clone(2)` with `CLONE_PARENT`). It has
/// the exit signal of this process.
///
/// The C library's `fork` does two things that a bare clone must do itself: store the new TID in the library's
/// thread descriptor (the kernel writes it to the address registered by `set_tid_address(2)`), and register the
/// robust futex list again, which the kernel drops.
///
/// # Safety
/// As [`fork`].
///
/// # Errors
/// `EAGAIN`, `ENOMEM`; `EINVAL` if the kernel cannot report the address of the TID (`PR_GET_TID_ADDRESS` needs
/// `CONFIG_CHECKPOINT_RESTORE`).
pub unsafe fn fork_sibling() -> io::Result<Forked> {
    let mut tid_address: *mut libc::c_int = std::ptr::null_mut();
    // SAFETY: the kernel writes one pointer into a local.
    if unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut tid_address) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut robust_head, mut robust_len) = (std::ptr::null_mut::<libc::c_void>(), 0_usize);
    // SAFETY: the kernel writes one pointer and one length into locals.
    unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut robust_head, &raw mut robust_len) };

    let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    let flags = libc::c_ulong::from(flags.cast_unsigned());
    // SAFETY: without CLONE_VM the child runs on its own copy of this stack, as after fork; the TID
    // address belongs to this thread's descriptor. Null stack means "the same address".
    let pid = unsafe { raw_clone(flags, tid_address) };
    match pid {
        0 => {
            // SAFETY: the list head is the one that the C library registered for this thread.
            unsafe { libc::syscall(libc::SYS_set_robust_list, robust_head, robust_len) };
            Ok(Forked::Child)
        }
        pid => i32::try_from(pid)
            .ok()
            .filter(|pid| *pid > 0)
            .map_or_else(|| Err(io::Error::last_os_error()), |pid| Ok(Forked::Parent(Pid::from_raw(pid)))),
    }
}

/// Exits without running exit handlers, which belong to a program that has not started (`_exit(2)`).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes an integer and never returns.
    unsafe { libc::_exit(code) }
}

/// The order of clone's last two arguments differs between architectures (`clone(2)`, C library/kernel
/// differences): x86-64 has the child's TID fourth, arm64 and most others fifth.
///
/// # Safety
/// As [`fork_sibling`].
unsafe fn raw_clone(flags: libc::c_ulong, child_tid: *mut libc::c_int) -> libc::c_long {
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the caller's promise.
    #[cfg(target_arch = "x86_64")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, null, null, child_tid, null) };
    // SAFETY: the caller's promise.
    #[cfg(not(target_arch = "x86_64"))]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, null, null, null, child_tid) };
    pid
}
