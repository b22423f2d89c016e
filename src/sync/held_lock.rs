//! A linked lock with its poison: the basis of [`super::Mutex`], [`super::RLock`] and [`super::Array`].

use super::error::{MutexError, Poisoned, WaitError};
use super::linked::pid_of;
use super::patience::{Interrupt, until};
use super::shared::Shared;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::robust::ThisThread;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;

/// The PID of the process that poisoned the lock; 0 if it is clean.
const POISON: usize = 0;

/// The lock is held until this is dropped. It belongs to the thread, so it is not `Send`.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    shared: &'a Shared,
    /// Whether the thread was panicking when it took the lock. A whole word: a guard is moved by words, and a
    /// processor waits for a store of a byte before it can load the word that it is in.
    was_panicking: usize,
    not_send: PhantomData<*const ()>,
}

/// The fast path: takes the lock if it is free and not poisoned.
#[inline(always)]
pub(super) fn try_take(shared: &Shared) -> Option<Hold<'_>> {
    let thread = shared.lock().try_lock()?;
    shared.lock().begin(thread);
    let hold = Hold::new(shared);
    // The next attempt finds the lock free again, and reports the poison.
    (shared.word(POISON).load(Ordering::Relaxed) == 0).then_some(hold)
}

/// Takes the lock, and says which process poisoned it.
#[cold]
pub(super) fn take<'a>(
    shared: &'a Shared,
    interrupt: &Interrupt,
    deadline: Deadline,
) -> Result<(Hold<'a>, Option<Pid>), WaitError> {
    let dead = until(interrupt, deadline, |slice| shared.lock().lock(slice))?;
    let poison = shared.word(POISON);
    if let Some(pid) = dead {
        event!(WARN, pid = pid.as_raw(), "lock poisoned: its holder ended while it held it");
        // Before this process's own PID is stored, so that if it ends here, the next holder finds the same PID again.
        poison.store(pid.as_raw().unsigned_abs().into(), Ordering::Relaxed);
    }
    shared.lock().begin(ThisThread::get()?);
    let poisoned = pid_of(poison.load(Ordering::Relaxed));
    Ok((Hold::new(shared), poisoned))
}

/// The result for users.
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
    #[inline(always)]
    fn new(shared: &'a Shared) -> Self {
        let was_panicking = usize::from(std::thread::panicking());
        Hold { shared, was_panicking, not_send: PhantomData }
    }

    /// Recreates a hold that was forgotten, in the thread that holds the lock.
    pub(super) fn again(shared: &'a Shared) -> Self {
        Hold { shared, was_panicking: 0, not_send: PhantomData }
    }

    pub(super) fn clear_poison(&self) {
        clear_poison(self.shared);
    }

    pub(super) fn set_poison(&self) {
        self.shared.word(POISON).store(std::process::id().into(), Ordering::Relaxed);
    }

    /// Whether a panic began while the lock was held.
    #[inline(always)]
    pub(super) fn panics(&self) -> bool {
        self.was_panicking == 0 && std::thread::panicking()
    }
}

impl Hold<'_> {
    /// Releases the lock; if this is the process that took it, and no panic began since, not before `last` has run.
    #[inline(always)]
    pub(super) fn release_after(self, last: impl FnOnce(&Self)) {
        let hold = ManuallyDrop::new(self);
        hold.end(last);
    }

    #[inline(always)]
    fn end(&self, last: impl FnOnce(&Self)) {
        let Some(thread) = self.shared.lock().own_holder() else { return };
        if self.panics() {
            self.set_poison();
        } else {
            last(self);
        }
        self.shared.lock().finish();
        self.shared.lock().unlock(thread);
    }
}

impl Drop for Hold<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.end(|_| {});
    }
}
