//! Operations that require the receive lock.
//!
//! The store to HEAD is the commit point: before it nothing was taken, after it the message belongs to the
//! receiver. What the receiver writes before it (which messages the member takes, the copy of a leased message)
//! concerns messages from HEAD on, and is uncommitted until HEAD has passed them. So a process that finds that the
//! previous holder of the lock died only discards what is uncommitted, and frees the slots that were taken but not
//! yet freed.

use super::channel::Channel;
use super::error::{Corrupt, Unreadable};
use super::layout::{FREED, HEAD, JOINERS_ASLEEP, RECV_LOCK, SENDERS_ASLEEP, STREAM_FREED, TAIL, TAIL_SEEN};
use super::leases::{self, Leased};
use super::members;
use super::memory::Memory;
use super::parcels;
use super::place::{self, Place, STREAM_ALIGN};
use super::wires::Event;
use crate::sync::robust_mutex::{Held, LockError, Locked, lock, try_lock};
use crate::sys::poll::Deadline;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

#[derive(Debug)]
pub(super) struct Receiving<'a> {
    channel: &'a Channel,
    pub(super) memory: &'a Memory,
    /// The number of the next message.
    pub(super) head: u64,
    /// The handles of the message that was read last, if it has any.
    pub(super) handles: Option<Vec<OwnedFd>>,
    _held: Held<'a>,
}

impl<'a> Receiving<'a> {
    /// Takes the receive lock, and repairs the state that a killed holder left.
    #[inline(always)]
    pub(super) fn lock(channel: &'a Channel, deadline: Deadline) -> Result<Self, LockError> {
        match try_lock(channel.memory.region.words32(RECV_LOCK)) {
            Some(held) => Ok(Self::new(channel, held)),
            None => Self::lock_contended(channel, deadline),
        }
    }

    #[cold]
    fn lock_contended(channel: &'a Channel, deadline: Deadline) -> Result<Self, LockError> {
        let Locked { held, owner_died } = lock(channel.memory.region.words32(RECV_LOCK), deadline)?;
        let mut receiving = Self::new(channel, held);
        if owner_died {
            receiving.recover();
        }
        Ok(receiving)
    }

    #[inline(always)]
    fn new(channel: &'a Channel, held: Held<'a>) -> Self {
        let memory = &channel.memory;
        Receiving { channel, memory, head: memory.load(HEAD), handles: None, _held: held }
    }

    /// Repairs the state that a killed holder left. Each step can be repeated if this process is killed, too.
    #[cold]
    fn recover(&mut self) {
        leases::discard_uncommitted(self.memory, self.head);
        let is_leased = |message| leases::is_leased(self.memory, message);
        members::discard_uncommitted(self.memory, self.head, is_leased);
        let oldest = self.head.saturating_sub(self.memory.layout.capacity);
        self.free(self.memory.load(FREED).clamp(oldest, self.head));
        self.remove_stray_parcels();
    }

    /// Closes the handles that killed processes left without a message.
    #[cold]
    pub(super) fn remove_stray_parcels(&self) {
        if let Some(store) = self.channel.parcels() {
            parcels::remove_strays(self.memory, store);
        }
    }

    /// Removes the parcel of a message that was taken or is done.
    #[cold]
    pub(super) fn remove_parcel(&self, number: u64) {
        if let Some(store) = self.channel.parcels() {
            parcels::remove(self.memory, store, number);
        }
    }

    /// Copies the handles of message `number`, which consists of the bytes `message`.
    #[cold]
    fn open_parcel(&mut self, number: u64, message: &[u8]) -> Result<(), Unreadable> {
        let store =
            self.channel.parcels().ok_or(Corrupt("a message has handles but the queue cannot store any"))?;
        self.handles = Some(parcels::open(self.memory, store, number, message)?);
        Ok(())
    }

    /// The number of queued messages; only a lower bound once it reaches `enough`.
    #[inline(always)]
    pub(super) fn queued(&self, enough: u64) -> Result<u64, Corrupt> {
        let known = self.memory.load(TAIL_SEEN).wrapping_sub(self.head);
        if known >= enough && known <= self.memory.layout.capacity {
            return Ok(known);
        }
        // Acquire pairs with the release store in `Sending::publish`: the messages before TAIL are complete.
        let tail = self.memory.word(TAIL).load(Ordering::Acquire);
        let queued = tail.checked_sub(self.head).filter(|queued| *queued <= self.memory.layout.capacity);
        let queued = queued.ok_or(Corrupt("more was taken than sent, or more sent than there is room"))?;
        self.memory.store(TAIL_SEEN, tail);
        Ok(queued)
    }

