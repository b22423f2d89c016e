//! What all handles of a queue in one process share, of either side.

use super::bell::Bell;
use super::error::{AttachError, CreateError};
use super::layout::Layout;
use super::memory::Memory;
use super::process_id::ProcessId;
use crate::wire::unshared::Entry;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) memory: Memory,
    /// Where threads sleep while the queue is not shared.
    pub(super) bell: Bell,
    /// Whether the queue is shared with other processes. Set in one step with a ring of the bell.
    pub(super) shared: OnceLock<()>,
    /// How the sides are found before a fork, while the queue is not shared.
    entries: Mutex<Option<[Entry; 2]>>,
    /// The holders of leases that this process watches.
    pub(super) watched: Mutex<HashMap<ProcessId, Arc<OwnedFd>>>,
}

impl Channel {
    pub(super) fn create(layout: Layout) -> Result<Self, CreateError> {
        Ok(Self::new(Memory::create(layout)?, OnceLock::new()))
    }

    /// Opens a queue whose memory came from another process.
    pub(super) fn attach(memory: OwnedFd) -> Result<Self, AttachError> {
        Ok(Self::new(Memory::attach(memory)?, OnceLock::from(())))
    }

    fn new(memory: Memory, shared: OnceLock<()>) -> Self {
        Channel {
            memory,
            bell: Bell::default(),
            shared,
            entries: Mutex::default(),
            watched: Mutex::default(),
        }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Option<[Entry; 2]>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.get().is_some()
    }

    /// The number of waiting messages, including those that were leased and returned.
    pub(super) fn len(&self) -> usize {
        self.memory.queued() as usize + super::leases::returned(&self.memory)
    }
}
