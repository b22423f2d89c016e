//! Receiving a message: wait until there may be one, then take it under the lock.

use super::error::Unreadable;
use super::fault::RecvFault;
use super::last_sleep;
use super::layout::{LAST_SWEEP, STRAYS, TAIL};
use super::leases::{self, Leased};
use super::members;
use super::receiver::Receiver;
use super::receiving::{Parcel, Receiving};
use super::wait::{RECEIVER, WaitLimit, WakeReason, sleep_for_items};
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use std::io;
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
            let found = self.locked(wait.for_lock(), |receiving| {
                if let Some(index) = self.member.known()? {
                    members::clear_taken(receiving.memory, index);
                }
                attempt(receiving)
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
            self.wait_for_items(wait)?;
        }
    }

    /// Calls `attempt` under the receive lock, again if a parcel has to be brought forward for it.
    #[inline]
    pub(super) fn locked<R>(
        &self,
        deadline: Deadline,
        mut attempt: impl FnMut(&mut Receiving<'_>) -> Result<Option<R>, Unreadable>,
    ) -> Result<Option<R>, RecvFault> {
        let mut missing = None;
        loop {
            let (found, parcel) = {
                let mut receiving = Receiving::lock(&self.side.end, deadline)?;
                (attempt(&mut receiving)?, receiving.parcel.take())
            };
            match parcel {
                None => return Ok(found),
                Some(Parcel::Spent(number)) => {
                    self.side.discard_parcels(number);
                    return Ok(found);
                }
                Some(Parcel::Queued(_) | Parcel::Leased(_)) => {
                    self.bring_forward(parcel, &mut missing, deadline)?;
                }
            }
        }
    }

    /// Brings a parcel forward. `missing` is the one that was not found the last time.
    #[cold]
    fn bring_forward(
        &self,
        parcel: Option<Parcel>,
        missing: &mut Option<Parcel>,
        deadline: Deadline,
    ) -> Result<(), RecvFault> {
        let sending = self.side.sending(deadline)?;
        let is_there = match parcel {
            Some(Parcel::Queued(number)) => sending.advance_to_parcel(number)?,
            Some(Parcel::Leased(number)) => sending.bring_kept_parcel(number)?,
            _ => true,
        };
        // Another process may have taken the message; but if it is here again, it was here all the time.
        if !is_there && *missing == parcel {
            let what = "the handles of a message are missing";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what).into());
        }
        *missing = parcel.filter(|_| !is_there);
        Ok(())
    }

    /// Waits until there may be a message, after an attempt found none.
    #[cold]
    fn wait_for_items(&self, wait: WaitLimit) -> Result<(), RecvFault> {
        let channel = &*self.side.end.channel;
        let memory = &channel.memory;
        let tail = memory.load(TAIL);
        if let WaitLimit::Until(_) = wait
            && (channel.len() > 0 || RECEIVER.spin_until(memory, || memory.load(TAIL) != tail))
        {
            return Ok(());
        }
        if memory.load(STRAYS) != 0 {
            self.side.discard_parcels(u64::MAX);
        }
        if !leases::is_empty(memory) && Receiving::lock(&self.side.end, wait.for_lock())?.sweep() {
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
        let memory = &self.side.end.channel.memory;
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
            let taken = self.take_from_lease(receiving, returned, buffer)?;
            return Ok(taken.then_some(returned.number));
        }
        if receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let number = receiving.head;
        if !receiving.read(number, buffer)? {
            return Ok(None);
        }
        members::record_taking(receiving.memory, member, number, 1);
        if receiving.handles.is_some() {
            receiving.spend_parcel(number);
        }
        receiving.take(1);
        Ok(Some(number))
    }

    /// Takes a leased message for good. Returns false if its parcel has to be brought forward first.
    fn take_from_lease(
        &self,
        receiving: &mut Receiving<'_>,
        leased: Leased,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, Unreadable> {
        let member = self.member.index(receiving)?;
        if !receiving.read_lease(leased, buffer)? {
            return Ok(false);
        }
        members::record_taking(receiving.memory, member, leased.number, 1);
        receiving.finish(leased);
        Ok(true)
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
        let taken = self.take_from_lease(receiving, letter, buffer)?;
        Ok(taken.then_some(letter))
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
                if !receiving.read_lease(returned, buffer)? {
                    return Ok(None);
                }
                receiving.lease_again(member, returned)
            }
            None => {
                if !receiving.read(receiving.head, buffer)? {
                    return Ok(None);
                }
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
        let most = queued.min(max as u64).min(turn - first);
        let (mut count, mut with_handles) = (0, None);
        for number in first..first + most {
            let begin = bytes.len();
            if !receiving.read(number, bytes)? {
                if number == first {
                    return Ok(None);
                }
                // The batch ends before a message whose parcel is not the first one: the second with handles, at most.
                receiving.parcel.set(None);
                bytes.truncate(begin);
                break;
            }
            let handles = receiving.handles.take();
            with_handles = handles.as_ref().map(|_| number).or(with_handles);
            ends.push((bytes.len(), handles));
            count += 1;
        }
        members::record_taking(receiving.memory, member, first, count);
        if let Some(number) = with_handles {
            receiving.spend_parcel(number);
        }
        receiving.take(count);
        Ok(Some(first))
    }
}
