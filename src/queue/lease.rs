//! A message that is not lost with its holder.

use super::error::lock_to_io;
use super::layout::RECEIVERS_ASLEEP;
use super::leases::Leased;
use super::membership::Membership;
use super::policy::ReturnTo;
use super::receiving::Receiving;
use crate::shm::word::fence;
use crate::sys::poll::Deadline;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A message that was taken, and returns to the queue with a higher delivery count if its holder drops it,
/// ends or is killed before it calls [`Lease::done`].
///
/// Where it returns to, and after how many deliveries it becomes a dead letter instead, is the policy of the
/// queue ([`super::Options`]): by default to the tail, and never.
///
/// A holder that is only stopped keeps it. In a copy made by `fork(2)` the lease is still the parent's:
/// dropping it there does nothing, and `done` fails.
#[derive(Debug)]
#[must_use = "a lease that is dropped returns to the queue"]
pub struct Lease<T> {
    member: Arc<Membership>,
    leased: Leased,
    /// `None` only once it is settled.
    value: Option<T>,
}

impl<T> Lease<T> {
    pub(super) fn new(member: Arc<Membership>, leased: Leased, value: T) -> Self {
        Lease { member, leased, value: Some(value) }
    }

    /// How often the message has been delivered, this time included: 1 unless an earlier holder failed.
    pub fn deliveries(&self) -> u32 {
        self.leased.deliveries
    }

    /// The place of the message in the order of sending, from 0.
    pub fn number(&self) -> u64 {
        self.leased.number
    }

    /// The message was handled: it leaves the queue for good.
    ///
    /// # Errors
    /// If the lease is not this process's, or the queue's lock is unavailable; the message then returns to
    /// the queue.
    pub fn done(mut self) -> io::Result<T> {
        self.settle_own(|receiving, leased| receiving.finish(leased))?;
        self.wake_if_over();
        Ok(self.value.take().expect(SETTLED_ONCE))
    }

    /// Returns the message to this place, whatever the queue's policy; it still becomes a dead letter if it
    /// was delivered as often as the queue allows.
    ///
    /// # Errors
    /// As [`Self::done`].
    pub fn return_to(mut self, place: ReturnTo) -> io::Result<()> {
        self.settle_own(|receiving, leased| receiving.return_lease(leased, place))?;
        self.value = None;
        self.member.wake_receivers();
        Ok(())
    }

    /// Makes the message a dead letter: it is not delivered again, but kept for
    /// [`super::Receiver::take_dead_letter`].
    ///
    /// # Errors
    /// As [`Self::done`].
    pub fn reject(mut self) -> io::Result<()> {
        self.settle_own(|receiving, leased| receiving.bury(leased))?;
        self.value = None;
        self.wake_if_over();
        Ok(())
    }

    fn settle_own(&self, how: impl FnOnce(&Receiving<'_>, Leased)) -> io::Result<()> {
        if self.settle(how)? {
            Ok(())
        } else {
            Err(io::Error::other("this lease belongs to another process"))
        }
    }

    /// Ends the lease under the receive lock; false if it is not ours.
    fn settle(&self, how: impl FnOnce(&Receiving<'_>, Leased)) -> io::Result<bool> {
        let Some(member) = self.member.known()? else { return Ok(false) };
        let receiving = Receiving::lock(&self.member.side.channel, Deadline::NEVER).map_err(lock_to_io)?;
        let ours = self.leased.holder == super::leases::Holder::Member(member);
        let current = ours && receiving.is_current(self.leased);
        if current {
            how(&receiving, self.leased);
        }
        Ok(current)
    }

    /// Receivers that wait only for what is leased may have to be told that nothing is left. A cheap look
    /// first: see `Receiver::wait_for_items`, with whose fence this one pairs.
    fn wake_if_over(&self) {
        fence(Ordering::SeqCst);
        let side = &self.member.side;
        if side.channel.memory.load(RECEIVERS_ASLEEP) != 0 && side.is_hung_up() {
            self.member.wake_receivers();
        }
    }
}

const SETTLED_ONCE: &str = "only settling a lease takes its value, and the lease with it";

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(SETTLED_ONCE)
    }
}

impl<T> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(SETTLED_ONCE)
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        let to = self.member.side.channel.memory.layout.policy.return_to;
        let returned = |receiving: &Receiving<'_>, leased| receiving.return_lease(leased, to);
        if self.value.is_some() && self.settle(returned).unwrap_or(false) {
            self.member.wake_receivers();
        }
    }
}
