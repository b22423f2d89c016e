//! Leased messages, which are not lost when their holder dies.

use super::error::lock_to_io;
use super::last_sleep;
use super::leases::Leased;
use super::membership::Membership;
use super::policy::ReturnTo;
use super::receiving::{Parcel, Receiving};
use crate::sys::poll::Deadline;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A received message that returns to the queue, with a higher delivery count, if its holder drops it, exits
/// or is killed before it calls [`Lease::done`].
///
/// The queue's policy ([`super::Options`]) determines where the message returns to and after how many
/// deliveries it becomes a dead letter instead. By default it returns to the tail and never becomes one.
///
/// A stopped process keeps its leases. In a child created by `fork(2)` the lease still belongs to the parent:
/// dropping it there does nothing, and `done` fails.
#[derive(Debug)]
#[must_use = "a lease that is dropped returns to the queue"]
pub struct Lease<T> {
    member: Arc<Membership>,
    leased: Leased,
    /// `None` only once the lease is settled.
    value: Option<T>,
}

impl<T> Lease<T> {
    pub(super) fn new(member: Arc<Membership>, leased: Leased, value: T) -> Self {
        Lease { member, leased, value: Some(value) }
    }

    /// The number of deliveries of the message, including this one: 1 unless an earlier holder failed.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// drop(receiver.lease()?); // not done: it returns
    /// assert_eq!(receiver.lease()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.leased.deliveries
    }

    /// The position of the message in the order of sending, counted from 0.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send("first".to_owned())?;
    /// assert_eq!(receiver.lease()?.number(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn number(&self) -> u64 {
        self.leased.number
    }

    /// Marks the message as handled: it leaves the queue for good.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// receiver.lease()?.done()?;
    /// assert!(receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the lease belongs to another process, or the queue's lock is unavailable. The message then returns to
    /// the queue.
    pub fn done(mut self) -> io::Result<T> {
        self.settle_own(|receiving, leased| receiving.finish(leased))?;
        self.wake_if_disconnected();
        Ok(self.value.take().expect(SETTLED_ONCE))
    }

    /// Returns the message to `place`, regardless of the queue's policy. It still becomes a dead letter if it
    /// has reached the delivery limit.
    ///
    /// ```
    /// use proclab::queue::ReturnTo;
    ///
    /// let (sender, receiver) = proclab::queue::bounded(2)?;
    /// sender.send_many([1, 2])?;
    /// receiver.lease()?.return_to(ReturnTo::Tail)?;
    /// assert_eq!(receiver.recv()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::done`].
    pub fn return_to(mut self, place: ReturnTo) -> io::Result<()> {
        self.settle_own(|receiving, leased| receiving.return_lease(leased, place))?;
        self.value = None;
        self.member.wake_receivers();
        Ok(())
    }

    /// Makes the message a dead letter: it is not delivered again but kept for
    /// [`super::Receiver::take_dead_letter`].
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// receiver.lease()?.reject()?;
    /// assert_eq!(receiver.dead_letters(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::done`].
    pub fn reject(mut self) -> io::Result<()> {
        self.settle_own(|receiving, leased| receiving.make_dead_letter(leased))?;
        self.value = None;
        self.wake_if_disconnected();
        Ok(())
    }

    fn settle_own(&self, how: impl FnOnce(&Receiving<'_>, Leased)) -> io::Result<()> {
        if self.settle(how)? {
            Ok(())
        } else {
            Err(io::Error::other("this lease belongs to another process"))
        }
    }

    /// Ends the lease under the receive lock. Returns false if it belongs to another process.
    fn settle(&self, how: impl FnOnce(&Receiving<'_>, Leased)) -> io::Result<bool> {
        let Some(member) = self.member.known()? else { return Ok(false) };
        let side = &self.member.side;
        let receiving = Receiving::lock(&side.end, Deadline::NEVER).map_err(lock_to_io)?;
        let ours = self.leased.holder == super::leases::Holder::Member(member);
        let current = ours && receiving.is_current(self.leased);
        if current {
            how(&receiving, self.leased);
        }
        let parcel = receiving.parcel.take();
        drop(receiving);
        if let Some(Parcel::Spent(number)) = parcel {
            side.discard_parcels(number);
        }
        Ok(current)
    }

    /// Wakes the receivers if the senders are gone: they wait only for leased messages, and none may be left.
    /// The cheap check comes first.
    fn wake_if_disconnected(&self) {
        let side = &self.member.side;
        if last_sleep::may_be_asleep(&side.end.channel.memory) && side.is_hung_up() {
            self.member.wake_receivers();
        }
    }
}

const SETTLED_ONCE: &str = "a lease has its value until it is settled, which consumes it";

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
        let to = self.member.side.end.channel.memory.layout.policy.return_to;
        let returned = |receiving: &Receiving<'_>, leased| receiving.return_lease(leased, to);
        if self.value.is_some() && self.settle(returned).unwrap_or(false) {
            self.member.wake_receivers();
        }
    }
}
