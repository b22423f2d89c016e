//! Work that starts programs, done so that a SIGKILL leaves none of them.
//!
//! Two processes share it. One does the work and is the parent of the programs; the other, the *guard*, waits for it. If
//! the one that works is killed, the guard adopts what it leaves, and ends it. If the guard is killed, the kernel tells
//! the other one, which ends its programs and itself.
//!
//! # Safety
//! A fork is sound only where no other thread holds a lock: it is refused while there is another thread.
#![expect(unsafe_code, reason = "process creation")]

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::leftovers::end_descendants;
use crate::sys::fork::{Forked, exit_now, fork};
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::{Deadline, readable};
use crate::sys::signal::{SIGKILL, die_of, kill_process};
use crate::sys::signalfd::Signals;
use crate::sys::task::{self, n_threads};
use crate::sys::wait::{How, Whose, Zombie, try_wait};

/// How long programs may take to end after SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// The exit code of a Rust program that has panicked.
const PANICKED: u8 = 101;

/// The process that waits for this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard(Pid);

impl Guard {
    /// Whether it was killed. Its death is announced by SIGTERM.
    pub(crate) fn is_gone(self) -> bool {
        Pid::parent() != self.0
    }

    /// Ends all descendants of this process, and then this process.
    pub(crate) fn follow_into_death(self) -> ! {
        end_descendants(GRACE);
        exit_now(128 + SIGKILL)
    }
}

/// Does `work` in a copy of this process and returns its exit code. Signals that are sent to this process are forwarded
/// to the copy. If the copy is killed, its descendants are ended, and this process dies of the same signal.
///
/// # Errors
/// When no process can be created, or another thread works.
pub(crate) fn guarded(work: impl FnOnce(Guard) -> u8) -> io::Result<u8> {
    if !is_alone() {
        return Err(io::Error::other("only a process in which one thread works can be copied"));
    }
    task::set_subreaper(true)?;
    // Blocked before the fork: a signal that comes meanwhile is forwarded, and does not end this process alone.
    let signals = Signals::catch_all()?;
    let guard = Pid::this();
    // SAFETY: no other thread works, so none holds a lock.
    let worker = match unsafe { fork()? } {
        Forked::Child => {
            let heard = task::hear_of_parents_death(guard);
            signals.release();
            if heard.is_err() {
                exit_now(128 + SIGKILL);
            }
            let code = catch_unwind(AssertUnwindSafe(|| work(Guard(guard)))).unwrap_or_else(|_| {
                end_descendants(GRACE);
                PANICKED
            });
            let _ = io::stdout().flush();
            exit_now(code.into())
        }
        Forked::Parent(pid) => pid,
    };
    match wait(worker, &signals)? {
        How::Exited(code) => Ok(u8::try_from(code).unwrap_or(PANICKED)),
        How::Killed { signal, .. } => {
            end_descendants(GRACE);
            die_of(signal)
        }
    }
}

/// Whether no other thread works: there is none, or it is the main thread, which only waits for this one, where the command
/// line has a stack of its own.
fn is_alone() -> bool {
    let most = if task::is_main_thread() { 1 } else { 2 };
    n_threads().map_or(true, |threads| threads <= most)
}

/// Waits until the copy has ended, and reaps it.
fn wait(worker: Pid, signals: &Signals) -> io::Result<How> {
    // It is unreaped, so the number is still its own.
    let pidfd = pidfd::open(worker)?;
    loop {
        let ready = readable(&[pidfd.as_fd(), signals.as_fd()], Deadline::NEVER)?;
        // The terminal sends its signals to the whole group, the copy included.
        for came in signals.take().into_iter().filter(|came| !came.from_terminal) {
            let _ = kill_process(worker, came.signal);
        }
        if ready[0]
            && let Some(ended) = try_wait(Whose::Pidfd(pidfd.as_fd()), Zombie::Reap)?
        {
            return Ok(ended.how);
        }
    }
}
