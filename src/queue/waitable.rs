//! Waiting for the ends together with other objects.
//!
//! The steps are those of a receiver or sender that goes to sleep: see [`super::wake_event`].

use super::fault::RecvFault;
use super::last_sleep;
use super::leases;
use super::line::Line;
use super::members;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::sender::Sender;
use super::side::Side;
use super::wait::{POLL_INTERVAL, WaitLimit, watch_holders};
use crate::sync::robust_mutex::LockError;
use crate::wait::{WaitAnyError, Waitable, Wakers};
use std::os::fd::AsFd;

/// Retries later if the lock's holder is stopped.
fn lock_failed(error: LockError, wakers: &mut Wakers<'_>) -> Result<bool, WaitAnyError> {
    match error {
        LockError::TimedOut => {
            wakers.look_again();
            Ok(false)
        }
        LockError::Unwatched(error) => Err(error.into()),
    }
}

/// The line of a side, opened now if it is not; if that fails, the source is asked again later.
fn line_of<'a>(side: &'a Side, wakers: &mut Wakers<'_>) -> Option<&'a Line> {
    let _ = side.share();
    let line = side.end.line();
    if line.is_none() {
        wakers.look_again();
    }
    line
}

impl<T> Waitable for Receiver<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let channel = &*self.side.end.channel;
        let memory = &channel.memory;
        let member = self.member.known()?;
        if member.is_some() || !leases::is_empty(memory) {
            match Receiving::lock(&self.side.end, WaitLimit::Try.for_lock()) {
                Ok(receiving) => {
                    // The handle receives again, so its program has handled what it took last.
                    member.into_iter().for_each(|index| members::clear_taken(memory, index));
                    receiving.sweep();
                }
                Err(error) => return lock_failed(error, wakers),
            }
        }
        if channel.len() > 0 {
            return Ok(true);
        }
        // Checked before anything else is read: everything that the last sender did happened before it hung up.
        let hung_up = self.side.is_hung_up();
        if hung_up {
            match self.is_finished(WaitLimit::Try) {
                Ok(false) => {}
                // The next receive reports an error.
                Ok(true) | Err(RecvFault::Disconnected | RecvFault::Unreadable(_)) => return Ok(true),
                Err(RecvFault::Nothing) => {
                    wakers.look_again();
                    return Ok(false);
                }
            }
        }
        let Some(line) = line_of(&self.side, wakers) else { return Ok(false) };
        match self.side.sending(WaitLimit::Try.for_lock()) {
            Ok(sending) if !sending.prepare_sleep() => return Ok(true),
            Ok(_) => {}
            Err(error) => return lock_failed(error, wakers),
        }
        // As in `Receiver::wait_for_items`.
        last_sleep::flag_is_set();
        if hung_up && !self.may_arrive() {
            return Ok(true);
        }
        match watch_holders(channel) {
            // One of them has ended: the next attempt returns what it held.
            None => wakers.look_again(),
            Some((holders, all_watched)) => {
                holders.into_iter().for_each(|pidfd| wakers.wake_held(pidfd));
                if !all_watched {
                    wakers.look_again_after(POLL_INTERVAL);
                }
            }
        }
        if let Some(inbox) = self.side.end.inbox() {
            wakers.wake(inbox.returned.as_fd());
        }
        if !hung_up {
            wakers.wake(line.as_fd());
        }
        Ok(false)
    }
}

impl<T> Waitable for Sender<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let channel = &*self.side.end.channel;
        if !channel.memory.is_full() || self.side.is_hung_up() {
            return Ok(true);
        }
        let Some(line) = line_of(&self.side, wakers) else { return Ok(false) };
        match Receiving::lock(&self.side.end, WaitLimit::Try.for_lock()) {
            Ok(receiving) if !receiving.prepare_sleep_until_room() => return Ok(true),
            Ok(_) => {}
            Err(error) => return lock_failed(error, wakers),
        }
        wakers.wake(line.as_fd());
        Ok(false)
    }
}
