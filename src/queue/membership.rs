//! One handle's entry in the table of receiving handles.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::leases;
use super::members;
use super::receiving::Receiving;
use super::side::Side;
use super::wait::WaitLimit;
use crate::sys::poll::Deadline;
use crate::sys::robust::lineage;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The entry is taken when the first message is received, and kept until the handle and all its leases are
/// dropped. In a forked child it still belongs to the parent, and the child's copy of the handle takes an entry of
/// its own.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) side: Arc<Side>,
    lineage: AtomicU64,
    index: AtomicUsize,
    /// The lineage in which it was announced that this process may hold leases.
    leasing: AtomicU64,
}

impl Membership {
    pub(super) fn new(side: Arc<Side>) -> Self {
        let (lineage, index, leasing) = Default::default();
        Membership { side, lineage, index, leasing }
    }

    /// The member index of this handle in this process, if it has joined.
    #[inline]
    pub(super) fn known(&self) -> io::Result<Option<usize>> {
        // Acquire pairs with the release store in `index`, by another thread.
        let is_own = self.lineage.load(Ordering::Acquire) == lineage()?;
        Ok(is_own.then(|| self.index.load(Ordering::Relaxed)))
    }

    /// The member index of this handle; joins if it has not yet.
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

    /// Makes every sleeper watch this process before it holds its first lease, because they must wake when it
    /// dies.
    ///
    /// `LEASING` is set under the receive lock, and then the event is set under the send lock. A receiver that goes
    /// to sleep sets its flag under the send lock, and then reads `LEASING`. So either it sees `LEASING`, or its
    /// flag was visible here.
    pub(super) fn announce_leasing(&self, wait: WaitLimit) -> Result<(), RecvFault> {
        // Acquire, so that a thread which relies on another's announcement comes after it.
        if self.leasing.load(Ordering::Acquire) == lineage()? {
            return Ok(());
        }
        {
            let receiving = Receiving::lock(&self.side.end, wait.for_lock())?;
            members::record_leasing(receiving.memory, self.index(&receiving)?);
        }
        self.side.sending(wait.for_lock())?.wake_receivers();
        self.leasing.store(lineage()?, Ordering::Release);
        Ok(())
    }

    /// Wakes receivers after a message was returned. If this process is killed before this call, they wake all
    /// the same, because they watch it.
    pub(super) fn wake_receivers(&self) {
        if let Ok(sending) = self.side.sending(Deadline::NEVER) {
            sending.wake_receivers();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Ok(Some(index)) = self.known() {
            members::leave(&self.side.end.channel.memory, index);
        }
    }
}
