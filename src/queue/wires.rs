//! The descriptors of a queue that several processes use, beside its memory and its line.

use super::wake_event::WakeEvent;
use crate::sys::fd_store::FdStore;
use crate::wire::inherit::Registered;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What a process that sleeps waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A message arrives.
    Items,
    /// There is room again.
    Space,
    /// Nothing is queued and nothing is leased.
    Settled,
}

#[derive(Debug)]
pub(super) struct Wires {
    /// One for each [`Event`].
    events: [WakeEvent; 3],
    /// A forked child closes `parcels` unless it was given a handle of the queue. Dropped before `parcels`.
    registered: Option<Registered>,
    /// The handles in messages; `None` if the kernel refuses the socket that stores them.
    parcels: Option<FdStore>,
}

impl Wires {
    /// Opens them for a queue that has none.
    pub(super) fn new() -> io::Result<Self> {
        let parcels = match FdStore::new() {
            Err(error) if is_refusal(&error) => None,
            parcels => Some(parcels?),
        };
        Ok(Self::of([WakeEvent::new()?, WakeEvent::new()?, WakeEvent::new()?], parcels))
    }

    /// Those that came from another process.
    pub(super) fn attach(events: [OwnedFd; 3], parcels: Option<OwnedFd>) -> Self {
        Self::of(events.map(WakeEvent::from), parcels.map(FdStore::from))
    }

    fn of(events: [WakeEvent; 3], parcels: Option<FdStore>) -> Self {
        let registered = parcels.as_ref().map(|parcels| Registered::new(parcels.as_fd()));
        Wires { events, registered, parcels }
    }

    pub(super) fn event(&self, event: Event) -> &WakeEvent {
        &self.events[event as usize]
    }

    pub(super) fn parcels(&self) -> Option<&FdStore> {
        self.parcels.as_ref()
    }

    pub(super) fn record_drop(&self) {
        if let Some(registered) = &self.registered {
            registered.record_drop();
        }
    }
}

/// Whether a seccomp filter or an old kernel refuses a call, as opposed to a limit that was reached.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}
