//! The receive lock is held: what may be done now.
//!
//! The one store that counts is the one to HEAD: before it nothing was taken, after it the message is
//! the receiver's. What the receiver notes down beforehand (who took which message, the copy of a leased
//! one) concerns messages from HEAD on, and is void until HEAD has passed them. So whoever finds that the
//! last holder of the lock died only strikes out what is void, and gives back the room that was taken
//! but not yet freed.

use super::channel::Channel;
use super::error::{Corrupt, Unreadable};
use super::layout::{FREED, HEAD, JOINERS_ASLEEP, SENDERS_ASLEEP, STREAM_FREED, TAIL, TAIL_SEEN};
use super::leases;
use super::members;
use super::place::{self, Place, STREAM_ALIGN};
use crate::sync::robust_mutex::Held;
use std::sync::atomic::Ordering;

#[derive(Debug)]
pub(super) struct Receiving<'a> {
    pub(super) channel: &'a Channel,
    /// The number of the next message.
    pub(super) head: u64,
    _held: Held<'a>,
}

impl<'a> Receiving<'a> {
    #[inline(always)]
    pub(super) fn new(channel: &'a Channel, held: Held<'a>) -> Self {
        Receiving { channel, head: channel.load(HEAD), _held: held }
    }

    /// Puts right what a killed holder of the lock left half done. Each step may be repeated.
    #[cold]
    pub(super) fn recover(&mut self) {
        leases::strike_out_void(self);
        members::strike_out_void(self);
        let freed =
            self.channel.load(FREED).clamp(self.head.saturating_sub(self.channel.layout.capacity), self.head);
        self.free(freed);
    }

    /// How many messages are queued; one that knows of `enough` does not look for more.
    #[inline(always)]
    pub(super) fn queued(&self, enough: u64) -> Result<u64, Corrupt> {
        let known = self.channel.load(TAIL_SEEN).wrapping_sub(self.head);
        if known >= enough && known <= self.channel.layout.capacity {
            return Ok(known);
        }
        // Pairs with the store in `Sending::publish`: the bytes before TAIL have been written.
        let tail = self.channel.word(TAIL).load(Ordering::Acquire);
        let queued = tail.checked_sub(self.head).filter(|queued| *queued <= self.channel.layout.capacity);
        let queued = queued.ok_or(Corrupt("more was taken than sent, or more sent than there is room"))?;
        self.channel.store(TAIL_SEEN, tail);
        Ok(queued)
    }

    /// Appends the bytes of a queued message to `buffer`; it stays where it is.
    #[inline]
    pub(super) fn read(&self, number: u64, buffer: &mut Vec<u8>) -> Result<(), Unreadable> {
        place::read_slot(self.channel, number, buffer)
    }

    /// Takes the first `count` messages out of the queue. Rings before: see [`super::bell`].
    #[inline(always)]
    pub(super) fn take(&mut self, count: u64) {
        self.wake_senders();
        let freed = self.head;
        self.head += count;
        if self.channel.load(JOINERS_ASLEEP) != 0 && self.is_settled(None) {
            self.wake_joiners();
        }
        // The one store that counts.
        self.channel.word(HEAD).store(self.head, Ordering::Release);
        self.free(freed);
    }

    /// Gives the room of all messages from `freed` up to HEAD back to the senders.
    #[inline(always)]
    fn free(&mut self, freed: u64) {
        let (channel, layout) = (self.channel, &self.channel.layout);
        for number in freed..self.head {
            let slot = layout.slot(number);
            match Place::from_word(channel.load(slot), layout.limit) {
                Ok((Place::Stream, len)) => {
                    let end = channel.load(slot + 8).wrapping_add(len as u64);
                    channel.word(STREAM_FREED).store(end.next_multiple_of(STREAM_ALIGN), Ordering::Release);
                }
                // Too little memory to give memory back: the next message here overwrites it.
                Ok((Place::Large, len)) => drop(channel.region.release(layout.large(number), len as u64)),
                _ => {}
            }
        }
        // Pairs with the load in `Sending::look_again`.
        channel.word(FREED).store(self.head, Ordering::Release);
    }

    #[inline]
    fn wake_senders(&self) {
        if self.channel.load(SENDERS_ASLEEP) != 0 {
            self.channel.space.ring();
            self.channel.store(SENDERS_ASLEEP, 0);
        }
    }

    pub(super) fn wake_joiners(&self) {
        self.channel.settled.ring();
        self.channel.store(JOINERS_ASLEEP, 0);
    }

    /// Whether nothing is queued and nothing is leased, not counting the lease `except`.
    pub(super) fn is_settled(&self, except: Option<usize>) -> bool {
        self.channel.word(TAIL).load(Ordering::Acquire) == self.head && leases::none_but(self, except)
    }

    /// Leaves the note that a sender is about to sleep until there is room, unless there is: false then.
    pub(super) fn prepare_sleep_until_room(&self) -> bool {
        if !self.channel.is_full() {
            return false;
        }
        self.channel.store(SENDERS_ASLEEP, 1);
        self.channel.space.silence();
        true
    }

    /// The same until all is done.
    pub(super) fn prepare_sleep_until_settled(&self) -> bool {
        if self.is_settled(None) {
            return false;
        }
        self.channel.store(JOINERS_ASLEEP, 1);
        self.channel.settled.silence();
        true
    }
}
