//! How threads of one process sleep while no other process uses the queue: without a descriptor.
//!
//! The bell counts how often it rang. A thread reads the count, *then* finds that there is nothing to do, and sleeps
//! while the count stays the same. So it needs no reset, and one bell serves for everything that is waited for. It rings
//! for all that [`super::wake_event`] is set for, when a side is dropped, and when the queue is shared with another
//! process: then its sleepers go on to wait for descriptors.
//!
//! A thread that wakes others looks for descriptors and rings as one step, and so does the one that shares the queue. So
//! a sleeper that finds descriptors and a count that has not changed knows that nobody has rung instead of using them.

use crate::sys::poll::Deadline;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    fn locked(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it rang.
    pub(super) fn count(&self) -> u64 {
        *self.locked()
    }

    /// Wakes all sleepers.
    pub(super) fn ring(&self) {
        self.ring_after(|| true);
    }

    /// Calls `prepare`, and wakes all sleepers if it returns true, as one step for others that ring.
    pub(super) fn ring_after(&self, prepare: impl FnOnce() -> bool) {
        let mut count = self.locked();
        if prepare() {
            *count += 1;
            self.rung.notify_all();
        }
    }

    /// Sleeps until it rings again, given how often it had rung. Returns false if the deadline passed first.
    pub(super) fn wait(&self, seen: u64, deadline: Deadline) -> bool {
        let mut count = self.locked();
        while *count == seen {
            count = match deadline.left() {
                None => self.rung.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return false,
                Some(left) => self.rung.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }
}
