//! What may end a wait although no process does: timers, pending signals, signal handlers.

use crate::sys::pid::Pid;
use nix::libc;

use crate::sys::procfs::signals::{Signals, has_timers};

/// Signals whose handlers serve faults or the ends of children, or are installed by common runtimes: such a handler is
/// unlikely to end a wait. The last two are the C library's own.
const COMMON: [i32; 14] = [
    libc::SIGINT,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGWINCH,
    libc::SIGXFSZ,
    32,
    33,
];

/// Whether a process may have set an alarm or a timer, or has a pending signal. An alarm itself is not visible; its
/// handler is.
pub(super) fn can_break_a_circle(pid: Pid) -> bool {
    let Some(signals) = Signals::of(pid) else { return true };
    signals.any_pending() || signals.catches(libc::SIGALRM) || has_timers(pid)
}

/// Whether a process has handlers that are likely to run, such as one that ends its only wait.
pub(super) fn can_end_its_own_wait(pid: Pid) -> bool {
    let Some(signals) = Signals::of(pid) else { return true };
    (1..=64).any(|signal| !COMMON.contains(&signal) && signals.catches(signal))
}
