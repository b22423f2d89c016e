//! How a sleeping process is woken: a bell (`eventfd(2)`) that goes on ringing until somebody who has
//! made sure that there is nothing to do silences it.
//!
//! Three rules make it safe against death at any instruction. The *condition* is what sleepers wait for;
//! its lock is the one under which it becomes true; the *note* says that somebody may be asleep.
//!
//! 1. Who makes the condition true does it under its lock, and **rings before**: note seen, ring, clear
//!    the note, and only then the one store that makes it true. Killed in between, it has rung in vain.
//! 2. Who wants to sleep takes the same lock, so that nobody is between ringing and storing, makes sure
//!    that the condition is false, leaves the note, **then silences** the bell, lets go, and sleeps.
//!    Killed in between, it leaves a note too many or a bell that rings for nothing.
//! 3. A sleeper sleeps only while the bell is silent (`poll(2)` looks first), and all that sleep wake.
//!
//! So whenever the condition is true and somebody sleeps, the bell rings: it was rung before the condition
//! came true, and nobody silences it while that holds. Nothing depends on the life of who was woken.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Bell(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?.into()))
    }

    /// Wakes all who sleep, and lets nobody sleep. At its highest count the bell is ringing already,
    /// which is the only way in which the write can fail.
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
