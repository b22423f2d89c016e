//! One handle's place among those who receive.

use super::channel::Side;
use super::error::Unreadable;
use super::members;
use super::receiving::Receiving;
use super::taking::Fault;
use super::wait::Patience;
use crate::sync::robust_mutex::LockError;
use crate::sys::robust::lineage;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Taken at the first message, kept until the handle and all its leases are dropped. In a copy that a
/// fork made it is the parent's: there the handle takes a place of its own.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) side: Arc<Side>,
    lineage: AtomicU64,
    index: AtomicUsize,
    /// The lineage in which all who sleep were told that this process may hold leases.
    leasing: AtomicU64,
}

impl Membership {
    pub(super) fn new(side: Arc<Side>) -> Self {
        let (lineage, index, leasing) = Default::default();
        Membership { side, lineage, index, leasing }
    }

    /// The member that this is, if it is one in this process.
    #[inline]
    pub(super) fn known(&self) -> io::Result<Option<usize>> {
        let is_own = self.lineage.load(Ordering::Acquire) == lineage()?;
        Ok(is_own.then(|| self.index.load(Ordering::Relaxed)))
    }

    /// The same; becomes one if it is none.
    #[inline]
    pub(super) fn index(&self, receiving: &Receiving<'_>) -> Result<usize, Unreadable> {
        if let Some(index) = self.known()? {
            return Ok(index);
        }
        let index = members::join(receiving)?;
        self.index.store(index, Ordering::Relaxed);
        self.lineage.store(lineage()?, Ordering::Release);
        Ok(index)
    }

    /// Has all who sleep watch this process, before it holds its first lease: they must wake when it dies.
    pub(super) fn announce_leasing(&self, patience: Patience) -> Result<(), Fault> {
        if self.leasing.load(Ordering::Relaxed) == lineage()? {
            return Ok(());
        }
        let give_up = |error| match error {
            LockError::TimedOut => Fault::Nothing,
            LockError::Unwatched(error) => error.into(),
        };
        {
            let receiving = self.side.channel.receiving(patience.for_lock()).map_err(give_up)?;
            members::note_leasing(&receiving, self.index(&receiving)?);
        }
        self.side.sending(patience.for_lock()).map_err(give_up)?.wake_receivers();
        self.leasing.store(lineage()?, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Ok(Some(index)) = self.known() {
            members::leave(&self.side.channel, index);
        }
    }
}
