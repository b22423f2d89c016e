//! What all handles of a queue in one process share: the memory, and the events that wake sleepers.

use super::error::{AttachError, CreateError};
use super::layout::Layout;
use super::memory::Memory;
use super::process_id::ProcessId;
use super::wake_event::WakeEvent;
use crate::sys::fd_store::FdStore;
use crate::wire::inherit::Registered;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// Whether a seccomp filter or an old kernel refuses a call, as opposed to a limit that was reached.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) memory: Memory,
    /// Set when a message arrives.
    pub(super) items: WakeEvent,
    /// Set when there is room again.
    pub(super) space: WakeEvent,
    /// Set when nothing is queued and nothing is leased.
    pub(super) settled: WakeEvent,
    /// The holders of leases that this process watches.
    pub(super) watched: Mutex<HashMap<ProcessId, Arc<OwnedFd>>>,
    /// A forked child closes `parcels` unless it was given a handle of the queue. Dropped before `parcels`.
    registered: Option<Registered>,
    /// The handles in messages; `None` if the kernel refuses the socket that stores them.
    pub(super) parcels: Option<FdStore>,
}

impl Channel {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        let parcels = match FdStore::new() {
            Err(error) if is_refusal(&error) => None,
            parcels => Some(parcels?),
        };
        Ok(Self::new(
            Memory::create(layout)?,
            [WakeEvent::new()?, WakeEvent::new()?, WakeEvent::new()?],
            parcels,
        ))
    }

    /// Opens a queue whose descriptors came from another process.
    pub(super) fn attach(
        memory: OwnedFd,
        events: [OwnedFd; 3],
        parcels: Option<OwnedFd>,
    ) -> Result<Self, AttachError> {
        Ok(Self::new(Memory::attach(memory)?, events.map(WakeEvent::from), parcels.map(FdStore::from)))
    }

    fn new(memory: Memory, [items, space, settled]: [WakeEvent; 3], parcels: Option<FdStore>) -> Self {
        let registered = parcels.as_ref().map(|parcels| Registered::new(parcels.as_fd()));
        Channel { memory, items, space, settled, watched: Mutex::default(), registered, parcels }
    }

    /// Records that a handle of this queue was dropped.
    pub(super) fn record_drop(&self) {
        if let Some(registered) = &self.registered {
            registered.record_drop();
        }
    }

    /// The number of waiting messages, including those that were leased and returned.
    pub(super) fn len(&self) -> usize {
        self.memory.queued() as usize + super::leases::returned(&self.memory)
    }
}
