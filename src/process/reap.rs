//! The reaper: the only place that waits for children.
//!
//! A pidfd refers to a child from its start until it is reaped, so its PID is never used after it may have been
//! reused. Each exit status is read exactly once, under the lock of the child's status, and stored: however many
//! threads join, there is one call of `waitid`. All pidfds of a supervisor are in one `epoll` set, so a wait for one
//! child also reaps the siblings that end meanwhile.
//!
//! This needs no signal handler and no thread, and it is exact: descriptors held by a grandchild, an `exec` and the
//! disposition of `SIGCHLD` do not matter (`pidfd_open(2)`).

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
            // There is no zombie. If the kernel reaps children automatically, a recent one still knows the status;
            // otherwise other code has waited for the child.
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

/// Forgets a child that was reaped: its PID may be reused now.
pub(crate) fn forget_child(pid: Pid) {
    known().1.remove(&pid);
}

/// Whether this process started the child `pid` and has not reaped it.
pub(crate) fn is_known(pid: Pid) -> bool {
    known().1.contains(&pid)
}
