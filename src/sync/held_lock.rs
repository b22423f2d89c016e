//! A linked lock with its poison: what [`super::Mutex`], [`super::RLock`] and [`super::Array`] stand on.

use super::error::{MutexError, Poisoned, WaitError};
use super::linked::{LinkedHold, pid_of};
use super::patience::{Interrupt, until};
use super::shared::Shared;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use std::sync::atomic::Ordering;

/// The PID of the process that poisoned the lock; 0 if it is clean.
const POISON: usize = 0;

/// The lock is held until this is dropped.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    shared: &'a Shared,
    hold: LinkedHold,
    was_panicking: bool,
}

/// Takes the lock, and says which process poisoned it.
#[inline]
pub(super) fn take<'a>(
    shared: &'a Shared,
    interrupt: &Interrupt,
    deadline: Deadline,
) -> Result<(Hold<'a>, Option<Pid>), WaitError> {
    let (hold, dead) = until(interrupt, deadline, |slice| shared.take(slice))?;
    let poison = shared.word(POISON);
    if let Some(pid) = dead {
        // Before this process's own PID: should it end here, the next one finds the dead one's again.
        poison.store(pid.as_raw().unsigned_abs().into(), Ordering::Relaxed);
    }
    shared.lock().begin(&hold);
    let poisoned = pid_of(poison.load(Ordering::Relaxed));
    let hold = Hold { shared, hold, was_panicking: std::thread::panicking() };
    Ok((hold, poisoned))
}

/// Makes what was taken a result as users get it.
#[inline]
pub(super) fn poisoned_or<G>(guard: G, pid: Option<Pid>) -> Result<G, MutexError<G>> {
    match pid {
        Some(pid) => Err(MutexError::Poisoned(Poisoned { guard, pid })),
        None => Ok(guard),
    }
}

/// The process that poisoned the lock.
pub(super) fn poison(shared: &Shared) -> Option<Pid> {
    pid_of(shared.word(POISON).load(Ordering::Relaxed))
}

pub(super) fn clear_poison(shared: &Shared) {
    shared.word(POISON).store(0, Ordering::Relaxed);
}

impl<'a> Hold<'a> {
    /// What was forgotten, for the thread that holds the lock.
    pub(super) fn again(shared: &'a Shared) -> Option<Self> {
        let hold = LinkedHold::of_this_thread()?;
        Some(Hold { shared, hold, was_panicking: false })
    }

    pub(super) fn clear_poison(&self) {
        clear_poison(self.shared);
    }

    pub(super) fn set_poison(&self) {
        self.shared.word(POISON).store(std::process::id().into(), Ordering::Relaxed);
    }

    /// Whether a panic began while the lock was held.
    #[inline]
    pub(super) fn panics(&self) -> bool {
        !self.was_panicking && std::thread::panicking()
    }

    /// Whether this is the process that took the lock, and not a copy of it.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        self.hold.is_current()
    }
}

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_own() {
            return;
        }
        if self.panics() {
            self.set_poison();
        }
        self.shared.lock().finish();
        self.shared.give(&self.hold);
    }
}
