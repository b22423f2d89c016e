//! What all ends of a queue in one process share: the memory, and the bells that wake sleepers.

use super::bell::Bell;
use super::error::{AttachError, CreateError};
use super::layout::Layout;
use super::memory::Memory;
use super::process_id::ProcessId;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

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
}

impl Channel {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        Ok(Self::new(Memory::create(layout)?, [Bell::new()?, Bell::new()?, Bell::new()?]))
    }

    /// A queue whose descriptors came from another process.
    pub(super) fn attach(memory: OwnedFd, bells: [OwnedFd; 3]) -> Result<Self, AttachError> {
        Ok(Self::new(Memory::attach(memory)?, bells.map(Bell::from)))
    }

    fn new(memory: Memory, [items, space, settled]: [Bell; 3]) -> Self {
        Channel { memory, items, space, settled, watched: Mutex::default() }
    }

    /// Messages that wait, those included that were leased and returned.
    pub(super) fn len(&self) -> usize {
        self.memory.queued() as usize + super::leases::returned(&self.memory)
    }
}
