//! The reaper: the only place that waits for children.
//!
//! A child is held by a pidfd from its start until it is reaped, so its number is never used after it may have been
//! reused. Each exit is taken exactly once, under the lock of the child's
//! status, and kept: however many threads join, one `waitid` is made. All pidfds of a supervisor are
//! in one `epoll` set, so that a wait for one child reaps whichever of its siblings end meanwhile.
//!
//! No signal handler and no thread is needed, and the exit is exact: a grandchild that holds
//! descriptors, an `exec` or the disposition of `SIGCHLD` play no part (`pidfd_open(2)`).

use super::exit::Exit;
use crate::sys::pid::Pid;
use crate::sys::wait::{How, Whose, Zombie, is_no_child, try_wait};
use crate::sys::{pidfd, signal};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the child of `pidfd` ended; `None` while it is alive.
///
/// # Errors
/// As `waitid(2)`, except for `ECHILD`.
pub(crate) fn poll_exit(pidfd: BorrowedFd<'_>, zombie: Zombie) -> io::Result<Option<Exit>> {
    match try_wait(Whose::Pidfd(pidfd), zombie) {
        Ok(ended) => Ok(ended.map(|ended| ended.how.into())),
        Err(error) if is_no_child(&error) => {
            // No zombie is left. If the kernel reaps children by itself, a recent kernel
            // still knows the status; otherwise other code has waited for it.
            let by_kernel = signal::children_are_reaped_by_the_kernel();
            let status = by_kernel.then(|| pidfd::status_after_reaping(pidfd)).flatten();
            let exit = status.map(|status| How::from_status(status).into());
            Ok(Some(exit.unwrap_or(Exit::Stolen)))
        }
        Err(error) => Err(error),
    }
}

/// The unreaped children that this process started through this library. Its other children are adopted orphans, or
/// were started by other means.
static KNOWN: Mutex<(Pid, BTreeSet<Pid>)> = Mutex::new((Pid::UNKNOWN, BTreeSet::new()));

fn known() -> MutexGuard<'static, (Pid, BTreeSet<Pid>)> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.0 != Pid::this() {
        // A forked copy has no children yet.
        *known = (Pid::this(), BTreeSet::new());
    }
    known
}

/// Records a child at its birth.
pub(crate) fn record_child(pid: Pid) {
    known().1.insert(pid);
}

/// Forgets a child once it is reaped: its number may be reused now.
pub(crate) fn forget_child(pid: Pid) {
    known().1.remove(&pid);
}

/// Whether this process started the child `pid` and has not reaped it.
pub(crate) fn is_known(pid: Pid) -> bool {
    known().1.contains(&pid)
}
