//! A robust lock that can be held while user code runs, together with other locks, and released in any order.
//!
//! It is announced while it is taken and while it is released, and linked into the thread's list in between
//! ([`crate::sys::robust`]). Wherever the thread is killed, the lock is announced or linked, or the thread does not
//! hold it.
//!
//! Next to it is the PID of its holder, which is stored after the lock was taken, and cleared before it is released.
//! A holder that ends in between may have changed what the lock guards, so the next holder learns its PID. A holder
//! that ends earlier has changed nothing; one that ends later had finished.
//!
//! # Safety
//! What is linked must stay mapped: a [`LinkedLock`] is reached only through [`super::shared::Shared`], which keeps
//! its memory mapped forever if a lock in it is still held when it is dropped.
#![expect(unsafe_code, reason = "links locks into the list that the kernel follows")]

use super::robust_mutex::{self, Held, LockError, OWNER, lock, release, try_lock_as, try_word};
use crate::shm::region::Words;
use crate::shm::word::{Word32, Word64};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::robust::{Links, ThisThread};
use std::sync::atomic::{Ordering, compiler_fence};

/// The lock in shared memory.
///
/// The words that waiting threads read are at the end of a cache line, and what only the holder accesses is at the
/// beginning of the next one, so that waiting threads do not slow it down.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct LinkedLock {
    _unused: [Word64; 7],
    words: [Word32; 2],
    links: Links,
    /// The PID of the holder, and above it where it has mapped the lock; 0 while it does not use what the lock guards.
    holder: Word64,
}

// SAFETY: words and atomics only.
unsafe impl Words for LinkedLock {}

impl LinkedLock {
    /// Takes the lock. Returns the PID of the last holder if that ended while it used what is guarded.
    ///
    /// # Errors
    /// [`LockError`].
    #[cold]
    pub(super) fn lock(&self, deadline: Deadline) -> Result<Option<Pid>, LockError> {
        let thread = ThisThread::get()?;
        thread.check_linkable(&self.links)?;
        if self.try_lock().is_some() {
            return Ok(None);
        }
        let locked = lock(&self.words, deadline)?;
        let dead = if locked.owner_died { pid_of(self.holder.load(Ordering::Relaxed)) } else { None };
        self.link(thread, locked.held);
        Ok(dead)
    }

    /// The fast path: takes the lock if it is free, no thread waits for it, its last holder released it, and this
    /// thread is known.
    #[inline(always)]
    pub(super) fn try_lock(&self) -> Option<ThisThread> {
        let thread = ThisThread::known()?;
        if let Some(entry) = thread.only_entry(&self.links) {
            // Nothing is announced or linked: the common case. SAFETY: the memory stays mapped while the lock is held
            // (see above).
            return unsafe { thread.take_only(entry, || try_word(thread, &self.words)) }.then_some(thread);
        }
        if thread.is_linkable(&self.links) {
            self.link(thread, try_lock_as(thread, &self.words)?);
            return Some(thread);
        }
        None
    }

    /// The lock stays announced until another one is, or until it is released.
    #[inline(always)]
    fn link(&self, thread: ThisThread, held: Held<'_>) {
        // SAFETY: the memory stays mapped while the lock is held (see above).
        unsafe { thread.link(&self.links) };
        std::mem::forget(held);
    }

    /// The part of its address that [`Self::begin`] stores.
    #[inline(always)]
    fn mapped_at(&self) -> u64 {
        (std::ptr::from_ref(self).addr() as u64 >> 6) << 32
    }

    /// Records that the holder uses what the lock guards.
    #[inline(always)]
    pub(super) fn begin(&self, thread: ThisThread) {
        self.holder.store(self.mapped_at() | u64::from(thread.pid()), Ordering::Relaxed);
        // A thread is killed between two of its instructions, so their program order is what matters.
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether a thread of this process holds it, or may hold it, through this mapping, so that it is in the thread's list.
    pub(super) fn is_linked_here(&self) -> bool {
        let own = self.mapped_at() | u64::from(std::process::id());
        self.words[0].load(Ordering::Relaxed) & OWNER != 0 && self.holder.load(Ordering::Relaxed) == own
    }

    /// Records that the holder has finished.
    #[inline(always)]
    pub(super) fn finish(&self) {
        compiler_fence(Ordering::SeqCst);
        self.holder.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Releases the lock, which the calling thread holds.
    #[inline(always)]
    pub(super) fn unlock(&self, thread: ThisThread) {
        if thread.release_only(&self.links, || release(&self.words)) {
            return;
        }
        let announced = thread.announce_again(&self.words[0]);
        thread.unlink(&self.links);
        release(&self.words);
        if let Some(announced) = announced {
            announced.withdraw();
        }
    }

    /// The word that changes when the lock is released, and its value until then; `None` if no thread holds it.
    pub(super) fn prepare_sleep(&self) -> Option<(&Word32, u32)> {
        robust_mutex::prepare_sleep(&self.words).map(|held| (&self.words[0], held))
    }

    /// Whether no live thread holds it now.
    pub(super) fn is_free(&self) -> bool {
        self.words[0].load(Ordering::Relaxed) & OWNER == 0
    }

    /// The calling thread, if it holds the lock. In a forked copy the parent holds it.
    #[inline(always)]
    pub(super) fn own_holder(&self) -> Option<ThisThread> {
        let is_holder = |thread: &ThisThread| self.words[0].load(Ordering::Relaxed) & OWNER == thread.tid();
        ThisThread::known().filter(is_holder)
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        self.own_holder().is_some()
    }

    /// The PID of the process that holds it and uses what it guards, if any does.
    pub(super) fn holder(&self) -> Option<Pid> {
        let holder = pid_of(self.holder.load(Ordering::Relaxed));
        let is_held = self.words[0].load(Ordering::Relaxed) & OWNER != 0;
        holder.filter(|_| is_held)
    }
}

/// The PID in a word, if there is one.
pub(super) fn pid_of(word: u64) -> Option<Pid> {
    // The upper half is the address at which the lock is mapped.
    let pid = (word as u32).cast_signed();
    (pid > 0).then(|| Pid::from_raw(pid))
}
