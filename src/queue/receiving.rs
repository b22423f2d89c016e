//! Operations that require the receive lock.
//!
//! The store to HEAD is the commit point: before it nothing was taken, after it the message belongs to the
//! receiver. What the receiver writes before it (which messages the member takes, the copy of a leased message)
//! concerns messages from HEAD on, and is uncommitted until HEAD has passed them. So a process that finds that the
//! previous holder of the lock died only discards what is uncommitted, and frees the slots that were taken but not
//! yet freed.

use super::end::End;
use super::error::{Corrupt, Unreadable};
use super::layout::{
    FREED, HEAD, JOINERS_ASLEEP, RECV_LOCK, SENDERS_ASLEEP, STRAYS, STREAM_FREED, TAIL, TAIL_SEEN,
};
use super::leases::{self, Leased};
use super::members;
use super::memory::Memory;
use super::parcels;
use super::place::{self, Place, STREAM_ALIGN};
use super::wake_event::{self, Event};
use crate::sync::robust_mutex::{Held, LockError, Locked, lock, try_lock};
use crate::sys::fd_store::{FdStore, Groups};
use crate::sys::poll::Deadline;
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// What is to be done about a parcel under the send lock: see [`super::parcels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parcel {
    /// The message of this number cannot be read until its parcel is the first one in the line.
    Queued(u64),
    /// The same for a leased message, whose parcel is kept.
    Leased(u64),
    /// The message of this number was taken or is done, so its parcel has to be removed.
    Spent(u64),
}

#[derive(Debug)]
pub(super) struct Receiving<'a> {
    end: &'a End,
    pub(super) memory: &'a Memory,
    /// The number of the next message.
    pub(super) head: u64,
    /// The handles of the message that was read last, if it has any.
    pub(super) handles: Option<Vec<OwnedFd>>,
    /// What the caller has to do about a parcel once the lock is released.
    pub(super) parcel: Cell<Option<Parcel>>,
    _held: Held<'a>,
}

impl<'a> Receiving<'a> {
    /// Takes the receive lock, and repairs the state that a killed holder left.
    #[inline(always)]
    pub(super) fn lock(end: &'a End, deadline: Deadline) -> Result<Self, LockError> {
        match try_lock(end.channel.memory.region.words32(RECV_LOCK)) {
            Some(held) => Ok(Self::new(end, held)),
            None => Self::lock_contended(end, deadline),
        }
    }

    #[cold]
    fn lock_contended(end: &'a End, deadline: Deadline) -> Result<Self, LockError> {
        let Locked { held, owner_died } = lock(end.channel.memory.region.words32(RECV_LOCK), deadline)?;
        let mut receiving = Self::new(end, held);
        if owner_died {
            receiving.recover();
        }
        Ok(receiving)
    }

    #[inline(always)]
    fn new(end: &'a End, held: Held<'a>) -> Self {
        let memory = &end.channel.memory;
        let (head, handles, parcel) = (memory.load(HEAD), None, Cell::new(None));
        Receiving { end, memory, head, handles, parcel, _held: held }
    }

    /// Repairs the state that a killed holder left. Each step can be repeated if this process is killed, too.
    #[cold]
    fn recover(&mut self) {
        leases::discard_uncommitted(self.memory, self.head);
        let is_leased = |message| leases::is_leased(self.memory, message);
        members::discard_uncommitted(self.memory, self.head, is_leased);
        let oldest = self.head.saturating_sub(self.memory.layout.capacity);
        self.free(self.memory.load(FREED).clamp(oldest, self.head));
        self.memory.store(STRAYS, 1);
    }

    /// Records that message `number`, which has handles, is taken or done, before that takes effect.
    #[cold]
    pub(super) fn spend_parcel(&self, number: u64) {
        self.memory.store(STRAYS, 1);
        self.parcel.set(Some(Parcel::Spent(number)));
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

    /// Appends the bytes of a queued message to `buffer`, and copies its handles; the message stays queued. Returns false
    /// if its parcel has to be brought forward first.
    #[inline]
    pub(super) fn read(&mut self, number: u64, buffer: &mut Vec<u8>) -> Result<bool, Unreadable> {
        let begin = buffer.len();
        if !place::read_slot(self.memory, number, buffer)? {
            return Ok(true);
        }
        let line = self.end.line().ok_or(Corrupt("a message has handles but the queue is not shared"))?;
        let opened = parcels::open(line.groups(), number, &buffer[begin..])?;
        Ok(self.has_opened(opened, Parcel::Queued(number)))
    }

    /// The same for a leased message.
    pub(super) fn read_lease(&mut self, leased: Leased, buffer: &mut Vec<u8>) -> Result<bool, Unreadable> {
        let begin = buffer.len();
        if !leases::read(self.memory, leased.index, buffer)? {
            return Ok(true);
        }
        let opened = parcels::open(self.kept()?, leased.number, &buffer[begin..])?;
        Ok(self.has_opened(opened, Parcel::Leased(leased.number)))
    }

    #[cold]
    fn has_opened(&mut self, opened: Option<Vec<OwnedFd>>, otherwise: Parcel) -> bool {
        self.handles = opened;
        if self.handles.is_none() {
            self.parcel.set(Some(otherwise));
        }
        self.handles.is_some()
    }

    /// Keeps the handles of the first queued message, which consists of `message`, for a lease of it.
    #[cold]
    pub(super) fn keep_handles(&self, message: &[u8], handles: &[OwnedFd]) -> Result<(), Unreadable> {
        parcels::leave(self.kept()?, self.head, message, handles).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                io::Error::other("the kernel keeps no more handles of leased messages")
            }
            _ => error,
        })?;
        Ok(())
    }

    /// Where the handles of leased messages are.
    fn kept(&self) -> io::Result<Groups<'a>> {
        let kept = self.end.inbox().and_then(|inbox| inbox.kept.as_ref());
        let refused = || io::Error::other("the kernel keeps no handles of leased messages");
        kept.map(FdStore::groups).ok_or_else(refused)
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
            self.end.set(Event::Space);
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
        self.end.set(Event::Settled);
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
        self.end.reset();
        true
    }

    /// The same for a sender that is about to sleep until all is done. Returns how often that has been so, or `None` if
    /// it is so now.
    pub(super) fn prepare_sleep_until_settled(&self) -> Option<u32> {
        if self.is_settled(None) {
            return None;
        }
        self.memory.store(JOINERS_ASLEEP, 1);
        Some(wake_event::times_settled(self.memory))
    }
}
