//! Descriptors of this process that its forked children do not keep.
//!
//! A fork copies every descriptor. Copies of those by which a parent holds its children, or a child its parent,
//! would grow with every sibling and every generation, and keep channels open whose end another process waits for. So
//! they are registered here, a forked child closes all that are, and the values that owned them know that.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

static REGISTERED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

fn registered() -> MutexGuard<'static, BTreeSet<RawFd>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The owner of a descriptor that a forked child closes. In that child it owns no descriptor.
#[derive(Debug)]
pub(crate) struct Unforked<T: AsFd>(
    /// Always there until the drop.
    Option<T>,
);

impl<T: AsFd> Unforked<T> {
    pub(crate) fn new(owner: T) -> Self {
        registered().insert(owner.as_fd().as_raw_fd());
        Self(Some(owner))
    }
}

impl<T: AsFd> Deref for Unforked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("kept until the drop")
    }
}

impl<T: AsFd> AsFd for Unforked<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl<T: AsFd> Drop for Unforked<T> {
    fn drop(&mut self) {
        if let Some(owner) = self.0.take()
            && !registered().remove(&owner.as_fd().as_raw_fd())
        {
            // A forked copy: the descriptor was closed at its start, and its number may be in use.
            std::mem::forget(owner);
        }
    }
}

/// Registers a descriptor whose owner lives as long as the process.
pub(crate) fn register(fd: BorrowedFd<'_>) {
    registered().insert(fd.as_raw_fd());
}

/// What a forked child has to close; nothing in it owns any of it from now on.
pub(crate) fn take_registered() -> BTreeSet<RawFd> {
    std::mem::take(&mut registered())
}
