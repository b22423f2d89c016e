//! Which descriptors a forked child keeps.
//!
//! A fork copies every descriptor, also those whose being open means something to others: an end of a
//! queue counts as alive while any process has it. The child was given only what is in its arguments; it
//! must close the rest. Which that is the parent finds out without looking into the arguments: it drops
//! its own copy of them, and the handles say so as they go.
//!
//! # Safety
//! Closing a descriptor under its owner is sound only where the owner is never used again.
#![expect(unsafe_code, reason = "closes what copied handles of the parent own")]

use crate::sys::descriptor::close_copied;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

static OPEN: Mutex<(u64, BTreeMap<u64, RawFd>)> = Mutex::new((0, BTreeMap::new()));

thread_local! {
    static GIVEN: RefCell<Option<BTreeSet<u64>>> = const { RefCell::new(None) };
}

fn open() -> MutexGuard<'static, (u64, BTreeMap<u64, RawFd>)> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A descriptor that a child closes unless it was given it. Dropped before the descriptor is closed.
#[derive(Debug)]
pub(crate) struct Registered(u64);

impl Registered {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Self {
        let mut open = open();
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, fd.as_raw_fd());
        Registered(id)
    }

    /// A handle to it is dropped.
    pub(crate) fn record_drop(&self) {
        GIVEN.with_borrow_mut(|given| given.as_mut().is_some_and(|given| given.insert(self.0)));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        open().1.remove(&self.0);
    }
}

/// Whether this process has any such descriptor: ends of queues.
pub(crate) fn holds_any() -> bool {
    !open().1.is_empty()
}

/// Drops the parent's copy of what a child was given, and says which descriptors were among it.
pub(crate) fn drop_given<A>(given: A) -> BTreeSet<u64> {
    GIVEN.set(Some(BTreeSet::new()));
    drop(given);
    GIVEN.take().unwrap_or_default()
}

/// Closes all registered descriptors but those that were given.
///
/// # Safety
/// This process is a copy, and nothing in it will use or drop the handles that were not given.
pub(crate) unsafe fn close_others(given: &BTreeSet<u64>) {
    let mut open = open();
    open.1.retain(|id, fd| {
        let keep = given.contains(id);
        if !keep {
            // SAFETY: the caller's promise.
            unsafe { close_copied(*fd) };
        }
        keep
    });
}
