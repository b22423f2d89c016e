//! What the receivers of a shared queue have in common, beside the line.

use crate::sys::eventfd;
use crate::sys::fd_store::FdStore;
use crate::wire::inherit::Registered;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A receiver cannot reach another one through the line, whose other end the senders have. Two descriptors serve for
/// that.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Wakes receivers when one of them returns a message.
    pub(super) returned: eventfd::Event,
    /// A forked child closes `kept` unless it was given a receiver. Dropped before `kept`.
    registered: Option<Registered>,
    /// The handles in leased messages; `None` if the kernel refuses the socket that stores them.
    pub(super) kept: Option<FdStore>,
}

impl Inbox {
    /// That of a queue which has none.
    pub(super) fn new() -> io::Result<Self> {
        let kept = match FdStore::new() {
            Err(error) if is_refusal(&error) => None,
            kept => Some(kept?),
        };
        Ok(Self::of(eventfd::Event::new()?, kept))
    }

    /// The one that came from another process.
    pub(super) fn attach(returned: OwnedFd, kept: Option<OwnedFd>) -> Self {
        Self::of(returned.into(), kept.map(FdStore::from))
    }

    fn of(returned: eventfd::Event, kept: Option<FdStore>) -> Self {
        let registered = kept.as_ref().map(|kept| Registered::new(kept.as_fd()));
        Inbox { returned, registered, kept }
    }

    /// Records that a receiver was dropped.
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
