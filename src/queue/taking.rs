//! How a receiver gets a message: it waits until there may be one, and takes it under the lock.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::layout::{LAST_SWEEP, STRAYS, TAIL};
use super::leases::{self, Leased};
use super::members;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::wait::{A_RECEIVER, Awake, Patience, sleep_for_items};
use crate::shm::word::fence;
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// While the queue is not empty and something is leased, the holders are checked for death at most this
/// often, in nanoseconds.
const SWEEP_EVERY: u64 = 1_000_000;

impl<T> Receiver<T> {
    /// Waits until `attempt`, made under the receive lock, yields something.
    #[inline]
    pub(super) fn wait_for<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(&mut Receiving<'_>) -> Result<Option<R>, Unreadable>,
    ) -> Result<R, RecvFault> {
        loop {
            {
                let mut receiving = Receiving::lock(&self.side.channel, patience.for_lock())?;
                if let Some(index) = self.member.known()? {
                    members::note_done(receiving.memory, index);
                }
                if let Some(found) = attempt(&mut receiving)? {
                    return Ok(found);
                }
            }
            self.wait_for_items(patience)?;
        }
    }

    /// Nothing was there a moment ago: waits until something may be.
    #[cold]
    fn wait_for_items(&self, patience: Patience) -> Result<(), RecvFault> {
        let channel = &*self.side.channel;
        let memory = &channel.memory;
        let tail = memory.load(TAIL);
        if let Patience::Until(_) = patience
            && (channel.len() > 0 || A_RECEIVER.spin_until(memory, || memory.load(TAIL) != tail))
        {
            return Ok(());
        }
        if memory.load(STRAYS) != 0 {
            let receiving = Receiving::lock(channel, patience.for_lock())?;
            memory.store(STRAYS, 0);
            receiving.remove_stray_parcels();
        }
        if !leases::is_empty(memory) && Receiving::lock(channel, patience.for_lock())?.sweep() {
            return Ok(());
        }
        // Asked before anything else is looked at: whatever the last sender did, it did before it was gone.
        let hung_up = self.side.is_hung_up();
        if hung_up && self.is_over(patience)? {
            return Err(RecvFault::Disconnected);
        }
        let Patience::Until(deadline) = patience else { return Err(RecvFault::Nothing) };
        if !self.side.sending(deadline)?.prepare_sleep() {
            return Ok(());
        }
        // The note is left. A lease that is settled from now on finds it, if the senders are gone; one that was
        // settled before is seen here. The fence pairs with the one in `Lease::settle`: both sides store, then
        // look at what the other stores, and at least one of them sees the other.
        fence(Ordering::SeqCst);
        if hung_up && !self.may_come() {
            return Ok(());
        }
        match sleep_for_items(&self.side, hung_up, deadline)? {
            Awake::TimedOut => Err(RecvFault::Nothing),
            Awake::Look | Awake::HungUp => Ok(()),
        }
    }

    /// The senders have hung up: whether nothing can come any more. A closed queue may have a sender that is
    /// just sending, hence the lock.
    pub(super) fn is_over(&self, patience: Patience) -> Result<bool, RecvFault> {
        let sending = self.side.sending(patience.for_lock())?;
        sending.record_closed();
        // The queue first: what was taken from it before it was empty is seen among the leases.
        Ok(!sending.has_queued() && !self.may_come())
    }

    /// Whether a leased message has come back, or may come from another process. Leases that this process
    /// holds do not count: it would wait for itself.
    pub(super) fn may_come(&self) -> bool {
        let memory = &self.side.channel.memory;
        let own = Pid::this();
        leases::any_may_come(memory, |member| {
            // A member that is gone by now has just had its leases returned.
            members::process(memory, member).is_some_and(|process| process.pid == own)
        })
    }

    /// The returned message that comes before the next queued one.
    #[inline]
    fn returned(receiving: &Receiving<'_>) -> Result<Option<Leased>, Unreadable> {
        let memory = receiving.memory;
        if leases::is_empty(memory) {
            return Ok(None);
        }
        let now = monotonic_ns();
        if now.saturating_sub(memory.load(LAST_SWEEP)) >= SWEEP_EVERY {
            memory.store(LAST_SWEEP, now);
            receiving.sweep();
        }
        // In an empty queue the turn of each has come.
        let head = if receiving.queued(1)? == 0 { u64::MAX } else { receiving.head };
        Ok(leases::first_returned(memory, head))
    }

    /// Takes the first message and appends its bytes to `buffer`.
    #[inline]
    pub(super) fn take_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u64>, Unreadable> {
        if let Some(returned) = Self::returned(receiving)? {
            self.take_from_lease(receiving, returned, buffer)?;
            return Ok(Some(returned.number));
        }
        if receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let number = receiving.head;
        receiving.read(number, buffer)?;
        members::note_taking(receiving.memory, member, number, 1);
        receiving.take(1);
        if receiving.handles.is_some() {
            receiving.remove_parcel(number);
        }
        Ok(Some(number))
    }

    fn take_from_lease(
        &self,
        receiving: &mut Receiving<'_>,
        leased: Leased,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let member = self.member.index(receiving)?;
        receiving.read_lease(leased, buffer)?;
        members::note_taking(receiving.memory, member, leased.number, 1);
        receiving.finish(leased);
        Ok(())
    }

    /// Takes the dead letter that was sent first and appends its bytes to `buffer`.
    pub(super) fn take_dead(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Leased>, Unreadable> {
        if let Some(index) = self.member.known()? {
            members::note_done(receiving.memory, index);
        }
        receiving.sweep();
        let Some(letter) = leases::first_dead_letter(receiving.memory) else { return Ok(None) };
        self.take_from_lease(receiving, letter, buffer)?;
        Ok(Some(letter))
    }

    pub(super) fn lease_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Leased>, Unreadable> {
        let returned = Self::returned(receiving)?;
        if returned.is_none() && receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let leased = match returned {
            Some(returned) => {
                receiving.read_lease(returned, buffer)?;
                receiving.lease_again(member, returned)
            }
            None => {
                receiving.read(receiving.head, buffer)?;
                receiving.lease(member, buffer)?
            }
        };
        Ok(Some(leased))
    }

    /// Takes the first messages, up to `max`, as far as they are there; where each ends in `bytes`, and its handles.
    pub(super) fn take_many(
        &self,
        receiving: &mut Receiving<'_>,
        max: usize,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<(usize, Option<Vec<OwnedFd>>)>,
    ) -> Result<Option<u64>, Unreadable> {
        let queued = receiving.queued(max as u64)?;
        if queued == 0 || Self::returned(receiving)?.is_some() {
            let number = self.take_one(receiving, bytes)?;
            ends.extend(number.map(|_| (bytes.len(), receiving.handles.take())));
            return Ok(number);
        }
        let member = self.member.index(receiving)?;
        let first = receiving.head;
        // Not past a returned message whose turn comes within them.
        let turn = leases::next_turn(receiving.memory, first);
        let count = queued.min(max as u64).min(turn - first);
        for number in first..first + count {
            receiving.read(number, bytes)?;
            ends.push((bytes.len(), receiving.handles.take()));
        }
        members::note_taking(receiving.memory, member, first, count);
        receiving.take(count);
        for (number, (_, handles)) in (first..).zip(&*ends) {
            if handles.is_some() {
                receiving.remove_parcel(number);
            }
        }
        Ok(Some(first))
    }
}