    /// Appends the bytes of a queued message to `buffer`, and opens its parcel; the message stays queued.
    #[inline]
    pub(super) fn read(&mut self, number: u64, buffer: &mut Vec<u8>) -> Result<(), Unreadable> {
        let begin = buffer.len();
        if place::read_slot(self.memory, number, buffer)? {
            self.open_parcel(number, &buffer[begin..])?;
        }
        Ok(())
    }

    /// The same for a leased message.
    pub(super) fn read_lease(&mut self, leased: Leased, buffer: &mut Vec<u8>) -> Result<(), Unreadable> {
        let begin = buffer.len();
        if leases::read(self.memory, leased.index, buffer)? {
            self.open_parcel(leased.number, &buffer[begin..])?;
        }
        Ok(())
    }

    /// Takes the first `count` messages out of the queue. Wakes sleepers before that: see [`super::wake_event`].
    #[inline(always)]
    pub(super) fn take(&mut self, count: u64) {
        self.wake_senders();
        let freed = self.head;
        self.head += count;
        if self.memory.load(JOINERS_ASLEEP) != 0 && self.is_settled(None) {
            self.wake_joiners();
        }
        // The commit point. Release pairs with the acquire loads in `leases::get` and `Sending::has_queued`: the
        // leases of the messages that were taken are complete.
        self.memory.word(HEAD).store(self.head, Ordering::Release);
        self.free(freed);
    }

    /// Frees the slots of all messages from `freed` up to HEAD for the senders.
    #[inline(always)]
    fn free(&mut self, freed: u64) {
        let (memory, layout) = (self.memory, &self.memory.layout);
        for number in freed..self.head {
            let slot = layout.slot(number);
            match Place::from_word(memory.load(slot), layout.limit) {
                Ok((Place::Stream, len)) => {
                    let end = memory.load(slot + 8).wrapping_add(len as u64);
                    // Release pairs with the acquire load in `Sending::room_in_stream`.
                    memory.word(STREAM_FREED).store(end.next_multiple_of(STREAM_ALIGN), Ordering::Release);
                }
                // If this fails, the next message in this slot overwrites the bytes.
                Ok((Place::Large, len)) => drop(memory.region.release(layout.large(number), len as u64)),
                _ => {}
            }
        }
        // Release pairs with the acquire load in `Sending::room_used`: these slots have been read.
        memory.word(FREED).store(self.head, Ordering::Release);
    }

    #[inline]
    fn wake_senders(&self) {
        if self.memory.load(SENDERS_ASLEEP) != 0 {
            self.channel.set(Event::Space);
            self.memory.store(SENDERS_ASLEEP, 0);
        }
    }

    /// Wakes the processes that wait until all is done, if settling the lease `except` completes it.
    pub(super) fn wake_joiners_before_settling(&self, except: usize) {
        if self.memory.load(JOINERS_ASLEEP) != 0 && self.is_settled(Some(except)) {
            self.wake_joiners();
        }
    }

    fn wake_joiners(&self) {
        self.channel.set(Event::Settled);
        self.memory.store(JOINERS_ASLEEP, 0);
    }

    /// Whether nothing is queued and nothing is leased, ignoring the lease `except`.
    fn is_settled(&self, except: Option<usize>) -> bool {
        self.memory.word(TAIL).load(Ordering::Acquire) == self.head
            && leases::all_settled(self.memory, except)
    }

    /// Sets the flag that a sender is about to sleep until there is room, and resets the event. Returns false if
    /// there is room.
    pub(super) fn prepare_sleep_until_room(&self) -> bool {
        if !self.memory.is_full() {
            return false;
        }
        self.memory.store(SENDERS_ASLEEP, 1);
        self.channel.reset(Event::Space);
        true
    }

    /// The same for a sender that is about to sleep until all is done.
    pub(super) fn prepare_sleep_until_settled(&self) -> bool {
        if self.is_settled(None) {
            return false;
        }
        self.memory.store(JOINERS_ASLEEP, 1);
        self.channel.reset(Event::Settled);
        true
    }
}
