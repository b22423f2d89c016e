//! The children of one supervisor, and a descriptor that is readable once one of them has ended.

use super::handle::Handle;
use super::unforked::Unforked;
use crate::sys::epoll::ReadySet;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The children of one supervisor.
#[derive(Debug)]
pub(crate) struct Family {
    ends: Unforked<ReadySet>,
    /// In the order of their start. The key, unlike a PID, is never used twice.
    members: Mutex<BTreeMap<u64, Handle>>,
    interrupt: Option<OwnedFd>,
}

impl Family {
    /// Creates a family without children, whose waits end once `interrupt` is readable.
    pub(crate) fn new(interrupt: Option<OwnedFd>) -> io::Result<Family> {
        let ends = Unforked::new(ReadySet::new()?);
        Ok(Family { ends, members: Mutex::default(), interrupt })
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, Handle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a new child, and forgets those that were reaped.
    pub(crate) fn add(&self, child: &Handle) -> io::Result<()> {
        let mut members = self.members();
        let key = members.last_key_value().map_or(0, |(last, _)| last + 1);
        // A child that is already reaped would stay ready forever, and nothing would remove it.
        child.if_running(|| self.ends.add(child.as_fd(), key))?;
        members.retain(|_, child| !child.is_reaped());
        members.insert(key, child.clone());
        Ok(())
    }

    /// Reaps those that have ended.
    pub(crate) fn reap(&self) -> io::Result<()> {
        loop {
            let ready = self.ends.ready()?;
            let ended: Vec<Handle> = {
                let members = self.members();
                ready.iter().filter_map(|key| members.get(key).cloned()).collect()
            };
            let mut n_settled = 0;
            for child in ended {
                n_settled += usize::from(child.settle().map_err(io::Error::other)?.is_some());
            }
            // A child that has ended but cannot be reaped yet is still traced.
            if n_settled == 0 {
                return Ok(());
            }
        }
    }

    /// Removes a child that has ended from the set of awaited children.
    pub(crate) fn let_go(&self, child: &Handle) {
        self.ends.remove(child.as_fd());
    }

    /// The children that are not reaped, oldest first.
    pub(crate) fn unreaped(&self) -> Vec<Handle> {
        self.members().values().filter(|child| !child.is_reaped()).cloned().collect()
    }

    /// The children that were started since the last [`add`](Family::add) or are not reaped; oldest first.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.members().values().cloned().collect()
    }

    /// Readable when a child has ended.
    pub(crate) fn ends(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }

    /// Readable when waits must be interrupted.
    pub(crate) fn interrupt(&self) -> Option<BorrowedFd<'_>> {
        self.interrupt.as_ref().map(AsFd::as_fd)
    }
}
