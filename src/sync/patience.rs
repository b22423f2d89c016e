//! How long a wait lasts: until a deadline, or until an interrupt.

use super::error::WaitError;
use super::robust_mutex::LockError;
use crate::sys::poll::{self, Deadline};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A thread that sleeps looks this often whether a process has died, and whether it was interrupted.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A descriptor that ends every wait through one handle once it is readable.
#[derive(Debug, Default)]
pub(super) struct Interrupt(Option<OwnedFd>);

impl Interrupt {
    pub(super) fn new(fd: &impl AsFd) -> io::Result<Self> {
        Ok(Interrupt(Some(fd.as_fd().try_clone_to_owned()?)))
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Interrupt(self.0.as_ref().map(OwnedFd::try_clone).transpose()?))
    }

    /// How long one sleep may last before [`Self::check`].
    #[inline]
    pub(super) fn slice(&self, deadline: Deadline) -> Deadline {
        match (&self.0, deadline.left()) {
            (None, _) => deadline,
            (Some(_), left) => Deadline::after(left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)),
        }
    }

    /// # Errors
    /// [`WaitError::Interrupted`], [`WaitError::TimedOut`].
    pub(super) fn check(&self, deadline: Deadline) -> Result<(), WaitError> {
        if let Some(fd) = &self.0
            && poll::readable(&[fd.as_fd()], Deadline::now())?[0]
        {
            return Err(WaitError::Interrupted);
        }
        if deadline.is_over() { Err(WaitError::TimedOut) } else { Ok(()) }
    }
}

/// Repeats an attempt to take a lock, in slices, until it succeeds.
#[inline]
pub(super) fn until<R>(
    interrupt: &Interrupt,
    deadline: Deadline,
    mut attempt: impl FnMut(Deadline) -> Result<R, LockError>,
) -> Result<R, WaitError> {
    loop {
        match attempt(interrupt.slice(deadline)) {
            Ok(taken) => return Ok(taken),
            Err(LockError::TimedOut) => interrupt.check(deadline)?,
            Err(LockError::Unwatched(error)) => return Err(error.into()),
        }
    }
}
