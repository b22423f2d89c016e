//! What all ends of a queue in one process share: the memory, and the bells that wake sleepers.

use super::bell::Bell;
use super::error::{AttachError, CreateError};
use super::layout::Layout;
use super::memory::Memory;
use super::process_id::ProcessId;
use crate::sys::fd_store::FdStore;
use crate::wire::inherit::Registered;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

/// Whether a filter or an old kernel refuses a call: a limit is another matter.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) memory: Memory,
    /// Rings when a message arrives.
    pub(super) items: Bell,
    /// Rings when there is room again.
    pub(super) space: Bell,
    /// Rings when nothing is queued and nothing is leased.
    pub(super) settled: Bell,
    /// The holders of leases that this process watches.
    pub(super) watched: Mutex<HashMap<ProcessId, Arc<OwnedFd>>>,
    /// A forked child closes the parcels unless it was given a handle of the queue. Dropped before they are.
    registered: Option<Registered>,
    /// The handles in messages; `None` where the system refuses the socket that keeps them.
    pub(super) parcels: Option<FdStore>,
}

impl Channel {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        let parcels = match FdStore::new() {
            Err(error) if is_refusal(&error) => None,
            parcels => Some(parcels?),
        };
        Ok(Self::new(Memory::create(layout)?, [Bell::new()?, Bell::new()?, Bell::new()?], parcels))
    }

    /// A queue whose descriptors came from another process.
    pub(super) fn attach(
        memory: OwnedFd,
        bells: [OwnedFd; 3],
        parcels: Option<OwnedFd>,
    ) -> Result<Self, AttachError> {
        Ok(Self::new(Memory::attach(memory)?, bells.map(Bell::from), parcels.map(FdStore::from)))
    }

    fn new(memory: Memory, [items, space, settled]: [Bell; 3], parcels: Option<FdStore>) -> Self {
        let registered = parcels.as_ref().map(|parcels| Registered::new(parcels.as_fd()));
        Channel { memory, items, space, settled, watched: Mutex::default(), registered, parcels }
    }

    /// Records that a handle of this queue is dropped.
    pub(super) fn note_dropped(&self) {
        if let Some(registered) = &self.registered {
            registered.note_dropped();
        }
    }

    /// Messages that wait, those included that were leased and returned.
    pub(super) fn len(&self) -> usize {
        self.memory.queued() as usize + super::leases::returned(&self.memory)
    }
}
