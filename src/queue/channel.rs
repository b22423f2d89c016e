//! What all handles of a queue in one process share: the memory, and the events that wake sleepers.

use super::bell::Bell;
use super::error::{AttachError, CreateError};
use super::layout::Layout;
use super::memory::Memory;
use super::process_id::ProcessId;
use super::wires::{Event, Wires};
use crate::sys::fd_store::FdStore;
use crate::wire::unshared::Entry;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) memory: Memory,
    /// Where threads sleep while there are no wires.
    pub(super) bell: Bell,
    /// What other processes need. Set in one step with a ring of the bell.
    pub(super) wires: OnceLock<Wires>,
    /// How the sides are found before a fork, while there are no wires.
    entries: Mutex<Option<[Entry; 2]>>,
    /// The holders of leases that this process watches.
    pub(super) watched: Mutex<HashMap<ProcessId, Arc<OwnedFd>>>,
}

impl Channel {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        Ok(Self::new(Memory::create(layout)?, OnceLock::new()))
    }

    /// Opens a queue whose descriptors came from another process.
    pub(super) fn attach(memory: OwnedFd, wires: Wires) -> Result<Self, AttachError> {
        Ok(Self::new(Memory::attach(memory)?, OnceLock::from(wires)))
    }

    fn new(memory: Memory, wires: OnceLock<Wires>) -> Self {
        Channel { memory, bell: Bell::default(), wires, entries: Mutex::default(), watched: Mutex::default() }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Option<[Entry; 2]>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all sleepers, and keeps other processes from going to sleep. Requires the lock of the event.
    pub(super) fn set(&self, event: Event) {
        if self.wires.get().is_none() {
            self.bell.ring_after(|| self.wires.get().is_none());
        }
        if let Some(wires) = self.wires.get() {
            wires.event(event).set();
        }
    }

    /// Lets processes go to sleep. Requires the lock of the event.
    pub(super) fn reset(&self, event: Event) {
        // A bell is not reset: see there.
        if let Some(wires) = self.wires.get() {
            wires.event(event).reset();
        }
    }

    /// The handles in messages; `None` if the queue cannot store any.
    pub(super) fn parcels(&self) -> Option<&FdStore> {
        self.wires.get()?.parcels()
    }

    /// Records that a handle of this queue was dropped.
    pub(super) fn record_drop(&self) {
        if let Some(wires) = self.wires.get() {
            wires.record_drop();
        }
    }

    /// The number of waiting messages, including those that were leased and returned.
    pub(super) fn len(&self) -> usize {
        self.memory.queued() as usize + super::leases::returned(&self.memory)
    }
}
