//! Operations that require the send lock.
//!
//! A message is written behind TAIL, where no receiver reads, and the store to TAIL makes it part of the queue. A
//! sender that is killed before that store has sent nothing; one that is killed after it has sent its message.
//! Nothing has to be repaired.

use super::end::End;
use super::error::{Corrupt, Rejection};
use super::layout::{
    CLOSED, FREED, FREED_SEEN, HEAD, RECEIVERS_ASLEEP, SEND_LOCK, SLOT, STRAYS, STREAM_FREED,
    STREAM_FREED_SEEN, STREAM_NEXT, STREAM_RESERVED, TAIL,
};
use super::leases;
use super::memory::Memory;
use super::parcels;
use super::place::{self, HANDLES, INLINE_LEN, Place, STREAM_ALIGN};
use super::wake_event::Event;
use crate::sync::robust_mutex::{Held, LockError, Locked, lock, try_lock};
use crate::sys::fd_store::{FdStore, Groups};
use crate::sys::poll::Deadline;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

/// At this offset the stream restarts from its beginning if the queue is empty, so that a queue that is mostly
/// empty stays in the cache and uses little memory.
const STREAM_RESTART: u64 = 1 << 20;
/// Memory of the stream beyond this offset is released when the stream restarts.
const STREAM_KEEP: u64 = 4 << 20;
/// The step in bytes in which memory is reserved for the stream.
const STREAM_STEP: u64 = 64 << 10;
/// The step in slots in which memory is reserved for slots.
const SLOTS_STEP: u64 = 4096;

#[derive(Debug)]
pub(super) struct Sending<'a> {
    end: &'a End,
    memory: &'a Memory,
    tail: u64,
    placed: u64,
    _held: Held<'a>,
}

impl<'a> Sending<'a> {
    /// Takes the send lock if it is free and its previous holder released it.
    #[inline(always)]
    pub(super) fn try_lock(end: &'a End) -> Option<Self> {
        try_lock(end.channel.memory.region.words32(SEND_LOCK)).map(|held| Self::new(end, held))
    }

    /// Takes the send lock, cleans up if its previous holder died with it, and returns whether it did.
    #[cold]
    pub(super) fn lock(end: &'a End, deadline: Deadline) -> Result<(Self, bool), LockError> {
        let Locked { held, owner_died } = lock(end.channel.memory.region.words32(SEND_LOCK), deadline)?;
        let sending = Self::new(end, held);
        if owner_died {
            sending.release_unpublished();
            sending.memory.store(STRAYS, 1);
        }
        Ok((sending, owner_died))
    }

    #[inline(always)]
    fn new(end: &'a End, held: Held<'a>) -> Self {
        let memory = &end.channel.memory;
        Sending { end, memory, tail: memory.load(TAIL), placed: 0, _held: held }
    }

