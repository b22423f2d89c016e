//! How a sleeping process is woken: an event (`eventfd(2)`) that stays set until a process that has verified
//! that there is nothing to do resets it.
//!
//! Three rules make it safe against a kill at any instruction. The *condition* is what sleepers wait for, its
//! *lock* is the one under which it becomes true, and the *flag* records that a process may be asleep.
//!
//! 1. A process that makes the condition true holds the lock and **sets the event first**: it sees the flag, sets
//!    the event, clears the flag, and only then performs the single store that makes the condition true. If it is
//!    killed in between, the result is a spurious wake-up.
//! 2. A process that is about to sleep takes the same lock, so that no other process is between setting the event
//!    and storing. It verifies that the condition is false, sets the flag, **then resets** the event, releases the
//!    lock, and sleeps. If it is killed in between, a flag or an event stays set unnecessarily.
//! 3. A process sleeps only while the event is not set (`poll(2)` checks first), and all sleepers wake.
//!
//! So whenever the condition is true and a process sleeps, the event is set: it was set before the condition
//! became true, and no process resets it while the condition holds. Nothing depends on whether the woken process
//! survives.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct WakeEvent(OwnedFd);

impl WakeEvent {
    pub(super) fn new() -> io::Result<Self> {
        Ok(WakeEvent(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?.into()))
    }

    /// Wakes all sleepers, and keeps other processes from going to sleep. The write fails only at the maximum
    /// count, when the event is already set.
    pub(super) fn set(&self) {
        let _ = nix::unistd::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// The read fails only if the event is not set.
    pub(super) fn reset(&self) {
        let _ = nix::unistd::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for WakeEvent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for WakeEvent {
    fn from(fd: OwnedFd) -> Self {
        WakeEvent(fd)
    }
}
