//! A child as one of several things that are waited for.

use super::child::Child;
use super::error::JoinError;
use super::handle::Handle;
use crate::sys::poll::{Deadline, readable};
use crate::wait::{WaitAnyError, Waitable, Wakers};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

impl Waitable for Handle {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        if self.known_exit()?.is_some() {
            return Ok(true);
        }
        // A report is taken before its end is looked at: a large one keeps it alive until then.
        if let Some(socket) = self.inbox().socket() {
            wakers.act(socket, || {
                self.inbox().take_one();
                Ok(())
            });
        }
        wakers.act(self.as_fd().as_raw_fd(), || {
            if self.settle()?.is_none() {
                // It has ended, but its tracer (`ptrace(2)`) is told first, and nothing announces when it was.
                readable(&[], Deadline::after(Duration::from_millis(1)))?;
            }
            Ok(())
        });
        if let Some(family) = self.family() {
            if let Some(interrupt) = family.interrupt() {
                wakers.interrupt(interrupt.as_raw_fd());
            }
            let siblings = Arc::clone(&family);
            wakers.act_once(family.ends().as_raw_fd(), move || Ok(siblings.reap()?));
        }
        Ok(false)
    }
}

impl<T> Waitable for Child<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        self.handle().enroll(wakers)
    }
}

impl From<JoinError> for WaitAnyError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NotOurChild { pid } => WaitAnyError::NotOurChild { pid },
            JoinError::Interrupted => WaitAnyError::Interrupted,
            JoinError::Os(error) => WaitAnyError::Os(error),
        }
    }
}

impl From<WaitAnyError> for JoinError {
    fn from(error: WaitAnyError) -> Self {
        match error {
            WaitAnyError::NotOurChild { pid } => JoinError::NotOurChild { pid },
            WaitAnyError::Interrupted => JoinError::Interrupted,
            WaitAnyError::Os(error) => JoinError::Os(error),
        }
    }
}
