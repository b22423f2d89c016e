//! A robust lock that may be held while code of the user's runs, together with others, and released in any order.
//!
//! It is announced while it is taken and while it is released, and linked into the thread's list in between
//! ([`crate::sys::robust`]). Killed at any instruction, the thread has it announced, or linked, or does not hold it.
//!
//! Beside it stands the PID of its holder, which is stored after the lock was taken, and cleared before it is
//! released. A holder that ends in between had begun to use what the lock guards: the next one hears its PID. One
//! that ends outside of that has not touched it, or was done.
//!
//! # Safety
//! What is linked must stay mapped: a [`LinkedLock`] is reached only through [`super::shared::Shared`], which keeps
//! its memory mapped for ever if a lock in it is still held when it is dropped.
#![expect(unsafe_code, reason = "links locks into the list that the kernel follows")]

use super::robust_mutex::{Held, LockError, OWNER, lock, release, try_lock_as};
use crate::shm::region::Words;
use crate::shm::word::{Word32, Word64};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::robust::{Links, ThisThread};
use std::sync::atomic::{Ordering, compiler_fence};

/// The lock in shared memory.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct LinkedLock {
    words: [Word32; 2],
    links: Links,
    /// The PID of the holder; 0 while it does not use what the lock guards.
    holder: Word64,
}

// SAFETY: words and atomics only.
unsafe impl Words for LinkedLock {}

impl LinkedLock {
    /// Takes the lock. With it comes the PID of the last holder, if that ended while it used what is guarded.
    ///
    /// # Errors
    /// [`LockError`].
    #[inline]
    pub(super) fn lock(&self, deadline: Deadline) -> Result<(LinkedHold, Option<Pid>), LockError> {
        let thread = ThisThread::get()?;
        thread.check_linkable(&self.links)?;
        if let Some(held) = try_lock_as(thread, &self.words) {
            return Ok((self.link(thread, held), None));
        }
        let locked = lock(&self.words, deadline)?;
        let dead = if locked.owner_died { pid_of(self.holder.load(Ordering::Relaxed)) } else { None };
        Ok((self.link(thread, locked.held), dead))
    }

    #[inline]
    fn link(&self, thread: ThisThread, held: Held<'_>) -> LinkedHold {
        // SAFETY: the memory stays mapped while the lock is held (see above).
        unsafe { thread.link(&self.links) };
        let announced = held.announced;
        std::mem::forget(held);
        announced.withdraw();
        LinkedHold { thread }
    }

    /// Notes that the holder uses what the lock guards.
    #[inline]
    pub(super) fn begin(&self, hold: &LinkedHold) {
        self.holder.store(hold.thread.pid().into(), Ordering::Relaxed);
        // The kernel ends a thread between two instructions: their order is the program's.
        compiler_fence(Ordering::SeqCst);
    }

    /// Notes that it is done.
    #[inline]
    pub(super) fn finish(&self) {
        compiler_fence(Ordering::SeqCst);
        self.holder.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Releases the lock. In a copy that a fork made it is the parent's, and nothing happens.
    #[inline]
    pub(super) fn unlock(&self, hold: &LinkedHold) {
        if !hold.is_current() {
            return;
        }
        let announced = hold.thread.announce(&self.words[0]);
        hold.thread.unlink(&self.links);
        release(&self.words);
        if let Some(announced) = announced {
            announced.withdraw();
        }
    }

    /// Whether no live thread holds it now.
    pub(super) fn is_free(&self) -> bool {
        self.words[0].load(Ordering::Relaxed) & OWNER == 0
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        let own = ThisThread::get().map_or(0, ThisThread::tid);
        own != 0 && self.words[0].load(Ordering::Relaxed) & OWNER == own
    }

    /// The PID of the process that holds it and uses what it guards, if any does.
    pub(super) fn holder(&self) -> Option<Pid> {
        let holder = pid_of(self.holder.load(Ordering::Relaxed));
        let is_held = self.words[0].load(Ordering::Relaxed) & OWNER != 0;
        holder.filter(|_| is_held)
    }
}

/// The PID that a word holds, if it holds one.
pub(super) fn pid_of(word: u64) -> Option<Pid> {
    i32::try_from(word).ok().filter(|pid| *pid > 0).map(Pid::from_raw)
}

/// The thread that holds a lock. It is neither `Send` nor `Clone`.
#[derive(Debug)]
pub(super) struct LinkedHold {
    thread: ThisThread,
}

impl LinkedHold {
    /// Whether this is the process that took the lock, and not a copy of it.
    #[inline]
    pub(super) fn is_current(&self) -> bool {
        self.thread.is_current()
    }

    /// For a lock that the calling thread holds.
    pub(super) fn of_this_thread() -> Option<Self> {
        Some(LinkedHold { thread: ThisThread::get().ok()? })
    }
}