    /// Releases the memory of large messages that were written but never published: that of all free slots,
    /// in at most two system calls regardless of their number.
    #[cold]
    fn release_unpublished(&self) {
        let freed = self.memory.word(FREED).load(Ordering::Acquire);
        let first_used = freed.wrapping_add(self.memory.layout.capacity);
        for (offset, len) in self.memory.layout.large_ranges(self.tail, first_used) {
            if len > 0 {
                let _ = self.memory.region.release(offset, len);
            }
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.memory.load(CLOSED) != 0
    }

    pub(super) fn record_closed(&self) {
        self.memory.store(CLOSED, 1);
    }

    /// Whether there is room for another message.
    #[inline(always)]
    pub(super) fn has_room(&mut self) -> Result<bool, Corrupt> {
        let used = (self.tail + self.placed).wrapping_sub(self.memory.load(FREED_SEEN));
        if used < self.memory.layout.capacity {
            return Ok(true);
        }
        Ok(self.room_used()? < self.memory.layout.capacity)
    }

    /// The number of slots in use, from a fresh read of FREED.
    fn room_used(&self) -> Result<u64, Corrupt> {
        // Acquire pairs with the release store in `Receiving::free`: freed slots have been read.
        let freed = self.memory.word(FREED).load(Ordering::Acquire);
        let used = self.tail.checked_sub(freed).filter(|used| *used <= self.memory.layout.capacity);
        let used = used.ok_or(Corrupt("more was taken than sent, or more sent than there is room"))?;
        self.memory.store(FREED_SEEN, freed);
        Ok(used + self.placed)
    }

    /// Writes a message behind those already placed. Call [`Self::has_room`] first.
    #[inline(always)]
    pub(super) fn place(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.place_marked(bytes, 0)
    }

    /// Stores the handles of the next message, and writes the message. Returns false if there is no room for the
    /// handles.
    #[cold]
    pub(super) fn place_with(&mut self, bytes: &[u8], handles: &[OwnedFd]) -> Result<bool, Rejection> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
        let Some(line) = self.end.line() else { return Ok(false) };
        match parcels::leave(line.groups(), self.tail + self.placed, bytes, handles) {
            Ok(()) => self.place_marked(bytes, HANDLES).map(|()| true),
            // The caller finds out whether the receivers are gone.
            Err(error) if matches!(error.kind(), WouldBlock | BrokenPipe | ConnectionReset) => Ok(false),
            Err(error) => Err(Rejection::Handles(error)),
        }
    }

    /// `mark` is [`HANDLES`] for a message that has handles, otherwise 0.
    #[inline(always)]
    fn place_marked(&mut self, bytes: &[u8], mark: u64) -> Result<(), Rejection> {
        let number = self.tail + self.placed;
        let (memory, layout) = (self.memory, &self.memory.layout);
        let slot = layout.slot(number);
        if number < layout.capacity && number.is_multiple_of(SLOTS_STEP) {
            let last = layout.slot(layout.capacity.min(number + SLOTS_STEP) - 1) + SLOT;
            memory.region.reserve(slot as u64, (last - slot) as u64).map_err(Rejection::Memory)?;
        }
        if bytes.len() <= INLINE_LEN {
            place::write_inline(memory, slot, bytes, mark);
        } else if let Some(at) = self.room_in_stream(bytes.len() as u64)? {
            memory.region.put(layout.stream + (at & (layout.stream_len - 1)) as usize, bytes);
            memory.store(slot + 8, at);
            memory.store(slot, Place::Stream.word(bytes.len()) | mark);
        } else {
            memory.region.write(bytes, layout.large(number)).map_err(Rejection::Memory)?;
            memory.store(slot, Place::Large.word(bytes.len()) | mark);
        }
        self.placed += 1;
        Ok(())
    }

    /// The position in the stream at which `len` bytes can be written now, if any.
    #[inline]
    fn room_in_stream(&self, len: u64) -> Result<Option<u64>, Corrupt> {
        let (memory, size) = (self.memory, self.memory.layout.stream_len);
        if len > size / 4 {
            return Ok(None);
        }
        let mut at = memory.load(STREAM_NEXT) & !(STREAM_ALIGN - 1);
        let offset = at & (size - 1);
        let restarts = offset < STREAM_RESTART && offset + len >= STREAM_RESTART && self.room_used()? == 0;
        if offset + len > size || restarts {
            at = at.wrapping_add(size - offset);
        }
        let end = at.wrapping_add(len).next_multiple_of(STREAM_ALIGN);
        if end.wrapping_sub(memory.load(STREAM_FREED_SEEN)) > size {
            // An empty queue uses none of the stream, even if a receiver died before it freed its bytes.
            let empty = self.room_used()? == 0;
            let freed = if empty { at } else { memory.word(STREAM_FREED).load(Ordering::Acquire) };
            memory.store(STREAM_FREED_SEEN, freed);
            if end.wrapping_sub(freed) > size {
                return Ok(None);
            }
        }
        if !self.has_memory((at & (size - 1)) + len, restarts) {
            return Ok(None);
        }
        memory.store(STREAM_NEXT, end);
        Ok(Some(at))
    }

