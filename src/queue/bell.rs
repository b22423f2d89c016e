//! How a sleeping process is woken: a bell (`eventfd(2)`) that keeps ringing until a process that has made
//! sure that there is nothing to do silences it.
//!
//! Three rules make it safe against a kill at any instruction. The *condition* is what sleepers wait for;
//! its lock is the one under which it becomes true; the *note* records that a process may be asleep.
//!
//! 1. A process that makes the condition true holds its lock and **rings first**: it sees the note, rings, clears
//!    the note, and only then makes the one store that makes the condition true. Killed in between, it has rung in
//!    vain.
//! 2. A process that is about to sleep takes the same lock, so that no other is between ringing and storing, makes
//!    sure that the condition is false, leaves the note, **then silences** the bell, releases the lock, and sleeps.
//!    Killed in between, it leaves a note too many or a bell that rings without need.
//! 3. A sleeper sleeps only while the bell is silent (`poll(2)` checks first), and all sleepers wake.
//!
//! So whenever the condition is true and a process sleeps, the bell rings: it was rung before the condition
//! became true, and no process silences it while the condition holds. Nothing depends on whether the process that
//! was woken survives.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Bell(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?.into()))
    }

    /// Wakes all sleepers, and keeps others from falling asleep. The write fails only at the highest count, at
    /// which the bell is ringing already.
    pub(super) fn ring(&self) {
        let _ = nix::unistd::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// The read fails only where the bell is silent already.
    pub(super) fn silence(&self) {
        let _ = nix::unistd::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Bell {
    fn from(fd: OwnedFd) -> Self {
        Bell(fd)
    }
}
