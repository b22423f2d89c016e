//! A message that is not lost with its holder.

use super::layout::RECEIVERS_ASLEEP;
use super::leases::{self, Leased};
use super::lock_to_io;
use super::membership::Membership;
use crate::sys::poll::Deadline;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A message that was taken and comes back to the head of the queue, with a higher delivery count, when
/// its holder drops it, ends or is killed before it said [`Lease::done`].
///
/// A holder that is only stopped keeps it. In a copy that a fork made the lease is still the parent's:
/// dropping it there does nothing, and `done` fails.
#[derive(Debug)]
#[must_use = "a lease that is dropped goes back to the queue"]
pub struct Lease<T> {
    member: Arc<Membership>,
    leased: Leased,
    /// `None` only after it was done.
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

    /// The message was handled: it is gone from the queue for good.
    ///
    /// # Errors
    /// When the lease is not this process's, or the queue's lock cannot be taken; the message comes back
    /// then.
    pub fn done(mut self) -> io::Result<T> {
        if !self.settle(leases::finish)? {
            return Err(io::Error::other("this lease belongs to another process"));
        }
        // Receivers that wait only for what is leased may now be told that nothing is left.
        if self.member.side.channel.load(RECEIVERS_ASLEEP) != 0 && self.member.side.is_hung_up() {
            self.wake_receivers();
        }
        Ok(self.value.take().expect("a lease is done once"))
    }

    /// Ends the lease under the receive lock; false if it is not ours.
    fn settle(&self, how: fn(&super::receiving::Receiving<'_>, usize)) -> io::Result<bool> {
        let Some(member) = self.member.known()? else { return Ok(false) };
        let receiving = self.member.side.channel.receiving(Deadline::NEVER).map_err(lock_to_io)?;
        let ours = leases::is_held_by(&receiving, self.leased, member);
        if ours {
            how(&receiving, self.leased.index);
        }
        Ok(ours)
    }

    /// Should this process be killed before it gets here, those who sleep wake all the same, for they
    /// watch it.
    fn wake_receivers(&self) {
        if let Ok(sending) = self.member.side.sending(Deadline::NEVER) {
            sending.wake_receivers();
        }
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only `done` takes the value, and the lease with it")
    }
}

impl<T> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only `done` takes the value, and the lease with it")
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        if self.value.is_some() && self.settle(leases::give_back).unwrap_or(false) {
            self.wake_receivers();
        }
    }
}