    /// Reserves memory for the stream up to `end`, and releases what a burst left if the stream restarts.
    #[inline]
    fn has_memory(&self, end: u64, restarts: bool) -> bool {
        let (memory, layout) = (self.memory, &self.memory.layout);
        let mut reserved = memory.load(STREAM_RESERVED).min(layout.stream_len);
        if restarts && reserved > STREAM_KEEP {
            let rest = (layout.stream as u64 + STREAM_KEEP, reserved - STREAM_KEEP);
            memory.store(STREAM_RESERVED, STREAM_KEEP);
            let _ = memory.region.release(rest.0, rest.1);
            reserved = STREAM_KEEP;
        }
        if end > reserved {
            let wanted = end.next_multiple_of(STREAM_STEP).min(layout.stream_len);
            if memory.region.reserve(layout.stream as u64 + reserved, wanted - reserved).is_err() {
                return false;
            }
            memory.store(STREAM_RESERVED, wanted);
        }
        true
    }

    /// Makes the placed messages part of the queue. Wakes sleepers before that: see [`super::wake_event`].
    #[inline(always)]
    pub(super) fn publish(&mut self) {
        if self.placed == 0 {
            return;
        }
        self.wake_receivers();
        self.tail += self.placed;
        self.placed = 0;
        // The commit point. Release pairs with the acquire load in `Receiving::queued`.
        self.memory.word(TAIL).store(self.tail, Ordering::Release);
    }

    /// Wakes the receivers that may be asleep.
    #[inline]
    pub(super) fn wake_receivers(&self) {
        if self.memory.load(RECEIVERS_ASLEEP) != 0 {
            self.end.set(Event::Items);
            self.memory.store(RECEIVERS_ASLEEP, 0);
        }
    }

    /// Sets the flag that a receiver is about to sleep, and resets the event. Returns false if there is a message
    /// for it.
    ///
    /// A lease is returned under the receive lock, and the event is set for it afterwards under this lock. If that
    /// has happened, the returned lease is visible here; otherwise the returning process will see the flag.
    pub(super) fn prepare_sleep(&self) -> bool {
        if self.has_something() {
            return false;
        }
        self.memory.store(RECEIVERS_ASLEEP, 1);
        self.end.reset();
        true
    }

    /// Removes the parcels of messages that were taken, and strays, up to the one of message `wanted`, if it is there.
    /// Returns whether it is.
    #[cold]
    pub(super) fn advance_to_parcel(&self, wanted: u64) -> io::Result<bool> {
        let Some(line) = self.end.line() else { return Ok(false) };
        // The signal that is removed may not have woken the receivers yet.
        parcels::advance(self.memory, line.groups(), || self.end.set(Event::Items), wanted)
    }

    /// Moves the parcel of the leased message `wanted` to the front, if it is there. Returns whether it is.
    #[cold]
    pub(super) fn bring_kept_parcel(&self, wanted: u64) -> io::Result<bool> {
        self.kept().map_or(Ok(false), |kept| parcels::bring_kept(self.memory, kept, wanted))
    }

    /// Closes the handles of messages that were taken or are done, message `number` among them, and those that killed
    /// processes left.
    #[cold]
    pub(super) fn discard_parcels(&self, number: u64) {
        self.memory.store(STRAYS, 0);
        let _ = self.advance_to_parcel(u64::MAX);
        if let Some(kept) = self.kept() {
            let _ = parcels::discard_kept(self.memory, kept, number);
        }
    }

    fn kept(&self) -> Option<Groups<'a>> {
        self.end.inbox()?.kept.as_ref().map(FdStore::groups)
    }

    /// Whether a receiver would find a message. No message is being sent now, because the lock is held.
    fn has_something(&self) -> bool {
        self.has_queued() || leases::returned(self.memory) > 0
    }

    /// Whether a message is queued.
    pub(super) fn has_queued(&self) -> bool {
        // Acquire pairs with the release store in `Receiving::take`: the leases of taken messages are visible.
        self.memory.word(HEAD).load(Ordering::Acquire) != self.tail
    }
}
