//! Waiting for the ends together with other objects.
//!
//! The steps are those of a receiver or sender that goes to sleep: see [`super::wake_event`].

use super::fault::RecvFault;
use super::last_sleep;
use super::leases;
use super::members;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::sender::Sender;
use super::side::Side;
use super::wait::{POLL_INTERVAL, WaitLimit, watch_holders};
use super::wires::{Event, Wires};
use crate::sync::robust_mutex::LockError;
use crate::wait::{WaitAnyError, Waitable, Wakers};
use std::os::fd::{AsFd, BorrowedFd};

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

/// The wires and the line of a side, opened now if they are not; if that fails, the source is asked again later.
fn wires_of<'a>(side: &'a Side, wakers: &mut Wakers<'_>) -> Option<(&'a Wires, BorrowedFd<'a>)> {
    let _ = side.share();
    let opened = side.channel.wires.get().zip(side.line());
    if opened.is_none() {
        wakers.look_again();
    }
    opened
}

impl<T> Waitable for Receiver<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let channel = &*self.side.channel;
        let memory = &channel.memory;
        let member = self.member.known()?;
        if member.is_some() || !leases::is_empty(memory) {
            match Receiving::lock(channel, WaitLimit::Try.for_lock()) {
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
        let Some((wires, line)) = wires_of(&self.side, wakers) else { return Ok(false) };
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
        wakers.wake(wires.event(Event::Items).as_fd());
        if !hung_up {
            wakers.wake(line);
        }
        Ok(false)
    }
}

impl<T> Waitable for Sender<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let channel = &*self.side.channel;
        if !channel.memory.is_full() || self.side.is_hung_up() {
            return Ok(true);
        }
        let Some((wires, line)) = wires_of(&self.side, wakers) else { return Ok(false) };
        match Receiving::lock(channel, WaitLimit::Try.for_lock()) {
            Ok(receiving) if !receiving.prepare_sleep_until_room() => return Ok(true),
            Ok(_) => {}
            Err(error) => return lock_failed(error, wakers),
        }
        wakers.wake(wires.event(Event::Space).as_fd());
        wakers.wake(line);
        Ok(false)
    }
}
