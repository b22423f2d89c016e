//! The threads that hold a part of a primitive or wait for it, in a table in shared memory.
//!
//! The table is read and changed under a brief lock. Each entry is a word that holds the TID of its thread and is
//! linked into that thread's list ([`crate::sys::robust`]), so when the thread ends, in whatever way, the kernel
//! marks the entry. The next thread that uses the table removes the entries of [dead](Table::dead) threads. No thread
//! has to be notified, and there are no counters that could be wrong: the entries are the only record.
//!
//! A waiting thread sleeps on the state of its own entry; the thread that grants what it waits for changes the state
//! by one store. Sleepers check at intervals of [`LOOK_AGAIN`] whether an entry is marked, so this is how long the
//! death of a thread on which others depend may go unnoticed.
//!
//! # Safety
//! An entry is linked while the memory is mapped: see [`super::shared::Shared`].
#![expect(unsafe_code, reason = "links entries into the list that the kernel follows")]

use super::error::WaitError;
use super::linked::pid_of;
use super::patience::{Interrupt, LOOK_AGAIN, until};
use super::robust_mutex::{Held, Locked, OWNER, OWNER_DIED, lock, try_lock};
use super::shared::{BRIEF_LOCK, DATA, Shared};
use crate::shm::region::Words;
use crate::shm::word::{Word32, Word64};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::sys::robust::{Links, ThisThread};
use std::sync::atomic::{Ordering, compiler_fence};
use std::time::Duration;

/// The maximum number of threads that hold or wait for one primitive at a time.
pub(super) const MAX_ENTRIES: usize = 1024;
/// Bytes of the table.
pub(super) const TABLE: usize = MAX_ENTRIES * size_of::<Entry>();
/// Words of the primitive that the table uses: the number of entries that were ever in use at a time, and the next
/// ticket.
const END: usize = 6;
const TICKET: usize = 7;

#[derive(Debug)]
#[repr(C, align(128))]
struct Entry {
    /// The TID of the thread; 0 where the entry is free.
    thread: Word32,
    state: Word32,
    links: Links,
    pid: Word64,
    /// The order in which threads came.
    ticket: Word64,
    /// For the primitive's own use.
    extra: Word64,
}

// SAFETY: words and atomics only.
unsafe impl Words for Entry {}

/// The table, while the brief lock is held.
#[derive(Debug)]
pub(super) struct Table<'a> {
    shared: &'a Shared,
    _held: Held<'a>,
}

/// The contents of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) index: usize,
    pub(super) state: u32,
    pub(super) pid: Pid,
    pub(super) ticket: u64,
    pub(super) extra: u64,
}

fn entry(shared: &Shared, index: usize) -> &Entry {
    shared.region().at(DATA + index * size_of::<Entry>())
}

fn end(shared: &Shared) -> usize {
    (shared.word(END).load(Ordering::Relaxed) as usize).min(MAX_ENTRIES)
}

/// Whether a thread with an entry has ended. Read without the lock, so this is a hint.
pub(super) fn any_dead(shared: &Shared) -> bool {
    (0..end(shared)).any(|index| entry(shared, index).thread.load(Ordering::Relaxed) & OWNER_DIED != 0)
}

impl<'a> Table<'a> {
    pub(super) fn lock(shared: &'a Shared) -> Result<Self, WaitError> {
        let words = shared.region().words32(BRIEF_LOCK);
        let held = match try_lock(words) {
            Some(held) => held,
            None => until(&Interrupt::default(), Deadline::NEVER, |slice| {
                lock(words, slice).map(|Locked { held, .. }| held)
            })?,
        };
        Ok(Table { shared, _held: held })
    }

    /// A word of the primitive, which the lock guards.
    pub(super) fn get(&self, word: usize) -> u64 {
        self.shared.word(word).load(Ordering::Relaxed)
    }

