//! Receiving a message: wait until there may be one, then take it under the lock.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::last_sleep;
use super::layout::{LAST_SWEEP, STRAYS, TAIL};
use super::leases::{self, Leased};
use super::members;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::wait::{RECEIVER, WaitLimit, WakeReason, sleep_for_items};
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use std::os::fd::OwnedFd;

/// The shortest interval, in nanoseconds, between two checks for dead lease holders while the queue is not empty.
const SWEEP_EVERY: u64 = 1_000_000;

impl<T> Receiver<T> {
    /// Waits until `attempt`, which is called under the receive lock, returns a value.
    #[inline]
    pub(super) fn wait_for<R>(
        &self,
        wait: WaitLimit,
        mut attempt: impl FnMut(&mut Receiving<'_>) -> Result<Option<R>, Unreadable>,
    ) -> Result<R, RecvFault> {
        loop {
            {
                let mut receiving = Receiving::lock(&self.side.channel, wait.for_lock())?;
                if let Some(index) = self.member.known()? {
                    members::clear_taken(receiving.memory, index);
                }
                if let Some(found) = attempt(&mut receiving)? {
                    return Ok(found);
                }
            }
            self.wait_for_items(wait)?;
        }
    }

    /// Waits until there may be a message, after an attempt found none.
    #[cold]
    fn wait_for_items(&self, wait: WaitLimit) -> Result<(), RecvFault> {
        let channel = &*self.side.channel;
        let memory = &channel.memory;
        let tail = memory.load(TAIL);
        if let WaitLimit::Until(_) = wait
            && (channel.len() > 0 || RECEIVER.spin_until(memory, || memory.load(TAIL) != tail))
        {
            return Ok(());
        }
        if memory.load(STRAYS) != 0 {
            let receiving = Receiving::lock(channel, wait.for_lock())?;
            memory.store(STRAYS, 0);
            receiving.remove_stray_parcels();
        }
        if !leases::is_empty(memory) && Receiving::lock(channel, wait.for_lock())?.sweep() {
            return Ok(());
        }
        let rung = channel.bell.count();
        // Checked before anything else is read: everything that the last sender did happened before it hung up.
        let hung_up = self.side.is_hung_up();
        if hung_up && self.is_finished(wait)? {
            return Err(RecvFault::Disconnected);
        }
        let WaitLimit::Until(deadline) = wait else { return Err(RecvFault::Nothing) };
        if !self.side.sending(deadline)?.prepare_sleep() {
            return Ok(());
        }
        // If the senders are gone, a process that settles a lease from now on sees the flag, and a lease that was
        // settled before is visible here.
        last_sleep::flag_is_set();
        if hung_up && !self.may_arrive() {
            return Ok(());
        }
        match sleep_for_items(&self.side, hung_up, rung, deadline)? {
            WakeReason::TimedOut => Err(RecvFault::Nothing),
            WakeReason::Recheck | WakeReason::HungUp => Ok(()),
        }
    }

    /// Whether nothing more can arrive, given that the senders have hung up. In a closed queue a send may still be
    /// in progress, hence the lock.
    pub(super) fn is_finished(&self, wait: WaitLimit) -> Result<bool, RecvFault> {
        let sending = self.side.sending(wait.for_lock())?;
        sending.record_closed();
        // The queue is checked first: what was taken from it before it was empty is then visible as a lease.
        Ok(!sending.has_queued() && !self.may_arrive())
    }

    /// Whether a leased message was returned, or may be returned by another process. Leases that this process
    /// holds do not count, because it would wait for itself.
    pub(super) fn may_arrive(&self) -> bool {
        let memory = &self.side.channel.memory;
        let own = Pid::this();
        leases::any_may_return(memory, |member| {
            // The leases of a member that is gone by now have just been returned.
            members::process(memory, member).is_some_and(|process| process.pid == own)
        })
    }

    /// The returned message that is due before the next queued one.
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
        // In an empty queue every returned message is due.
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
        members::record_taking(receiving.memory, member, number, 1);
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
        members::record_taking(receiving.memory, member, leased.number, 1);
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
            members::clear_taken(receiving.memory, index);
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

    /// Takes the first messages, up to `max`. Appends their bytes to `bytes`, and the end and handles of each to `ends`.
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
        // Stop before a returned message that is due among them.
        let turn = leases::next_turn(receiving.memory, first);
        let count = queued.min(max as u64).min(turn - first);
        for number in first..first + count {
            receiving.read(number, bytes)?;
            ends.push((bytes.len(), receiving.handles.take()));
        }
        members::record_taking(receiving.memory, member, first, count);
        receiving.take(count);
        for (number, (_, handles)) in (first..).zip(&*ends) {
            if handles.is_some() {
                receiving.remove_parcel(number);
            }
        }
        Ok(Some(first))
    }
}
