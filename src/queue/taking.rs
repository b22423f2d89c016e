//! How a receiver comes by a message: it waits until there may be one, and takes it under the lock.

use super::error::Unreadable;
use super::layout::{LAST_SWEEP, LEASES_END, TAIL};
use super::leases::{self, Leased};
use super::members;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::wait::{A_RECEIVER, Awake, Patience, sleep_for_items};
use crate::sync::robust_mutex::LockError;
use crate::sys::clock::monotonic_ns;

/// While the queue is not empty and something is leased, whether its holder has died is asked at most
/// this often, in nanoseconds.
const SWEEP_EVERY: u64 = 1_000_000;

/// Why nothing was received.
pub(super) enum Fault {
    Nothing,
    Disconnected,
    Unreadable(Unreadable),
}

impl<E: Into<Unreadable>> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Unreadable(error.into())
    }
}

impl<T> Receiver<T> {
    /// Waits until `attempt`, made under the receive lock, yields something.
    #[inline]
    pub(super) fn wait_for<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(&mut Receiving<'_>) -> Result<Option<R>, Unreadable>,
    ) -> Result<R, Fault> {
        let channel = &*self.side.channel;
        if let Some(index) = self.member.known()? {
            members::note_done(channel, index);
        }
        loop {
            match channel.receiving(patience.for_lock()) {
                Ok(mut receiving) => {
                    if let Some(found) = attempt(&mut receiving)? {
                        return Ok(found);
                    }
                }
                Err(LockError::TimedOut) => return Err(Fault::Nothing),
                Err(LockError::Unwatched(error)) => return Err(error.into()),
            }
            self.wait_for_items(patience)?;
        }
    }

    /// Nothing was there a moment ago: waits until something may be.
    #[cold]
    fn wait_for_items(&self, patience: Patience) -> Result<(), Fault> {
        let channel = &*self.side.channel;
        let tail = channel.load(TAIL);
        if let Patience::Until(_) = patience
            && (channel.len() > 0 || A_RECEIVER.spin_until(channel, || channel.load(TAIL) != tail))
        {
            return Ok(());
        }
        if channel.load(LEASES_END) != 0 && self.sweep(patience)? {
            return Ok(());
        }
        // Asked first: whatever the last sender did, it did before it was gone.
        let hung_up = self.side.is_hung_up();
        let Patience::Until(deadline) = patience else {
            return Err(match hung_up {
                true if channel.len() == 0 && !self.may_come_back() => self.disconnected(patience),
                _ => Fault::Nothing,
            });
        };
        if hung_up && !self.may_come_back() {
            return match self.disconnected(patience) {
                Fault::Nothing if !deadline.is_over() => Ok(()),
                fault => Err(fault),
            };
        }
        match self.side.sending(deadline) {
            Ok(sending) if !sending.prepare_sleep() => return Ok(()),
            Ok(_) => {}
            Err(LockError::TimedOut) => return Err(Fault::Nothing),
            Err(LockError::Unwatched(error)) => return Err(error.into()),
        }
        match sleep_for_items(&self.side, hung_up, deadline)? {
            Awake::TimedOut => Err(Fault::Nothing),
            Awake::Look | Awake::HungUp => Ok(()),
        }
    }

    /// The senders have hung up: whether there is really nothing left. A closed queue may have a sender
    /// that is still under way, hence the lock.
    fn disconnected(&self, patience: Patience) -> Fault {
        match self.side.sending(patience.for_lock()) {
            Ok(sending) => {
                sending.note_closed();
                if sending.has_something() { Fault::Nothing } else { Fault::Disconnected }
            }
            Err(LockError::TimedOut) => Fault::Nothing,
            Err(LockError::Unwatched(error)) => error.into(),
        }
    }

    /// Whether another process holds a lease that may come back.
    fn may_come_back(&self) -> bool {
        leases::any_held_elsewhere(&self.side.channel, std::process::id())
    }

    /// Gives back what dead processes held. True if something came back.
    fn sweep(&self, patience: Patience) -> Result<bool, Fault> {
        match self.side.channel.receiving(patience.for_lock()) {
            Ok(receiving) => Ok(leases::sweep(&receiving)),
            Err(LockError::TimedOut) => Err(Fault::Nothing),
            Err(LockError::Unwatched(error)) => Err(error.into()),
        }
    }

    /// The returned lease that comes before all that is queued.
    #[inline]
    fn returned(receiving: &Receiving<'_>) -> Option<usize> {
        let channel = receiving.channel;
        if channel.load(LEASES_END) == 0 {
            return None;
        }
        let now = monotonic_ns();
        if now.saturating_sub(channel.load(LAST_SWEEP)) >= SWEEP_EVERY {
            channel.store(LAST_SWEEP, now);
            leases::sweep(receiving);
        }
        leases::first_returned(receiving)
    }

    /// Takes the first message and appends its bytes to `buffer`.
    #[inline]
    pub(super) fn take_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u64>, Unreadable> {
        if let Some(index) = Self::returned(receiving) {
            let member = self.member.index(receiving)?;
            let number = leases::read(receiving, index, buffer)?;
            members::note_taking(receiving, member, number, 1);
            leases::finish(receiving, index);
            return Ok(Some(number));
        }
        if receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let number = receiving.head;
        receiving.read(number, buffer)?;
        members::note_taking(receiving, member, number, 1);
        receiving.take(1);
        Ok(Some(number))
    }

    pub(super) fn lease_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Leased>, Unreadable> {
        let returned = Self::returned(receiving);
        if returned.is_none() && receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let leased = match returned {
            Some(index) => {
                leases::read(receiving, index, buffer)?;
                leases::lease_again(receiving, member, index)
            }
            None => {
                receiving.read(receiving.head, buffer)?;
                leases::lease(receiving, member, buffer)?
            }
        };
        Ok(Some(leased))
    }

    /// Takes the first messages, up to `max`, as far as they are there; where each ends in `bytes`.
    pub(super) fn take_many(
        &self,
        receiving: &mut Receiving<'_>,
        max: usize,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<Option<u64>, Unreadable> {
        let queued = receiving.queued(max as u64)?;
        if queued == 0 || Self::returned(receiving).is_some() {
            let number = self.take_one(receiving, bytes)?;
            ends.extend(number.map(|_| bytes.len()));
            return Ok(number);
        }
        let member = self.member.index(receiving)?;
        let (first, count) = (receiving.head, queued.min(max as u64));
        for number in first..first + count {
            receiving.read(number, bytes)?;
            ends.push(bytes.len());
        }
        members::note_taking(receiving, member, first, count);
        receiving.take(count);
        Ok(Some(first))
    }
}