    /// Changes such a word. A thread is killed between two of its instructions, so their program order is what
    /// matters.
    pub(super) fn set(&self, word: usize, value: u64) {
        compiler_fence(Ordering::SeqCst);
        self.shared.word(word).store(value, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    fn all(&self, wanted: impl Fn(u32) -> bool) -> impl Iterator<Item = Seen> {
        let seen = move |index| {
            let entry = entry(self.shared, index);
            wanted(entry.thread.load(Ordering::Relaxed)).then(|| Seen {
                index,
                state: entry.state.load(Ordering::Relaxed),
                pid: pid_of(entry.pid.load(Ordering::Relaxed)).unwrap_or(Pid::UNKNOWN),
                ticket: entry.ticket.load(Ordering::Relaxed),
                extra: entry.extra.load(Ordering::Relaxed),
            })
        };
        (0..end(self.shared)).filter_map(seen)
    }

    /// The entries of live threads.
    pub(super) fn live(&self) -> impl Iterator<Item = Seen> {
        self.all(|thread| thread & OWNER != 0)
    }

    /// The entries of dead threads.
    pub(super) fn dead(&self) -> impl Iterator<Item = Seen> {
        self.all(|thread| thread & OWNER_DIED != 0)
    }

    /// The thread that has been in this state for the longest time.
    pub(super) fn first(&self, state: u32) -> Option<Seen> {
        self.live().filter(|seen| seen.state == state).min_by_key(|seen| seen.ticket)
    }

    pub(super) fn count(&self, state: u32) -> usize {
        self.live().filter(|seen| seen.state == state).count()
    }

    /// Adds the calling thread.
    pub(super) fn enter(&self, state: u32, extra: u64) -> Result<Place, WaitError> {
        let thread = ThisThread::get()?;
        let is_free = |index: &usize| entry(self.shared, *index).thread.load(Ordering::Relaxed) == 0;
        let index = (0..end(self.shared)).find(is_free).unwrap_or_else(|| end(self.shared));
        if index == MAX_ENTRIES {
            return Err(WaitError::TooMany { max: MAX_ENTRIES });
        }
        let entry = entry(self.shared, index);
        thread.check_linkable(&entry.links)?;
        if index >= end(self.shared) {
            self.set(END, index as u64 + 1);
        }
        let ticket = self.get(TICKET);
        self.set(TICKET, ticket + 1);
        // SAFETY: the memory stays mapped while an entry is linked, because of `note_linked`.
        unsafe { thread.link(&entry.links) };
        self.shared.note_linked(1);
        entry.state.store(state, Ordering::Relaxed);
        entry.pid.store(thread.pid().into(), Ordering::Relaxed);
        entry.ticket.store(ticket, Ordering::Relaxed);
        entry.extra.store(extra, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // The store that takes effect.
        entry.thread.store(thread.tid(), Ordering::Relaxed);
        Ok(Place { thread, index })
    }

    /// Removes the calling thread's entry. In a forked copy the entry belongs to the parent, and stays.
    pub(super) fn leave(&self, place: &Place) {
        if !place.thread.is_current() {
            return;
        }
        let entry = entry(self.shared, place.index);
        entry.thread.store(0, Ordering::Relaxed);
        // Still under the lock, so no other thread links the entry before this one has unlinked it.
        place.thread.unlink(&entry.links);
        self.shared.note_linked(-1);
    }

    /// Removes the entry of a thread that has ended.
    pub(super) fn bury(&self, dead: Seen) {
        compiler_fence(Ordering::SeqCst);
        entry(self.shared, dead.index).thread.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn state(&self, place: &Place) -> u32 {
        entry(self.shared, place.index).state.load(Ordering::Relaxed)
    }

    /// Changes the state of the calling thread.
    pub(super) fn set_state(&self, place: &Place, state: u32) {
        entry(self.shared, place.index).state.store(state, Ordering::Relaxed);
    }

    pub(super) fn extra(&self, place: &Place) -> u64 {
        entry(self.shared, place.index).extra.load(Ordering::Relaxed)
    }

    pub(super) fn set_extra(&self, seen: Seen, extra: u64) {
        entry(self.shared, seen.index).extra.store(extra, Ordering::Relaxed);
    }

    /// Changes the state of a thread by one store, and wakes it if it sleeps.
    pub(super) fn grant(&self, seen: Seen, state: u32) {
        let entry = entry(self.shared, seen.index);
        compiler_fence(Ordering::SeqCst);
        entry.state.store(state, Ordering::Release);
        entry.state.wake_one();
    }
}

/// The calling thread's entry. It is not `Send`.
#[derive(Debug)]
pub(super) struct Place {
    thread: ThisThread,
    index: usize,
}

impl Place {
    /// Whether this is the process that created the entry, and not a forked copy.
    pub(super) fn is_own(&self) -> bool {
        self.thread.is_current()
    }

    /// The state of the entry. What was written before it was granted is visible.
    pub(super) fn state(&self, shared: &Shared) -> u32 {
        entry(shared, self.index).state.load(Ordering::Acquire)
    }

    /// Sleeps until the entry is no longer in `state`, at most until the deadline and for [`LOOK_AGAIN`].
    pub(super) fn sleep(&self, shared: &Shared, state: u32, deadline: Deadline) {
        let word = &entry(shared, self.index).state;
        for _ in 0..SPINS {
            if word.load(Ordering::Acquire) != state {
                return;
            }
            std::hint::spin_loop();
        }
        let left = deadline.left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
        word.wait(state, left.max(Duration::from_nanos(1)));
    }
}

/// How often a thread checks its entry before it sleeps.
const SPINS: u32 = 200;
