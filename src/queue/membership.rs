//! One handle's place in the table of receiving handles.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::leases;
use super::members;
use super::receiving::Receiving;
use super::side::Side;
use super::wait::Patience;
use crate::sys::poll::Deadline;
use crate::sys::robust::lineage;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Taken at the first message, kept until the handle and all its leases are dropped. In a copy that a fork
/// made it is the parent's: there the handle takes a place of its own.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) side: Arc<Side>,
    lineage: AtomicU64,
    index: AtomicUsize,
    /// The lineage in which every sleeper was told that this process may hold leases.
    leasing: AtomicU64,
}

impl Membership {
    pub(super) fn new(side: Arc<Side>) -> Self {
        let (lineage, index, leasing) = Default::default();
        Membership { side, lineage, index, leasing }
    }

    /// The member that this handle is in this process, if it is one.
    #[inline]
    pub(super) fn known(&self) -> io::Result<Option<usize>> {
        // Acquire pairs with the release store in `index`, by another thread.
        let is_own = self.lineage.load(Ordering::Acquire) == lineage()?;
        Ok(is_own.then(|| self.index.load(Ordering::Relaxed)))
    }

    /// The same; the handle becomes a member if it is not one yet.
    #[inline]
    pub(super) fn index(&self, receiving: &Receiving<'_>) -> Result<usize, Unreadable> {
        if let Some(index) = self.known()? {
            return Ok(index);
        }
        let memory = receiving.memory;
        let index = members::join(memory, |member| leases::any_held_by(memory, member))?;
        self.index.store(index, Ordering::Relaxed);
        self.lineage.store(lineage()?, Ordering::Release);
        Ok(index)
    }

    /// Has every sleeper watch this process before it holds its first lease: they must wake when it dies.
    ///
    /// `LEASING` is set under the receive lock, and the bell is rung under the send lock. A receiver that goes
    /// to sleep leaves its note under the send lock, and then looks for `LEASING`: either it sees it, or its
    /// note was there to be seen.
    pub(super) fn announce_leasing(&self, patience: Patience) -> Result<(), RecvFault> {
        // Acquire, so that a thread which relies on another's announcement comes after it.
        if self.leasing.load(Ordering::Acquire) == lineage()? {
            return Ok(());
        }
        {
            let receiving = Receiving::lock(&self.side.channel, patience.for_lock())?;
            members::note_leasing(receiving.memory, self.index(&receiving)?);
        }
        self.side.sending(patience.for_lock())?.wake_receivers();
        self.leasing.store(lineage()?, Ordering::Release);
        Ok(())
    }

    /// Wakes receivers after a message has come back. Should this process be killed before it gets here, they
    /// wake all the same, for they watch it.
    pub(super) fn wake_receivers(&self) {
        if let Ok(sending) = self.side.sending(Deadline::NEVER) {
            sending.wake_receivers();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Ok(Some(index)) = self.known() {
            members::leave(&self.side.channel.memory, index);
        }
    }
}
