//! Decides which descriptors a forked child keeps.
//!
//! A fork copies every descriptor, including those that have a meaning for other processes while they are open: an end
//! of a queue counts as alive while any process has it. The child was given only the handles in its arguments, and
//! must close all others. The parent finds out which ones were given without inspecting the arguments: it drops its
//! own copy of them, and each handle records that it was dropped.
//!
//! # Safety
//! Closing the descriptor of another owner is sound only if the owner is never used again.
#![expect(unsafe_code, reason = "closes descriptors that copied handles of the parent own")]

use crate::sys::descriptor::close_copied;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A registered descriptor.
struct Open {
    fd: RawFd,
    /// The inode of the other end, if it is an end of a connection.
    peer: Option<u64>,
}

/// The number of registrations so far, and those that are valid.
type Registrations = (u64, BTreeMap<u64, Open>);

static OPEN: Mutex<Registrations> = Mutex::new((0, BTreeMap::new()));

thread_local! {
    static GIVEN: RefCell<Option<BTreeSet<u64>>> = const { RefCell::new(None) };
}

fn open() -> MutexGuard<'static, Registrations> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a descriptor that a forked child closes unless it was given a handle of it. It must be dropped before the
/// descriptor is closed.
#[derive(Debug)]
pub(crate) struct Registered(u64);

impl Registered {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> Self {
        Self::with_peer(fd, None)
    }

    /// As [`Self::new`], for an end of a connection whose other end has this inode.
    pub(crate) fn with_peer(fd: BorrowedFd<'_>, peer: Option<u64>) -> Self {
        let mut open = open();
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, Open { fd: fd.as_raw_fd(), peer });
        Registered(id)
    }

    /// Records that a handle of the descriptor was dropped.
    pub(crate) fn record_drop(&self) {
        GIVEN.with_borrow_mut(|given| given.as_mut().is_some_and(|given| given.insert(self.0)));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        open().1.remove(&self.0);
    }
}

/// Whether this process has any registered descriptors, such as ends of queues.
pub(crate) fn holds_any() -> bool {
    !open().1.is_empty()
}

/// The inodes of the other ends of connections of which this process has an end.
pub(crate) fn peers() -> BTreeSet<u64> {
    open().1.values().filter_map(|open| open.peer).collect()
}

/// Drops the parent's copy of the values that a child was given, and returns the registered descriptors in them.
pub(crate) fn drop_given<A>(given: A) -> BTreeSet<u64> {
    GIVEN.set(Some(BTreeSet::new()));
    drop(given);
    GIVEN.take().unwrap_or_default()
}

/// Closes all registered descriptors except those that were given.
///
/// # Safety
/// This process is a forked child, and will not use or drop the handles that it was not given.
pub(crate) unsafe fn close_others(given: &BTreeSet<u64>) {
    let mut open = open();
    open.1.retain(|id, Open { fd, .. }| {
        let keep = given.contains(id);
        if !keep {
            // SAFETY: the caller's promise.
            unsafe { close_copied(*fd) };
        }
        keep
    });
}
